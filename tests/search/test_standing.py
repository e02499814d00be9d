"""The estimate of what is left, on a made-up clock; expected values are worked out by hand."""

import random
from types import SimpleNamespace

import pytest
from fake_worker import create, plan
from optuna.trial import TrialState

from tune_mixup.search.session import Session
from tune_mixup.search.standing import Running
from tune_mixup.search.tally import Tally

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


class Clock:
    def __init__(self):
        self.s = 0.0

    def __call__(self):
        return self.s


def opened(tmp_path, clock, **options):
    config = plan(scheduler="none", **options)
    session = Session.open(create(tmp_path, config), config)
    session._standing._now = clock
    session._standing.begin(began=0.0)
    return session


def row(session, number, epoch, value=0.5):
    return {"epoch": epoch, session.config.metric: value, "epoch_s": 2.0, "diverged": 0}


def test_start_up_is_no_pace_and_the_clock_begins_with_the_command(tmp_path):
    clock = Clock()
    session = opened(tmp_path, clock, trials=4)
    first, second = session.next().number, session.next().number
    epochs = session.progress().running[0].epochs
    assert session.progress().eta_s is None
    for epoch in range(1, epochs + 1):  # workers were ready after 100 s; an epoch takes 2 s, two trials at a time
        clock.s = 100 + 2.0 * epoch
        session.report(first, row(session, first, epoch))
        if epoch < epochs:
            session.report(second, row(session, second, epoch, 0.75))
    session.complete(first, row(session, first, epochs))
    now = session.progress()
    assert now.elapsed_s == clock.s == 100 + 2 * epochs
    # One epoch of the second and two whole trials are left; the pace is 2 * epochs - 1 in 2 * epochs seconds.
    assert now.eta_s == pytest.approx((1 + 2 * epochs) * 2 * epochs / (2 * epochs - 1))
    assert now.running == (Running(trial=second, epoch=epochs - 1, epochs=epochs, value=0.75),)


def test_the_running_trials_come_best_first_and_five_at_most(tmp_path):
    session = opened(tmp_path, Clock(), trials=8)
    numbers = [session.next().number for _ in range(7)]
    for number, value in zip(numbers, (0.1, 0.6, 0.3, 0.5, 0.2), strict=False):
        session.report(number, row(session, number, 1, value))
    told = session.progress().running
    assert [one.value for one in told] == [0.6, 0.5, 0.3, 0.2, 0.1]
    session.report(numbers[0], row(session, numbers[0], 2, 0.9))
    assert session.progress().running[0].trial == numbers[0] and session.progress().running[0].epoch == 2


def test_trials_that_are_stopped_first_do_not_say_how_long_all_take():
    """One ended after 2 epochs while three others have gone on: of the next four, one is expected to end there too."""
    tally = Tally("maximize")

    def note(number, state, epoch):
        seen = {"number": number, "state": state, "last_step": epoch, "intermediate_values": {epoch: 0.5}}
        seen |= {"user_attrs": {}, "params": {"mixing.alpha": float(number)}, "value": 0.5}
        tally.note(SimpleNamespace(**seen), 10)

    note(0, TrialState.PRUNED, 2)
    for number in (1, 2, 3):
        note(number, TrialState.RUNNING, 4)
    assert tally.epochs_left(0, 10) == pytest.approx(0.25 * 2 + 0.75 * 10)
    assert tally.epochs_left(4, 10) == 6  # none has ended later
    note(1, TrialState.COMPLETE, 10)
    note(2, TrialState.PRUNED, 6)
    note(3, TrialState.COMPLETE, 10)
    assert tally.epochs_left(0, 10) == pytest.approx((2 + 6 + 10 + 10) / 4)  # the mean, once all have ended
    assert tally.epochs_left(4, 10) == pytest.approx((2 + 6 + 6) / 3)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_most_promising_trial_is_the_best_of_those_measured_as_they_are_now(direction):
    tally, draw, now = Tally(direction), random.Random(0), {}
    for _ in range(300):
        number, epoch = draw.randrange(12), draw.choice((0, 1, 2))
        if now.get(number, (TrialState.RUNNING,))[0] != TrialState.RUNNING:
            continue
        state = draw.choice([TrialState.RUNNING] * 20 + [TrialState.PRUNED, TrialState.FAIL])
        values = {epoch: draw.randrange(5) / 4} if epoch else {}
        now[number] = (state, values.get(epoch))
        seen = {"number": number, "state": state, "last_step": epoch or None, "intermediate_values": values}
        tally.note(SimpleNamespace(**seen, user_attrs={}, params={"x": number}, value=None), 10)
        told = [(value, number) for number, (state, value) in now.items() if value is not None and state.name != "FAIL"]
        best = (max if direction == "maximize" else min)((value for value, _ in told), default=None)
        assert tally.most_promising() == min((number for value, number in told if value == best), default=None)
