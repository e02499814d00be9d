"""A trial that is watched, in this process; its memory in one of its own."""

import os
import subprocess
import sys

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import load
from tune_mixup.measuring import watching
from tune_mixup.measuring.messages import Watch
from tune_mixup.measuring.shortening import few_batches

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
