"""How late trials rise, by hand and on curves whose law is known."""

import math

import pytest
from scipy import stats

from tune_mixup.search.rise import rise, risen


def curve(tau, *, falls=False):
    """Nine tenths of the way are behind it after ln 10 of its time constants, and a little less for ending early."""
    values = {epoch: 1 - math.exp(-epoch / tau) for epoch in range(1, 101)}
    return {epoch: 1 - value if falls else value for epoch, value in values.items()}


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ({1: 0.1, 2: 0.5, 3: 0.9, 4: 0.92}, 3),
        ({1: 2.0, 2: 1.2, 3: 1.05, 5: 1.0}, 3),  # a loss
        ({1: 0.5, 4: 0.5}, None),
        ({3: 0.5}, None),
        ({1: 0.1, 2: 0.99, 3: 0.2, 4: 0.8}, 2),
    ],
)
def test_a_curve_has_risen_after_nine_tenths_of_its_way(values, epoch):
    assert risen(values) == epoch


@pytest.mark.parametrize("falls", [False, True])
def test_slow_starters_are_seen_in_either_direction(falls):
    strengths = [0.02 * number for number in range(1, 17)]
    taus = [5 * (1 + strength + 0.3 * (number % 2)) for number, strength in enumerate(strengths)]
    found = rise([(strength, curve(tau, falls=falls)) for strength, tau in zip(strengths, taus, strict=True)])
    last = [math.ceil(1 - tau * math.log(0.1 + 0.9 * math.exp(-99 / tau))) for tau in taus]  # from the value at epoch 1
    assert found.trials == 16
    assert found.correlation == pytest.approx(stats.spearmanr(strengths, last).statistic)
    assert 0 < found.low < found.correlation < found.high


def test_what_is_too_little_to_know_is_unknown():
    assert rise([]) == (0, None, -1.0, 1.0)
    assert rise([(0.1, curve(5)), (0.2, curve(9)), (0.3, curve(20))]).correlation is None
    same = [(0.01 * number, curve(5 + number % 3)) for number in range(30)]
    assert rise(same).correlation is None, "the strength has nothing to do with it"
    early = rise([(0.01 * number, curve(40 - number)) for number in range(20)])
    assert early.correlation == pytest.approx(-1, abs=0.01) and early.high < 0
