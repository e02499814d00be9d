"""The choice of how many trials share a GPU, on a simulated one that processes take turns on."""

import functools
from statistics import median

import pytest
from time_slicing import Job, pace, watched

from tune_mixup.measuring import probe, watching
from tune_mixup.measuring.packing import PER_GPU, Load, pack

GB = 10**9
LARGE = Job(steps=350, host_s=0.3e-3, device_s=2.5e-3, evaluation_s=0.05, between_s=0.03)
"""About ResNet-18 with batches of 128 as one graph a step, and 30 ms on the host between two epochs."""
LONG = Job(steps=2000, host_s=0.5e-3, device_s=8e-3, evaluation_s=0.8, between_s=0.08)
"""A network whose epoch takes 17 seconds, with the mixer's work for a hundred classes at its end."""
SMALL = Job(steps=350, host_s=0.8e-3, device_s=0.2e-3, evaluation_s=0.005, between_s=0.012)
"""A network of a few small layers, step by step: four to five of them fill the device."""
TINY = Job(steps=350, host_s=0.8e-3, device_s=0.05e-3, evaluation_s=0.002, between_s=0.012)
"""Eight of these do not hinder each other."""
HALF = Job(steps=350, host_s=0.8e-3, device_s=0.55e-3, evaluation_s=0.01, between_s=0.012)
"""Two fill the device."""


class Device:
    """A simulated GPU under a probe like ours; `seconds` are those that each number of copies was watched."""

    def __init__(self, job):
        self.job = job
        self.seconds, self.steps = {}, {}

    def measure(self, copies, steps=None):
        if steps is None:
            short, _ = watched(self.job.with_epochs_of(watching.STEPS), 1, epochs=3, seconds=watching.TIMING_S)
            steps = watching.steps_that_last(min(train for _, train, _ in short[0]) / watching.STEPS)
        job = self.job.with_epochs_of(steps)
        seen, self.seconds[copies] = watched(job, copies, epochs=probe.MIN_EPOCHS, seconds=probe.MIN_S)
        self.steps[copies] = job.steps
        step_s = max(median(whole for _, _, whole in one) for one in seen) / job.steps
        return Load(step_s, 1 * GB, 80 * GB, job.steps)


def by_ten_steps(job):
    """What was chosen before: training alone was timed, in epochs of ten steps, and a line was drawn through two."""
    step_s = {}
    for copies in (1, 2):
        seen, _ = watched(job.with_epochs_of(10), copies, epochs=3, seconds=3.0)
        step_s[copies] = max(median(train for _, train, _ in one) for one in seen) / 10
    expected = {k: k / max(step_s[1], step_s[1] + (step_s[2] - step_s[1]) * (k - 1)) for k in PER_GPU}
    return min(k for k in PER_GPU if expected[k] * 1.05 >= max(expected.values()))


@functools.cache
def true_paces(job):
    return {k: pace(job, k) for k in PER_GPU}


@functools.cache
def decided(job):
    """The device after it was measured, and the choice."""
    device = Device(job)
    return device, pack(device).per_gpu


@pytest.mark.parametrize("job", [LARGE, LONG, SMALL, TINY, HALF], ids=["large", "long", "small", "tiny", "half"])
def test_the_choice_is_within_five_percent_of_the_best(job):
    _, chosen = decided(job)
    paces = true_paces(job)
    assert paces[chosen] * 1.05 >= max(paces.values()), (chosen, paces)


def test_a_large_network_is_alone_and_a_small_one_is_not():
    assert decided(LARGE)[1] == 1 and decided(TINY)[1] == 8


def test_epochs_of_ten_steps_mislead():
    paces = true_paces(LARGE)
    assert paces[by_ten_steps(LARGE)] * 1.05 < max(paces.values())


@pytest.mark.parametrize(("job", "numbers"), [(LARGE, [1, 2]), (LONG, [1, 2]), (HALF, [1, 2, 4]), (TINY, [1, 2, 4, 8])])
def test_what_it_costs_and_when_it_stops(job, numbers):
    """The seconds of training; those in which the processes begin come to them."""
    device, _ = decided(job)
    assert list(device.seconds) == numbers, "it stops when more no longer pays"
    assert len(set(device.steps.values())) == 1, "the same epochs for every number"
    assert sum(device.seconds.values()) < 30, device.seconds


@pytest.mark.parametrize("job", [LARGE, LONG, SMALL])
def test_epochs_last_a_second_or_two_or_are_whole(job):
    device = Device(job)
    load = device.measure(1)
    assert 1 <= load.step_s * load.steps <= 2 or load.steps == job.steps


def test_the_model_itself():
    """Alone: the slower of host and device, then the rest one after the other; two that fill the device take turns."""
    alone = LARGE.steps * LARGE.device_s + LARGE.host_s + LARGE.evaluation_s + LARGE.between_s
    assert 1 / pace(LARGE, 1) == pytest.approx(alone)
    launched = TINY.steps * TINY.host_s + TINY.device_s + TINY.evaluation_s + TINY.between_s
    assert 1 / pace(TINY, 1) == pytest.approx(launched)
    device = (LARGE.steps * LARGE.device_s + LARGE.evaluation_s) / (1 - 0.1)
    assert 1 / pace(LARGE, 4) == pytest.approx(device, rel=0.02)
