"""Probes for real: processes that train on this machine's CPUs, alone and as Ray tasks."""

import os
import subprocess
import sys

import pytest
import torch
from ray import cloudpickle

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import load
from tune_mixup.measuring import probe, probe_process
from tune_mixup.measuring.packing import Load, OutOfMemory
from tune_mixup.measuring.probe import RayProbe, measure
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


@pytest.fixture
def soon(monkeypatch):
    """A short look is enough."""
    monkeypatch.setattr(probe, "MIN_EPOCHS", 2)
    monkeypatch.setattr(probe, "MIN_S", 0.0)


def request_of(config):
    return {"config": config.plain(), "threads": 1, "gpu": False}


def test_reports_of_short_epochs(monkeypatch):
    monkeypatch.setattr(probe_process, "set_threads", lambda threads: None)
    reports = probe_process.reports(request_of(config_of()))
    first, second = next(reports), next(reports)
    assert 0 < second["step_s"] < 10 and second["began"] > first["began"] + first["step_s"]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 10**7 < second["peak_bytes"] < second["memory_bytes"] == memory


@pytest.mark.parametrize("batches", ["shuffled", "stratified"])
def test_a_probe_trains_on_about_ten_batches(batches):
    config = config_of(data_batches=batches, mixing_name="mixup")
    whole = load(config.data, seed=0, device=torch.device("cpu"))
    short = few_batches(config, whole, num_batches=probe_process.STEPS)
    train = load(short.data, seed=0, device=torch.device("cpu")).train
    assert 9 <= len(train.targets) // 20 <= 11
    assert short.replace(data=config.data) == config


def test_data_that_is_small_or_rare_is_taken_as_it_is():
    small = config_of(data_num_train=200)
    assert few_batches(small, load(small.data, seed=0, device=torch.device("cpu")), num_batches=10) == small
    many = config_of(data_num_classes=20, data_num_train=400, data_validation_fraction=0.5)
    assert few_batches(many, load(many.data, seed=0, device=torch.device("cpu")), num_batches=10) == many


HELD = """
import torch
from tune_mixup.measuring.probe_process import host_memory
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


@pytest.mark.slow
def test_two_at_once_in_processes_of_their_own(soon):
    found = measure(request_of(config_of()), 2)
    assert set(found) == {"step_s", "peak_bytes", "memory_bytes"} and found["step_s"] > 0


@pytest.mark.slow
def test_a_fault_of_the_setting_is_one_line(ray_session):
    config = config_of(training_batch_size=3996)
    with pytest.raises(ValueError) as caught:
        RayProbe(config, threads=1, cpus=1, gpus=0, where={}).measure(1)
    assert "the probe of the largest setting failed: ValueError" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("raise torch.OutOfMemoryError('CUDA out of memory.')", {"out_of_memory": "CUDA out of memory."}),
        ("os.kill(os.getpid(), 9)", {"out_of_memory": "the host ran out of memory"}),
        ("os._exit(3)", {"fault": "its process ended with code 3"}),
    ],
)
def test_how_a_process_can_end(monkeypatch, tmp_path, ending, words):
    script = tmp_path / "ends.py"
    script.write_text(
        "import os, torch\n"
        "from tune_mixup.measuring import probe_process\n"
        f"def reports(request):\n    yield {{'step_s': 1.0}}\n    {ending}\n"
        "probe_process.reports = reports\n"
        "probe_process.main()\n"
    )
    monkeypatch.setattr(probe, "COMMAND", [probe.COMMAND[0], str(script)])
    assert measure({"threads": 1}, 1) == words


@pytest.mark.slow
def test_on_ray_with_what_the_node_says_of_its_memory(ray_session, soon):
    found = RayProbe(config_of(), threads=1, cpus=2, gpus=0, where={}, memory_bytes=123).measure(1)
    assert isinstance(found, Load) and found.memory_bytes == 123 and found.step_s > 0


def no_room(request, copies):
    return {"out_of_memory": f"no room for {copies}"}


def test_out_of_memory_reaches_the_driver(ray_session, monkeypatch):
    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.setattr(probe, "measure", no_room)
    with pytest.raises(OutOfMemory, match="no room for 2"):
        RayProbe(config_of(), threads=1, cpus=1, gpus=1, where={}).measure(2)
