"""Searches on a made-up table: what they look up, and what is counted."""

import math

import numpy as np
import pytest

from benchmarks.recorded_curves import AXES, EPOCHS, Table
from benchmarks.simulation import Search, medians
from benchmarks.table_search import FREE, nearest

PLACES = [(i, j, k) for i in range(7) for j in range(5) for k in range(3)]
SETTINGS = [{key: values[at] for (key, values), at in zip(AXES.items(), place, strict=True)} for place in PLACES]


@pytest.fixture(scope="module")
def table():
    """Accuracy rises to a value that depends on the setting and, a little, on the seed."""
    rng = np.random.default_rng(0)
    final = 0.8 - 0.01 * np.array([(i - 4) ** 2 + (j - 1) ** 2 + 0.2 * k for i, j, k in PLACES])
    rise = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 3)
    accuracy = final[:, None, None] * rise + rng.normal(0, 0.001, (len(PLACES), 3, EPOCHS))
    return Table(SETTINGS, accuracy, {"made": "up"})


def test_a_setting_is_nearest_to_itself_and_to_what_is_around_it():
    assert [nearest(setting) for setting in SETTINGS] == list(range(len(SETTINGS)))
    for setting in SETTINGS:
        for key, values in AXES.items():
            half = math.sqrt(values[1] / values[0])
            for factor in (0.99 * half, 1 / (0.99 * half)):
                moved = {**setting, key: min(FREE[key].high, max(FREE[key].low, setting[key] * factor))}
                assert SETTINGS[nearest(moved)] == setting


def test_every_setting_has_an_equal_share_of_the_space():
    rng = np.random.default_rng(1)
    drawn = [
        nearest({key: math.exp(rng.uniform(math.log(free.low), math.log(free.high))) for key, free in FREE.items()})
        for _ in range(21_000)
    ]
    counts = np.bincount(drawn, minlength=len(SETTINGS))
    assert counts.min() > 130 and counts.max() < 270  # 200 on average, with a standard deviation of 14


def test_medians_are_of_the_last_five_epochs():
    assert medians(np.array([5.0, 1, 3, 2, 4, 9, 9])) == [5, 3, 3, 2.5, 3, 3, 4]


class InOrder(Search):
    """Asks for one setting after the other, stops those that are said, and remembers what it hears."""

    def __init__(self, table, seed, order=(3, 7, 3, 3, 3), stopped=()):
        super().__init__(table, seed)
        self.order, self.stopped_after, self.told, self.judged = order, dict(stopped), {}, 0

    def ask(self, trial):
        return self.order[trial % len(self.order)]

    def judge(self, trial, epoch, value):
        self.judged += 1
        return epoch >= self.stopped_after.get(trial, EPOCHS)

    def tell(self, trial, epoch, value):
        self.told[trial] = (epoch, value)


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_setting_that_comes_again_takes_the_next_seed(table, seed):
    done = InOrder(table, seed)
    done.run(lambda now: len(now.told) == 4)
    again = [trial for trial in sorted(done.told) if done.settings[trial] == 3]
    for turn, trial in enumerate(again):
        count = [t for t, setting in enumerate(done.settings) if setting == 3].index(trial)
        assert done.told[trial] == (EPOCHS, table.accuracy[3, (seed + count) % 3, -1]), turn


def test_epochs_of_unfinished_trials_count(table):
    done = InOrder(table, 0, stopped=dict.fromkeys(range(20), 2).items())
    done.run(lambda now: len(now.told) == 6)
    assert done.spent == done.steps[-1].spent == done.judged > 6 * 2
    assert [step.trained for step in done.steps] == [None] * 6
    assert done.stopped == [done.settings[trial] for trial in done.told]


def test_what_is_handed_on_was_trained_to_the_end_if_anything_was(table):
    best, poor = 4 * 15 + 3, 0  # the place of (4, 1, 0), and the worst
    done = InOrder(table, 0, order=[best, poor, best, best], stopped={0: 26, 2: 3, 3: 3}.items())
    done.run(lambda now: 1 in now.told and 0 in now.told)
    last = done.steps[-1]
    assert last.complete and last.incumbent == poor
