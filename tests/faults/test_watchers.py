"""Nobody who watches, and nothing that an exception says, stops a sweep: real processes and real workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import write_space
from ray import cloudpickle
from spaces import space

from tune_mixup import sweep
from tune_mixup.cluster import trainable
from tune_mixup.cluster.trainable import MixupTrainable
from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "where, code, said",
    [("--json | head -1", 1, "BrokenPipeError"), ("> /dev/full", 1, "No space left"), (">&- 2>&-", 0, "")],
)
def test_the_sweep_goes_on_without_its_display(where, code, said, tmp_path):
    write_space(tmp_path, epochs=1)
    call = "from tune_mixup.cli import main; main()"
    line = f"set -o pipefail; '{sys.executable}' -c '{call}' sweep s.py --trials 3 --name w --scheduler none {where}"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", line], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    frame = tables.trials(SweepRecord.open(tmp_path / "sweeps" / "w"))
    assert frame["state"].tolist() == ["COMPLETE"] * 3 and done.returncode == code, done.stderr
    assert said in done.stderr and done.stderr.count("the work goes on") == bool(said) and "Trace" not in done.stderr


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Unpicklable(Exception):
    def __init__(self):
        super().__init__(lambda: None)
        self.file = open(os.devnull)

    def __reduce__(self):
        raise TypeError("not for sending")


FAULTS = {
    0: lambda: ValueError("half \udc80 of a character"),
    1: Mute,
    2: lambda: ValueError("x" * 5_000_000),
    3: Unpicklable,
    4: lambda: ValueError("bell \x07\nand more"),
}


class Faulty(MixupTrainable):
    """Raises an exception that is hard to tell of."""

    def _begin(self):
        trainer = super()._begin()
        fault = FAULTS.get(self.config["number"])
        if fault is not None:
            raise fault()
        return trainer


def test_an_exception_is_told_whatever_it_is(tmp_path, monkeypatch, ray_session):
    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.setattr(trainable, "MixupTrainable", Faulty)

    def listen(progress):
        raise LookupError("this one fails as well")

    record = sweep(
        space(training_epochs=1), name="w", root=tmp_path, trials=6, scheduler="none", listener=listen
    ).record
    frame = tables.trials(record)
    assert frame["state"].tolist() == ["FAIL"] * 5 + ["COMPLETE"]
    reasons = frame["reason"].tolist()[:5]
    assert reasons[:2] == [r"ValueError: half \udc80 of a character", "Mute: (its text can't be had: RuntimeError)"]
    assert reasons[2] == f"ValueError: {'x' * 285}..." and reasons[4] == r"ValueError: bell \x07"
    assert reasons[3].startswith("Unpicklable: <function ")
    for number in range(5):
        kept = record.folder.trial(number).error.read_text()
        assert kept.startswith("Traceback") and len(kept) < 110_000
