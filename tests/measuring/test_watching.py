"""A trial that is watched, in this process; its memory in one of its own."""

import os
import subprocess
import sys
import time

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import load
from tune_mixup.measuring import watching
from tune_mixup.measuring.device import LOGICAL_GPUS
from tune_mixup.measuring.messages import Watch
from tune_mixup.measuring.shortening import few_batches
from tune_mixup.training.trainer import Trainer

TINY = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 4000,
    "data.num_test": 8,
    "data.size": 8,
    "data.batches": "stratified",
    "model.width": 2,
    "mixing.name": "generalized_mixup",
    "training.batch_size": 20,
}


def config_of(**changes):
    return TrialConfig.from_dotted(TINY, {key.replace("_", ".", 1): value for key, value in changes.items()})


def test_reports_of_short_epochs():
    seen = watching.epochs_of(Watch(config=config_of(), threads=1, gpu=False))
    first, second = next(seen), next(seen)
    assert 0 < second.load.step_s < 10 and second.began > first.began + first.load.step_s
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 10**7 < second.load.peak_bytes < second.load.memory_bytes == memory


@pytest.fixture
def logical_gpu(monkeypatch):
    """The epochs of a GPU, on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(LOGICAL_GPUS, "1")


def test_on_a_gpu_whole_epochs_are_timed(logical_gpu, monkeypatch):
    """Validation and the mixer's work between two epochs are in the time of a step, a share for each."""
    train_epoch = Trainer.train_epoch

    def with_a_rest(self):
        report = train_epoch(self)
        time.sleep(0.2)
        return report

    monkeypatch.setattr(Trainer, "train_epoch", with_a_rest)
    seen = watching.epochs_of(Watch(config=config_of(), threads=1, gpu=True, steps=20))
    next(seen)
    second = next(seen)
    assert second.load.steps == 20 and second.load.step_s >= 0.2 / 20
    short = watching.epochs_of(Watch(config=config_of(), threads=1, gpu=False))
    next(short)
    assert next(short).load.steps is None


@pytest.mark.parametrize("whole", [False, True])
def test_on_a_gpu_an_epoch_is_a_part_or_whole(logical_gpu, monkeypatch, whole):
    monkeypatch.setattr(watching, "EPOCH_S", 1e9 if whole else 0.5)
    monkeypatch.setattr(watching, "TIMING_S", 0.1)
    config = config_of(data_num_train=2000 if whole else 20_000)
    seen = watching.epochs_of(Watch(config=config, threads=1, gpu=True))
    next(seen)
    load = next(seen).load
    if whole:
        assert load.steps == 1800 // 20
    else:
        # how many steps last as long as asked is the next test's; a busy machine is slower a moment later
        assert 10 <= load.steps < 18_000 // 20


@pytest.mark.parametrize(("step_s", "steps"), [(0.0025, 600), (0.15, 10), (10.0, 10), (1e-4, 15_000)])
def test_as_many_steps_as_last(step_s, steps):
    assert watching.steps_that_last(step_s) == steps


def test_a_gpu_that_is_not_there_is_a_fault(logical_gpu, monkeypatch):
    monkeypatch.delenv(LOGICAL_GPUS)
    with pytest.raises(ValueError, match="but CUDA is not available there"):
        next(watching.epochs_of(Watch(config=config_of(), threads=1, gpu=True)))


@pytest.mark.parametrize("batches", ["shuffled", "stratified"])
def test_a_probe_trains_on_about_ten_batches(batches):
    config = config_of(data_batches=batches, mixing_name="mixup")
    whole = load(config.data, seed=0, device=torch.device("cpu"))
    short = few_batches(config, whole, num_batches=watching.STEPS)
    train = load(short.data, seed=0, device=torch.device("cpu")).train
    assert 9 <= len(train.targets) // 20 <= 11
    assert short.replace(data=config.data) == config


HELD = """
import torch
from tune_mixup.measuring.watching import host_memory
before, total = host_memory()
kept = torch.ones(50_000_000)
after, _ = host_memory()
print(after - before, total)
"""


def test_host_memory_grows_with_what_is_held():
    """In a process of its own: it is the most that a process has ever held."""
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    grown, total = map(int, done.stdout.split())
    assert 150 * 10**6 < grown < 300 * 10**6 and total > 10**9
