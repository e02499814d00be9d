from dataclasses import replace

import pytest

from tune_mixup.search.retold import Retold, Source
from tune_mixup.search.standing import Running


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("t0000 begins", "t0007 (seed 12) begins"),
        ("t0003 COMPLETE: full budget", "t0002 (seed 13) COMPLETE: full budget"),
        ("t0001: the same as t0000", "t0007 (seed 13): the same as t0007 (seed 12)"),
        ("t0009 begins", "t0009 begins"),
        ("", ""),
    ],
)
def test_events_name_the_trials_whose_settings_are_trained_again(progress, message, expected):
    heard = []
    sources = {0: Source(7, 12), 1: Source(7, 13), 2: Source(2, 12), 3: Source(2, 13)}
    running = (Running(trial=1, epoch=2, epochs=9, value=0.5), Running(trial=2, epoch=1, epochs=9, value=None))
    told = progress(name="2-trials-2-seeds-0123abcd", best_trial=3, message=message, running=running)
    Retold(heard.append, "gm, evaluated", sources)(told)
    (one,) = heard
    assert (one.name, one.best_trial, one.message) == ("gm, evaluated", 2, expected)
    assert one.running == (replace(running[0], trial=7), replace(running[1], trial=2))
    assert (one.states, one.best_value, one.elapsed_s) == (told.states, told.best_value, told.elapsed_s)


def test_before_the_first_value_there_is_no_best_trial(progress):
    heard = []
    Retold(heard.append, "gm, evaluated", {0: Source(7, 12)})(progress(best_trial=None, message="t0000 begins"))
    assert heard[0].best_trial is None
