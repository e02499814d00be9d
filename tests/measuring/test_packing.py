"""The choice of how many trials share a device, on made-up devices, against trying every number."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.measuring.packing import (
    Load,
    OutOfMemory,
    Packed,
    Packing,
    Threading,
    choose_threads,
    pack,
    predicted_step_s,
)
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig

GB = 10**9
NUMBERS = (1, 2, 3, 4, 6, 8)


class Device:
    """Memory, and a curve that says how long a step takes when k trials run."""

    def __init__(self, step_s, *, peak=1 * GB, memory=80 * GB):
        self.step_s, self.peak, self.memory = step_s, peak, memory
        self.asked = []

    def measure(self, copies, steps=None):
        self.asked.append(copies)
        if copies * self.peak > self.memory:
            raise OutOfMemory
        return Load(self.step_s(copies), self.peak, self.memory)

    def pace(self, k):
        return k / self.step_s(k)


def turns(k):
    return 0.01 * k


def free(k):
    return 0.01


def saturating(k):
    """Room for two and a half trials."""
    return 0.01 * max(1, k / 2.5)


def line(k):
    return 0.008 + 0.002 * k


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Device(turns), 1),
        (Device(free), 8),
        (Device(line), 8),
        (Device(free, peak=9 * GB), 8),  # 72 of the 72 that are not left free
        (Device(free, peak=10 * GB), 6),
        (Device(free, peak=25 * GB), 2),
        (Device(free, peak=37 * GB), 1),
        (Device(lambda k: 0.01 if k == 1 else 0.0195 + 0.01 * (k - 2)), 1),  # 2.6 % more with two is not worth it
    ],
)
def test_the_number_for_a_curve_and_a_memory(device, expected):
    packing = pack(device)
    assert packing.per_gpu == expected and f"{expected} on a GPU" in packing.words


@settings(deadline=None, max_examples=200)
@given(
    base=st.floats(1e-4, 1.0),
    slope=st.floats(0.0, 1.0),
    peak=st.integers(1, 100),
    most=st.sampled_from([1, 2, 3, 5, 8, 100]),
)
def test_on_a_linear_curve_nothing_that_fits_is_five_percent_better_and_nothing_smaller_does(base, slope, peak, most):
    device = Device(lambda k: base * (1 - slope + slope * k), peak=peak * GB)
    k = pack(device, most=most).per_gpu
    fitting = [n for n in NUMBERS if n <= most and n * peak * GB <= 0.9 * 80 * GB] or [1]
    best = max(device.pace(n) for n in fitting)
    assert k in fitting
    assert device.pace(k) * 1.0500001 >= best
    assert all(device.pace(n) * 1.0499999 < best for n in fitting if n < k)
    assert device.asked == [n for n in (1, 2, 4, 8, fitting[-1]) if n in fitting][: len(device.asked)]


def test_a_device_that_is_full_from_some_number_on_keeps_its_pace():
    device = Device(saturating)
    best = max(device.pace(n) for n in NUMBERS)
    assert device.pace(pack(device).per_gpu) == pytest.approx(best)


def test_a_twin_that_runs_out_of_memory_means_one():
    class Deceptive(Device):
        def measure(self, copies, steps=None):
            if copies == 2:
                raise OutOfMemory
            return super().measure(copies)

    packing = pack(Deceptive(free))
    assert packing.per_gpu == 1 and packing.step_s == 0.01 and "2 at once ran out of memory" in packing.words


def test_a_setting_that_does_not_even_fit_alone_is_left_to_fail_as_a_trial():
    packing = pack(Device(free, peak=81 * GB))
    assert packing.per_gpu == 1 and packing.step_s is None and "exceeds even alone" in packing.words


def test_more_that_run_out_of_memory_mean_no_more_than_were_measured():
    class Deceptive(Device):
        def measure(self, copies, steps=None):
            if copies == 4:
                raise OutOfMemory
            return super().measure(copies, steps)

    device = Deceptive(free)
    packing = pack(device)
    assert (packing.per_gpu, device.asked) == (2, [1, 2]) and "4 at once ran out of memory" in packing.words


def test_all_numbers_are_measured_with_the_epochs_of_the_first():
    class Choosing(Device):
        def measure(self, copies, steps=None):
            epochs.append(steps)
            return super().measure(copies)._replace(steps=steps or 321, device="NVIDIA A100 MIG 1g.5gb")

    epochs = []
    packing = pack(Choosing(free))
    assert epochs == [None, 321, 321, 321]
    assert "takes 1 GB of 80 GB of NVIDIA A100 MIG 1g.5gb and 10 ms a step" in packing.words


def test_no_twin_is_started_that_has_no_room_or_no_cpu():
    small = Device(free, peak=41 * GB)
    assert "no room" in pack(small).words and small.asked == [1]
    assert "no CPUs" in pack(Device(free), most=1).words


def test_the_words_say_what_was_measured():
    assert pack(Device(line, peak=2_500_000_000)).words == (
        "8 on a GPU: the largest setting takes 2.5 GB of 80 GB and 10 ms a step, with 2 at once 12 ms, with 4 at once "
        "16 ms, with 8 at once 24 ms; 3.3 times the trials per hour"
    )


@pytest.mark.parametrize("copies", NUMBERS)
def test_the_law_is_exact_for_lines_and_never_faster_than_alone(copies):
    for curve in (turns, line):
        assert predicted_step_s(copies, {1: curve(1), 2: curve(2)}) == pytest.approx(curve(copies))
        assert predicted_step_s(copies, {k: curve(k) for k in (1, 2, 4, 8)}) == pytest.approx(curve(copies))
    assert predicted_step_s(copies, {1: 0.01, 2: 0.009}) == 0.01  # a twin that seems to help is noise
    assert predicted_step_s(copies, {1: 0.01}) == 0.01


def test_between_two_numbers_that_were_measured_the_law_promises_no_more_than_there_is():
    measured = {k: saturating(k) for k in (1, 2, 4)}
    assert predicted_step_s(3, measured) == pytest.approx((saturating(2) + saturating(4)) / 2)
    assert predicted_step_s(3, measured) >= saturating(3)


@pytest.mark.parametrize("per_gpu", [1, 2, 3, 4, 6, 8])
def test_as_many_shares_as_trials_make_at_most_a_gpu_and_leave_less_than_one_over(per_gpu):
    share = Packing(per_gpu=per_gpu, words="").share
    tenthousandths = round(share * 10**4)
    assert share == tenthousandths / 10**4, "Ray counts in ten-thousandths"
    assert per_gpu * tenthousandths <= 10**4 < (per_gpu + 1) * tenthousandths


def test_one_less_after_another():
    packing, seen = Packing(per_gpu=8, words="measured"), []
    while packing is not None:
        seen.append(packing.per_gpu)
        packing = packing.lowered("trial 3 ran out of memory")
    assert seen == [8, 6, 4, 3, 2, 1]
    assert Packing(per_gpu=2, words="").lowered("why").words == "1 on a GPU, since why"


# Threads


class Host:
    """Cores, and what a step takes with so many threads when so many trials run."""

    def __init__(self, step_s, *, cores, peak=1 * GB, memory=80 * GB):
        self.step_s, self.cores, self.peak, self.memory = step_s, cores, peak, memory
        self.asked = []

    def with_threads(self, threads):
        host = self

        class Probe:
            def measure(self, copies, steps=None):
                host.asked.append((threads, copies))
                if copies * host.peak > host.memory:
                    raise OutOfMemory
                return Load(host.step_s(threads, copies), host.peak, host.memory)

        return Probe()

    def pace(self, threads):
        return self.cores // threads / self.step_s(threads, self.cores // threads)


def poorly(threads, copies):
    """Amdahl with half of the work serial."""
    return 0.1 * (0.5 + 0.5 / threads)


def starved(threads, copies):
    """Trials of one thread each starve one another of memory bandwidth; threads of one trial share its tensors."""
    return 0.1 / threads * (1 + 0.3 * (copies - 1))


@pytest.mark.parametrize(
    ("host", "threads"),
    [
        (Host(poorly, cores=8), 1),
        (Host(poorly, cores=1), 1),
        (Host(starved, cores=8), 8),
        (Host(poorly, cores=8, peak=15 * GB), 2),  # eight would need 120 GB, four 60
        (Host(poorly, cores=8, peak=60 * GB), 8),
        (Host(lambda threads, copies: 0.1 / threads, cores=8), 8),  # no difference: fewer trials, more memory for each
    ],
)
def test_threads_for_a_host(host, threads):
    found = choose_threads(host.with_threads, cores=host.cores)
    assert found.threads == threads and f"{threads} threads a trial on {host.cores} cores" in found.words


@settings(deadline=None, max_examples=100)
@given(
    cores=st.integers(1, 64),
    serial=st.floats(0.0, 1.0),
    contention=st.floats(0.0, 0.5),
    peak=st.integers(1, 80),
)
def test_no_number_of_threads_that_fits_is_five_percent_better(cores, serial, contention, peak):
    def step_s(threads, copies):
        return (serial + (1 - serial) / threads) * (1 + contention * (copies - 1))

    host = Host(step_s, cores=cores, peak=peak * GB)
    candidates = [t for t in (1, 2, 4, 8, 16, 32, 64) if t <= cores]
    fitting = [t for t in candidates if cores // t == 1 or cores // t * peak <= 0.9 * 80]
    threads = choose_threads(host.with_threads, cores=cores).threads
    assert threads in fitting
    assert host.pace(threads) * 1.0500001 >= max(host.pace(t) for t in fitting)
    assert all(copies * peak <= 0.9 * 80 or copies == 1 for _, copies in host.asked), "it tried what can't fit"


def test_a_host_that_is_too_small_for_one():
    with pytest.raises(OutOfMemory):
        choose_threads(Host(poorly, cores=4, peak=81 * GB).with_threads, cores=4)


# What a sweep keeps of it


def test_a_decision_gives_a_configuration_numbers_and_words_and_survives_the_record():
    space = SearchSpace(fixed={"data.name": "synthetic"}, free={})
    config = SweepConfig.parse({"name": "s", "space": space, "gpus_per_trial": "auto", "cpus_per_trial": 2.0})
    decision = Packed(gpus={"A": Packing(per_gpu=8, words="eight"), "B": Packing(per_gpu=3, words="three")})
    applied = decision.applied(config)
    assert (applied.gpus_per_trial, applied.cpus_per_trial) == (0.3333, 2.0)
    assert decision.words() == "A: eight; B: three" and Packed().words() == ""
    assert Packed.parse(decision.model_dump(mode="json")) == decision
    assert Packed(gpus={"": Packing(per_gpu=1, words="one")}).words() == "one"
    threads = Packed(cpus=Threading(threads=4, words="four"))
    assert threads.applied(config.replace(gpus_per_trial=0.0, cpus_per_trial="auto")).cpus_per_trial == 4.0
    assert threads.words() == "four" and Packed.parse(threads.model_dump(mode="json")) == threads
    assert Packed().applied(config) == config
