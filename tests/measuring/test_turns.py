"""Turns on a made-up machine with a made-up clock."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.bench import Ceilings, Parts
from tune_mixup.measuring.messages import CeilingsFound, Fault, FindCeilings, FindParts, PartsFound, Train, Trained
from tune_mixup.measuring.turns import HOPELESS, ROUNDS, STEPS, OutOfTime, measure
from tune_mixup.measuring.variants import Variant

BATCH = 20
CEILINGS_TAKE_S = 3.0
CONFIG = TrialConfig.from_dotted({"training.batch_size": BATCH, "model.width": 2, "data.train_limit": 200})
CEILING = itertools.repeat(1.0)
PARTS = Parts(*(0.5,) * len(Parts._fields))


class Machine:
    """Trains variants side by side at the speeds given (images/s) times `drift`; answers take their time."""

    def __init__(self, speeds, *, begin_s=1.0, drift=lambda turn: 1.0):
        self.speeds = speeds
        self.begin_s = begin_s
        self.drift = drift
        self.now = 0.0
        self.turns = 0
        self.started, self.running = [], 0
        self.requests = []
        self.faults = {}

    def clock(self):
        return self.now

    def start(self, threads):
        worker = Worker(self)
        self.started.append(threads)
        self.running += 1
        return worker


class Worker:
    def __init__(self, machine):
        self.machine = machine
        self.request = None
        self.warm = False
        self.stopped = False

    def ask(self, request):
        assert not self.stopped
        self.request = request
        self.asked_at = self.machine.now
        self.machine.requests.append(request)

    def answer(self, timeout_s):
        machine, request = self.machine, self.request
        speed = machine.speeds[width_of(request)]
        cost = 0.0 if self.warm else machine.begin_s
        cost += (
            CEILINGS_TAKE_S
            if isinstance(request, FindCeilings)
            else max(request.seconds, request.steps * BATCH / speed)
        )
        if self.asked_at + cost > machine.now + timeout_s:
            machine.now += max(0.0, timeout_s)
            return None
        machine.now = max(machine.now, self.asked_at + cost)
        self.warm = True
        if fault := machine.faults.pop(width_of(request), None):
            return Fault(words=fault)
        match request:
            case FindCeilings():
                return CeilingsFound(device="cpu", ceilings=Ceilings(next(CEILING) * 1e9, 1e9))
            case FindParts():
                return PartsFound(num_train=1000, parts=PARTS)
        if width_of(request) == 2:
            machine.turns += 1
        return Trained(images_per_s=speed * machine.drift(machine.turns))

    def stop(self):
        assert not self.stopped
        self.stopped = True
        self.machine.running -= 1


def width_of(request):
    return request.config.model.width


def trained(machine):
    return [request for request in machine.requests if isinstance(request, Train)]


def variant(width, **options):
    config = CONFIG.replace(model=CONFIG.model.replace(width=width))
    return Variant(f"width {width}", "given" if width == 2 else "settings", config, **options)


def run(machine, variants, seconds=120.0, device="cpu"):
    try:
        return measure(variants, seconds=seconds, start=machine.start, device=device, clock=machine.clock)
    finally:
        assert machine.running == 0


def test_a_machine_that_drifts_does_not_disturb_the_ratios():
    machine = Machine({2: 1000.0, 4: 1250.0, 8: 900.0}, drift=lambda turn: 1 + 0.3 * (turn % 3))
    found = run(machine, [variant(2), variant(4), variant(8)])
    given, faster, slower = found.tried
    assert len(given.rates) == ROUNDS and max(given.rates) > 1.5 * min(given.rates)
    assert given.ratios == []
    assert faster.ratios == pytest.approx([1.25] * ROUNDS) and slower.ratios == pytest.approx([0.9] * ROUNDS)
    assert (found.device, found.ceilings, found.parts, found.num_train) == ("cpu", Ceilings(1e9, 1e9), PARTS, 1000)


def test_variants_swap_places_from_round_to_round():
    machine = Machine({2: 1000.0, 4: 1000.0, 8: 1000.0})
    run(machine, [variant(2), variant(4), variant(8)])
    widths = [width_of(request) for request in trained(machine) if request.seconds == 1.0]
    assert widths[:6] == [2, 8, 4, 2, 4, 8]


@pytest.mark.parametrize(
    ("speed", "steps", "device"),
    [
        (1e6, STEPS["cpu"], "cpu"), (1000.0, 25, "cpu"), (80.0, 2, "cpu"), (1.0, 1, "cpu"),
        (1e6, STEPS["cuda"], "cuda"), (1e4, 250, "cuda"),
    ],
)  # fmt: skip
def test_an_epoch_takes_half_a_turn_where_it_can(speed, steps, device):
    machine = Machine({2: speed})
    run(machine, [variant(2)], seconds=120 if speed > 1 else 1200, device=device)
    assert [request.steps for request in machine.requests[:2]] == [1, steps]
    assert {request.steps for request in machine.requests[1:] if not isinstance(request, FindCeilings)} == {steps}


@settings(deadline=None, max_examples=60)
@given(
    speeds=st.lists(st.floats(0.1, 1e5), min_size=1, max_size=6),
    begin_s=st.floats(0, 60),
    seconds=st.floats(10, 300),
)
def test_it_stays_within_the_time(speeds, begin_s, seconds):
    machine = Machine({2 + place: speed for place, speed in enumerate(speeds)}, begin_s=begin_s)
    try:
        found = run(machine, [variant(2 + place) for place in range(len(speeds))], seconds)
        assert found.tried[0].rates and found.took_s == machine.now
    except OutOfTime as error:
        assert "--seconds" in str(error)
    assert machine.now <= seconds


def test_a_variant_that_never_begins_costs_the_others_nothing_but_time():
    machine = Machine({2: 1000.0, 4: 0.001, 8: 1100.0})
    given, late, other = run(machine, [variant(2), variant(4), variant(8)]).tried
    assert late.rates == [] and "too long" in late.fault
    assert len(other.ratios) >= 3 and other.ratios == pytest.approx([1.1] * len(other.ratios))


def test_a_variant_that_fails_beside_the_others_is_tried_once_more_alone():
    machine = Machine({2: 1000.0, 4: 1000.0})
    machine.faults = {4: "OutOfMemoryError"}
    assert run(machine, [variant(2), variant(4)]).tried[1].fault == ""


def test_a_variant_that_fails_again_says_why():
    machine = Machine({2: 1000.0, 4: 1000.0})
    machine.faults = Lasting({4: "OutOfMemoryError: no"})
    found = run(machine, [variant(2), variant(4)]).tried[1]
    assert (found.fault, found.rates, found.ratios) == ("OutOfMemoryError: no", [], [])


class Lasting(dict):
    def pop(self, key, default=None):
        return self.get(key, default)


def test_a_fault_of_the_trial_as_given_is_an_error():
    machine = Machine({2: 1000.0})
    machine.faults = Lasting({2: "ValueError: data.root: no such folder"})
    with pytest.raises(ValueError, match="no such folder"):
        run(machine, [variant(2)])


@pytest.mark.parametrize("begin_s", [1.0, 1000.0])
def test_too_little_time_for_the_trial_as_given_is_an_error(begin_s):
    with pytest.raises(OutOfTime, match="--seconds"):
        run(Machine({2: 0.01}, begin_s=begin_s), [variant(2)])


def test_variants_that_there_is_no_time_for_are_not_begun():
    machine = Machine({2: 10.0, 4: 10.0, 8: 10.0}, begin_s=5.0)  # an epoch is a step of 2 s
    found = run(machine, [variant(2), variant(4), variant(8)], seconds=40).tried
    assert [bool(one.fault) for one in found] == [False, False, True] and "--seconds" in found[2].fault
    assert len(found[1].ratios) >= 3 and len(machine.started) == 2


def test_how_long_it_needs_is_told_when_a_step_was_timed():
    machine, told = Machine({2: 10.0, 4: 10.0, 8: 10.0}, begin_s=5.0), []  # a step takes 2 s
    variants = [variant(2), variant(4), variant(8)]
    found = measure(variants, seconds=40, start=machine.start, clock=machine.clock, tell=told.append)
    # Three beginnings of 7 s, 3 x 4 + 9 steps of 2 s, ceilings of 4 s, and what is kept for the parts and the end.
    needed = 10 * -(-(21 + 42 + 4) / (1 - 1 / 30 - 1 / 12) // 10)
    assert told[0] == f"a step takes 2 s; 3 rounds of the 3 ways to run it need about {needed:.0f} s; 2 are tried"
    assert f"--seconds {needed:.0f}" in found.tried[2].fault and told[1] == "round 1 of at most 9"


def test_little_time_is_enough_to_say_how_fast_a_first_step_was():
    with pytest.raises(OutOfTime, match="give --seconds ") as caught:
        run(Machine({2: 2.0}), [variant(2)], seconds=15)  # a step takes 10 s
    assert caught.value.images_per_s == pytest.approx(2.0)
    with pytest.raises(OutOfTime, match="not even a step") as caught:
        run(Machine({2: 0.5}), [variant(2)], seconds=15)
    assert caught.value.images_per_s is None


def test_the_best_ceilings_count(monkeypatch):
    rising = iter([1.0, 3.0])
    monkeypatch.setitem(globals(), "CEILING", rising)
    found = run(Machine({2: 1000.0}), [variant(2)])
    assert found.ceilings == Ceilings(3e9, 1e9)


def test_a_variant_that_is_hopeless_gets_two_turns():
    machine = Machine({2: 1000.0, 4: 1000.0 * (HOPELESS - 0.1)})
    given, slow = run(machine, [variant(2), variant(4)]).tried
    assert len(given.rates) == ROUNDS and len(slow.ratios) == 2


def test_trials_at_once_have_processes_of_their_own_and_are_summed():
    machine = Machine({2: 1000.0, 4: 400.0})
    found = run(machine, [variant(2), variant(4, copies=3, threads=2)])
    assert machine.started == [1, 2, 2, 2]
    assert found.tried[1].ratios == pytest.approx([1.2] * ROUNDS)
    assert {request.threads for request in machine.requests if width_of(request) == 4} == {2}


def test_a_process_that_has_ended_is_no_matter_of_time():
    machine = Machine({2: 1000.0})
    machine.faults = Lasting({2: "its process ended with code -11"})
    with pytest.raises(ValueError, match="ended with code -11") as caught:
        run(machine, [variant(2)])
    assert not isinstance(caught.value, OutOfTime)
