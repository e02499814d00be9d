"""What a user writes from outside, as `examples/` and `docs/extending.md` show it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tune_mixup import Trainer, TrialConfig, load_sweep
from tune_mixup.analysis.configurations import read_configurations
from tune_mixup.outside import importing_from
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.stopping.base import Objective, Seat

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DEADLINE_S = 300

with importing_from([EXAMPLES]):
    from my_dataset import Bars
    from my_mixer import Stripes
    from my_model import SmallNet
    from my_stopping_rule import Patience


def test_the_documentation_shows_the_files_as_they_are():
    text = (ROOT / "docs" / "extending.md").read_text()
    shown = re.findall(r"```python\n# (examples/\w+\.py)\n(.*?)```", text, re.DOTALL)
    assert sorted(name for name, _ in shown) == [
        "examples/my_dataset.py", "examples/my_mixer.py", "examples/my_model.py", "examples/my_stopping_rule.py"
    ]  # fmt: skip
    assert all((ROOT / name).read_text() == code for name, code in shown)


def test_the_objects_train_and_come_back_from_their_plain_form():
    few = TrialConfig().training.replace(epochs=4, batch_size=30)
    config = TrialConfig(data=Bars(per_class=60), model=SmallNet(width=4), mixing=Stripes(period=6), training=few)
    history = Trainer(config, device="cpu").run()
    assert history[-1]["val_accuracy"] > 0.6  # three classes
    plain = config.plain()
    assert (plain["mixing"]["name"], plain["data"]["name"]) == ("my_mixer:Stripes", "my_dataset:Bars")
    assert TrialConfig.parse(plain) == config and TrialConfig.parse(plain).identity() == config.identity()


def test_stripes_say_what_is_seen():
    inputs = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 1, 3, 8).clone()
    targets = torch.eye(8)
    for seed in range(20):
        draws = torch.Generator().manual_seed(seed)
        mixed = Stripes(period=4).mix(inputs, targets, {}, epoch=0, generator=draws)
        for row in range(8):
            columns = mixed.inputs[row, 0, 0]
            own = sum(float(value) == row for value in columns)
            partner = int(mixed.partner[row])
            expected = 1.0 if partner == row else own / 8
            assert mixed.soft_targets[row, row] == pytest.approx(expected)
            assert set(columns.tolist()) <= {float(row), float(partner)} and float(mixed.lam) == float(
                mixed.mask.mean()
            )


def test_patience_stops_after_so_many_epochs_whatever_the_order_of_trials():
    values = {0: [0.1, 0.3, 0.2, 0.2, 0.2], 1: [0.5, 0.4, 0.6, 0.5, 0.4], 2: [0.1, 0.2, 0.3, 0.4, 0.5]}
    objective = Objective("val_accuracy", "maximize")
    live = Patience(patience=2).rule(objective, epochs=9)
    stops = {}
    for epoch in range(1, 6):
        for trial, row in values.items():
            decision = live.report(trial, epoch, row[epoch - 1], Seat(()))
            if decision is not None and decision.stop:
                stops.setdefault(trial, epoch)
    assert stops == {0: 4, 1: 5}
    restored = Patience(patience=2).rule(objective, epochs=9)
    for trial in (2, 0, 1):
        for epoch, value in enumerate(values[trial][:3], start=1):
            restored.note(trial, epoch, value, Seat(()))
    assert restored.report(0, 4, 0.2, Seat(())) is not None and restored.report(2, 4, 0.4, Seat(())) is None
    assert restored.report(1, 4, 0.5, Seat(())) is None and restored.report(1, 5, 0.4, Seat((), spared=True)) is None


def command(*words, folder, **options):
    return subprocess.Popen(
        [sys.executable, "-c", "from tune_mixup.cli import main; main()", *map(str, words)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, **options,
    )  # fmt: skip


@pytest.mark.slow
def test_a_sweep_over_parts_from_outside_is_killed_resumed_and_exported(tmp_path):
    """In a folder with the examples only, from another folder for `resume`."""
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES, project, ignore=shutil.ignore_patterns("__pycache__"))
    root = tmp_path / "sweeps"
    words = ("my_space.py", "--name", "own", "--root", root, "--concurrent", 1)
    running = command("sweep", *words, folder=project)
    second = root / "own" / "trials" / "t0001" / "epochs.jsonl"
    deadline = time.monotonic() + DEADLINE_S
    while not (second.exists() and second.read_text().count("\n") >= 2):
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()[0]
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()

    resumed = command("resume", root / "own", folder=tmp_path)
    said = resumed.communicate(timeout=DEADLINE_S)[0]
    assert resumed.returncode == 0, said
    sweep = load_sweep(root / "own")
    trials = sweep.trials()
    assert len(trials) == 6 and set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    facts = [sweep.record.study.facts(number) for number in range(6)]
    decided = [decision.by for fact in facts for decision in fact.decisions]
    assert set(decided) <= {"patience"} and len(decided) == (trials["state"] == "PRUNED").sum()
    assert all(rows.tolist() == list(range(1, len(rows) + 1)) for _, rows in sweep.epochs().groupby("trial")["epoch"])

    best = tmp_path / "best.yaml"
    exported = command("export", root / "own", "--to", best, folder=tmp_path)
    said = exported.communicate(timeout=DEADLINE_S)[0]
    assert exported.returncode == 0, said
    (values,) = read_configurations(best)
    assert TrialConfig.parse(values) == sweep.best_config
    again = command("train", "--config", best, "--threads", 1, "--out", tmp_path / "again", folder=project)
    said = again.communicate(timeout=DEADLINE_S)[0]
    assert again.returncode == 0, said
    rows = sweep.record.folder.trial(sweep.best.trial).read_epochs()
    trained = TrialFolder(tmp_path / "again").read_epochs()
    assert trained[-1]["val_nll"] == rows[-1]["val_nll"]


def test_a_module_that_is_not_there_is_one_line(tmp_path):
    done = command(
        "train", "--space", "quickstart", "--set", "mixing.name=my_mixr:Stripes", "--out", "x", folder=tmp_path
    )
    said = done.communicate(timeout=DEADLINE_S)[0]
    assert done.returncode == 2 and said.count("\n") == 1 and "there is no module my_mixr" in said
