"""Workers that die, hang or run out of memory, each a real process."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from processes import uninterrupted
from ray import cloudpickle
from spaces import space

from tune_mixup import sweep
from tune_mixup.cluster import trainable
from tune_mixup.cluster.sweep import resume
from tune_mixup.cluster.trainable import MixupTrainable
from tune_mixup.record import tables

pytestmark = [pytest.mark.usefixtures("ray_session"), pytest.mark.slow]
TIMEOUT_S = 15.0


class Faulty(MixupTrainable):
    """Has the fault of the trial's number after three epochs, at the first start only where `once` says so."""

    def _begin(self):
        trainer = super()._begin()
        with open(self.folder.path / "started.txt", "a") as file:
            file.write(f"{self.config['gpus']:g}\n")
        starts = len((self.folder.path / "started.txt").read_text().split())
        fault, once = FAULTS.get(self.config["number"], (None, False))
        train_epoch = trainer.train_epoch

        def faulty_epoch():
            if fault is not None and trainer.epoch >= 3 and (starts == 1 or not once):
                fault(self.config["gpus"])
            return train_epoch()

        trainer.train_epoch = faulty_epoch
        return trainer


def die(gpus):
    os.kill(os.getpid(), signal.SIGKILL)


def stand_still(gpus):
    os.kill(os.getpid(), signal.SIGSTOP)


def sleep(gpus):
    time.sleep(1000)


def lose_the_context(gpus):
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def outgrow_half_a_gpu(gpus):
    if gpus < 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


def outgrow_any_gpu(gpus):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 TiB.")


def have_a_bug(gpus):
    raise ZeroDivisionError("division by zero\nmore")


FAULTS = {
    0: (die, True),
    1: (die, False),
    2: (stand_still, True),
    3: (sleep, False),
    4: (lose_the_context, True),
    5: (outgrow_half_a_gpu, False),
    6: (outgrow_any_gpu, False),
    7: (have_a_bug, False),
}


@pytest.fixture
def faulty(monkeypatch):
    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.setattr(trainable, "MixupTrainable", Faulty)


def started(record, number):
    return (record.folder.trial(number).path / "started.txt").read_text().split()


def test_what_becomes_of_a_trial_whose_worker_fails(tmp_path, faulty):
    heard = []
    record = sweep(
        space(), name="w", root=tmp_path, trials=9, scheduler="none", sampler="random", max_failures=1,
        trial_timeout_s=TIMEOUT_S, gpus_per_trial=0.25, listener=heard.append,
    ).record  # fmt: skip
    frame = tables.trials(record)
    assert frame["state"].tolist() == [
        "COMPLETE", "FAIL", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE"
    ]  # fmt: skip
    died, hung = (
        "its worker died without a word (SIGKILL, or it ended itself)",
        "no report for 15 s, so its worker was killed",
    )
    oom = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 "
    reasons = {number: reason for number, reason in enumerate(frame["reason"]) if frame["state"][number] == "FAIL"}
    assert reasons == {
        1: f"{died}; failure 2, and max_failures is 1",
        3: f"{hung}; failure 2, and max_failures is 1",
        6: f"{oom}TiB. on 1 GPU",
        7: "ZeroDivisionError: division by zero",
    }
    deaths = {trial.number: trial.user_attrs.get("deaths", []) for trial in record.study.asked()}
    assert deaths == {0: [died], 1: [died] * 2, 2: [hung], 3: [hung] * 2, 4: [died], 5: [], 6: [], 7: [], 8: []}
    starts = {number: started(record, number) for number in range(9)}
    once, twice, doubled = ["0.25"], ["0.25"] * 2, ["0.25", "0.5", "1"]
    assert starts == {
        0: twice, 1: twice, 2: twice, 3: twice, 4: twice, 5: doubled, 6: doubled, 7: once, 8: once
    }  # fmt: skip
    for number, epochs in tables.epochs(record).groupby("trial")["epoch"]:
        assert epochs.tolist() == list(range(1, 4 if frame["state"][number] == "FAIL" else 10))
    retried = [row["val_nll"] for row in record.folder.trial(0).read_epochs()]
    assert retried == pytest.approx(uninterrupted(record.path, 0), rel=1e-5), "killed, but as if it never had been"
    assert "AcceleratorError" in record.folder.trial(4).error.read_text()
    messages = [progress.message for progress in heard]
    assert f"t0005: {oom}GiB. on 0.25 of a GPU; it goes on from its checkpoint with 0.5" in messages
    assert f"t0000: {died}; it goes on from its checkpoint (failure 1, allowed 1)" in messages

    # A resumed sweep does not forget: trials 1 and 5 had used up what they have when this one begins again.
    longer = resume(record.path, trials=10)
    assert longer.trials()["state"].tolist() == [*frame["state"], "COMPLETE"]
    assert {number: started(record, number) for number in range(9)} == starts


def test_no_failure_is_allowed_when_none_is(tmp_path, faulty):
    record = sweep(space(), name="w", root=tmp_path, trials=1, scheduler="none", max_failures=0).record
    assert tables.trials(record)["state"].tolist() == ["FAIL"]
    assert tables.trials(record)["reason"][0].endswith("; failure 1, and max_failures is 0")
    assert started(record, 0) == ["0"] and Path(record.path).exists()
