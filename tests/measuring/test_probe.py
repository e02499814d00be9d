"""Copies of a trial beside each other: with made-up processes, and for real on this machine's CPUs."""

import math

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.measuring import probe
from tune_mixup.measuring.messages import EpochSeen, Fault, Watch
from tune_mixup.measuring.packing import Load, OutOfMemory
from tune_mixup.measuring.probe import NodeProbe, Place, together

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


WATCH = Watch(config=config_of(), threads=3, gpu=False)
BEFORE, LATER = 0.0, math.inf


@pytest.fixture
def soon(monkeypatch):
    """A short look is enough."""
    monkeypatch.setattr(probe, "MIN_EPOCHS", 2)
    monkeypatch.setattr(probe, "MIN_S", 0.0)


class Children:
    """Processes that say what is in their script, one script each."""

    def __init__(self, *scripts):
        self.scripts = [iter(script) for script in scripts]
        self.threads, self.asked = [], []
        self.running = 0

    def __call__(self, threads):
        self.threads.append(threads)
        self.running += 1
        return One(self, self.scripts[len(self.threads) - 1])


class One:
    def __init__(self, children, script):
        self.children, self.script = children, script

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.children.running -= 1

    def ask(self, request):
        self.children.asked.append(request)

    def answer(self):
        assert len(self.children.asked) == len(self.children.scripts), "all train before one is listened to"
        return next(self.script)


def epoch(began, step_s, peak_bytes=10, memory_bytes=100):
    return EpochSeen(began=began, load=Load(step_s, peak_bytes, memory_bytes))


def test_the_slowest_copy_and_the_largest_memory_of_epochs_that_all_began_warm(soon, monkeypatch):
    children = Children(
        [epoch(BEFORE, 90, 999), epoch(BEFORE, 80, 999), epoch(LATER, 1, 10), epoch(LATER, 3, 30)],
        [epoch(BEFORE, 70, 999), epoch(LATER, 0.5, 40), epoch(LATER, 0.7, 20, 101)],
    )
    monkeypatch.setattr(probe, "Child", children)
    assert together(WATCH, 2) == Load(step_s=2, peak_bytes=40, memory_bytes=101)
    assert (children.threads, children.asked, children.running) == ([3, 3], [WATCH, WATCH], 0)


def test_steps_and_device_are_those_of_the_copies(soon, monkeypatch):
    load = Load(1.0, 10, 100, 321, "NVIDIA A100")
    seen = [EpochSeen(began=BEFORE, load=load), *[EpochSeen(began=LATER, load=load)] * 2]
    monkeypatch.setattr(probe, "Child", Children(seen))
    assert together(WATCH, 1) == load


@pytest.mark.parametrize("late", [0, 2])
def test_a_fault_of_one_copy_is_what_was_found(soon, monkeypatch, late):
    fault = Fault(words="no room", out_of_memory=True)
    children = Children(
        [epoch(BEFORE, 1), epoch(LATER, 1), epoch(LATER, 1)], [*[epoch(BEFORE, 1), epoch(LATER, 1)][:late], fault]
    )
    monkeypatch.setattr(probe, "Child", children)
    assert together(WATCH, 2) == fault and children.running == 0


@pytest.mark.parametrize(
    ("epochs", "seconds", "expected"), [(3, 3.0, True), (2, 19.0, False), (99, 2.9, False), (1, 20.0, True)]
)
def test_how_long_a_copy_is_watched(epochs, seconds, expected):
    assert probe._enough(epochs, seconds) is expected


def probe_that_finds(found, asked, **options):
    def run(watch, copies, place):
        asked.append((watch, copies, place))
        return found

    return NodeProbe(run, config_of(), **options)


PLACE = Place(cpus=2, gpus=1, where={"accelerator_type:A": 0.001})


@pytest.mark.parametrize(("memory_bytes", "expected"), [(None, 100), (70, 70)])
def test_a_probe_asks_for_its_place_and_knows_its_memory(memory_bytes, expected):
    asked = []
    found = probe_that_finds(Load(1.0, 10, 100), asked, threads=2, place=PLACE, memory_bytes=memory_bytes).measure(4)
    assert found == Load(1.0, 10, expected)
    assert asked == [(Watch(config=config_of(), threads=2, gpu=True), 4, PLACE)]


def test_a_probe_asks_for_epochs_of_as_many_steps_as_before_and_hands_on_what_was_found():
    asked = []
    found = Load(1.0, 10, 100, 321, "NVIDIA A100 MIG 1g.5gb")
    assert probe_that_finds(found, asked, threads=1, place=PLACE).measure(2, 321) == found
    assert asked[0][0].steps == 321


def test_out_of_memory_and_faults_are_told_apart():
    with pytest.raises(OutOfMemory, match="no room"):
        probe_that_finds(Fault(words="no room", out_of_memory=True), [], threads=1, place=PLACE).measure(2)
    with pytest.raises(ValueError, match="^the probe of the largest setting failed: broken; give a number"):
        probe_that_finds(Fault(words="broken"), [], threads=1, place=PLACE).measure(2)


@pytest.mark.slow
def test_two_at_once_in_processes_of_their_own(soon):
    found = together(Watch(config=config_of(), threads=1, gpu=False), 2)
    assert isinstance(found, Load) and found.step_s > 0 and 0 < found.peak_bytes < found.memory_bytes
