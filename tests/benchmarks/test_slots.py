"""Trials side by side: who reports when, against a sorted list of all events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.slots import run


class Recorder:
    """Stops trial i after `stops[i]` epochs and writes down what it hears."""

    def __init__(self, stops=None):
        self.stops = stops
        self.heard = []

    def begin(self, trial):
        self.heard.append(("begin", trial, 0))
        return True

    def report(self, trial, epoch):
        self.heard.append(("report", trial, epoch))
        return self.stops is not None and epoch >= self.stops[trial]

    def end(self, trial, epoch):
        self.heard.append(("end", trial, epoch))


def test_reports_come_in_the_order_of_their_times():
    judge = Recorder()
    reached = run(judge, lambda trial: [(1, 2, 3), (1.5, 1.6, 1.7)][trial], epochs=3, slots=2, trials=2)
    assert reached == [3, 3]
    assert judge.heard == [
        ("begin", 0, 0), ("begin", 1, 0), ("report", 0, 1), ("report", 1, 1), ("report", 1, 2), ("end", 1, 3),
        ("report", 0, 2), ("end", 0, 3),
    ]  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(stops=st.lists(st.integers(1, 5), min_size=1, max_size=12), slots=st.integers(1, 5))
def test_every_trial_is_trained_until_it_is_stopped(stops, slots):
    judge = Recorder(stops)
    reached = run(judge, lambda trial: range(1, 6), epochs=5, slots=slots, trials=len(stops))
    assert reached == stops
    running = most = 0
    for what, _, _ in judge.heard:
        running += {"begin": 1, "end": -1, "report": 0}[what]
        most = max(most, running)
    assert most == min(slots, len(stops)) and running == 0


def test_a_freed_slot_is_taken_at_once():
    judge = Recorder(stops=[1, 5, 5])
    times = [(1, 2, 3, 4, 5), (10, 20, 30, 40, 50), (0.5, 1, 1.5, 2, 2.5)]
    run(judge, lambda trial: times[trial], epochs=5, slots=2, trials=3)
    assert [heard for heard in judge.heard if heard[0] != "report"] == [
        ("begin", 0, 0), ("begin", 1, 0), ("end", 0, 1), ("begin", 2, 0), ("end", 2, 5), ("end", 1, 5),
    ]  # fmt: skip


@pytest.mark.parametrize("after", [1, 7, 20])
def test_it_ends_when_it_is_over(after):
    judge = Recorder()

    def heard():
        return sum(what != "begin" for what, _, _ in judge.heard)

    reached = run(judge, lambda trial: range(1, 4), epochs=3, slots=2, over=lambda: heard() >= after)
    assert sum(reached) == after


class Waiting(Recorder):
    """Has one trial until that has ended, and two from then on."""

    def begin(self, trial):
        ended = any(what == "end" for what, _, _ in self.heard)
        return (trial == 0 or (ended and trial < 3)) and super().begin(trial)


def test_slots_that_found_nothing_to_begin_ask_again_once_a_trial_has_ended():
    judge = Waiting(stops=[2, 3, 3])
    assert run(judge, lambda trial: range(1, 4), epochs=3, slots=2) == [2, 3, 3]
    assert [heard for heard in judge.heard if heard[0] != "report"] == [
        ("begin", 0, 0), ("end", 0, 2), ("begin", 1, 0), ("begin", 2, 0), ("end", 1, 3), ("end", 2, 3),
    ]  # fmt: skip
