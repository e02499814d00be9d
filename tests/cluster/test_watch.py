"""When a worker that hangs is killed, on a clock of our own."""

from types import SimpleNamespace

import pytest

from tune_mixup.cluster import watch as module
from tune_mixup.cluster.watch import START_UP_S, Watch


class Clock:
    """Seconds that pass when they are told to, with a step of Ray's loop in each half."""

    def __init__(self, watch):
        self.now = 0.0
        self.watch = watch

    def passes(self, seconds):
        for _ in range(int(seconds * 2)):
            self.now += 0.5
            self.watch.on_step_begin(0, [])


@pytest.fixture
def watched(monkeypatch):
    killed = []
    searcher = SimpleNamespace(causes={})
    monkeypatch.setattr(module, "kill", killed.append)
    monkeypatch.setattr(module, "worker_of", lambda trial: trial.worker)
    clock = Clock(None)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    clock.watch = Watch(searcher, 10.0)
    return clock, SimpleNamespace(trial_id="a", worker="worker"), killed, searcher


def test_the_limit_counts_from_the_first_report(watched):
    clock, trial, killed, searcher = watched
    clock.watch.on_trial_start(0, [], trial)
    clock.passes(60)  # imports, the lock, reading
    clock.watch.on_trial_result(0, [], trial, {})
    clock.passes(10)
    assert not killed
    clock.passes(1)
    assert killed == ["worker"] and searcher.causes == {"a": "no report for 10 s, so its worker was killed"}


def test_a_worker_that_never_begins_is_killed_too(watched):
    clock, trial, killed, searcher = watched
    clock.watch.on_trial_start(0, [], trial)
    clock.passes(10 + START_UP_S)
    assert not killed
    clock.passes(1)
    assert killed == ["worker"]
    assert searcher.causes == {"a": f"it did not begin to train within {10 + START_UP_S:g} s, so its worker was killed"}


def test_each_start_has_its_time_again(watched):
    clock, trial, killed, _ = watched
    for _ in range(3):
        clock.watch.on_trial_start(0, [], trial)
        clock.passes(60)
        clock.watch.on_trial_result(0, [], trial, {})
        clock.watch.on_trial_error(0, [], trial)
        clock.passes(60)
    assert not killed
