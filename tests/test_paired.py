"""The statistics of pairs, against loops over all flips, closed forms, scipy and statsmodels."""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from tune_mixup.paired import Interval, holm, least_p, paired

OWN = {0: 0.91, 1: 0.93, 2: 0.90, 3: 0.95, 4: 0.92, 5: 0.94, 6: 0.93}
OTHER = {0: 0.90, 1: 0.90, 2: 0.92, 3: 0.91, 4: 0.89, 5: 0.90, 6: 0.92}
DIFFERENCES = [OWN[seed] - OTHER[seed] for seed in OWN]


def flips(differences):
    """The two-sided p of a sign-flip test, by trying every flip."""
    observed = sum(differences)
    sums = [
        sum(sign * one for sign, one in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    above = sum(one >= observed - 1e-12 for one in sums) / len(sums)
    below = sum(one <= observed + 1e-12 for one in sums) / len(sums)
    return min(1.0, 2 * min(above, below))


def test_mean_spread_and_t_interval():
    found = paired(OWN, OTHER)
    mean, sd = sum(DIFFERENCES) / 7, math.sqrt(sum((d - sum(DIFFERENCES) / 7) ** 2 for d in DIFFERENCES) / 6)
    half = 2.446911851 * sd / math.sqrt(7)  # the t table: 6 degrees of freedom, 97.5 %
    assert (found.pairs, found.lost) == (7, ())
    assert found.mean == pytest.approx(mean) and found.sd == pytest.approx(sd)
    assert found.by_t == pytest.approx(Interval(mean - half, mean + half))


@pytest.mark.parametrize("num", [2, 3, 5, 7])
def test_p_is_that_of_all_sign_flips(num):
    own, other = ({seed: values[seed] for seed in range(num)} for values in (OWN, OTHER))
    assert paired(own, other).p == pytest.approx(flips(DIFFERENCES[:num]))


def test_five_pairs_can_not_go_below_a_sixteenth():
    found = paired({seed: 1.0 + seed for seed in range(5)}, dict.fromkeys(range(5), 0.0))
    assert found.p == found.least_p == least_p(5) == 0.0625
    assert least_p(8) == 2 / 256 and least_p(0) == least_p(1) == 1.0


def test_twenty_pairs_are_flipped_at_random_and_nearly_give_the_p_of_the_t_test():
    differences = np.random.default_rng(3).normal(0.4, 1.0, 20)
    found = paired(dict(enumerate(differences)), dict.fromkeys(range(20), 0.0))
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    assert found == paired(dict(enumerate(differences)), dict.fromkeys(range(20), 0.0))


def test_the_bootstrap_is_bca_at_the_level_that_few_values_need():
    """By hand, after Efron (1987): bias and acceleration of the mean, and quantiles of the resampled means."""
    found = paired(OWN, OTHER).by_bootstrap
    d = np.array(DIFFERENCES)
    means = np.random.default_rng(11).choice(d, (200_000, 7)).mean(1)
    bias = stats.norm.ppf(((means < d.mean()).mean() + (means <= d.mean()).mean()) / 2)
    left_out = np.array([np.delete(d, place).mean() for place in range(7)])
    centred = left_out.mean() - left_out
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    reach = math.sqrt(7 / 6) * 2.446911851
    ends = []
    for z in (-reach, reach):
        part = bias + (bias + z) / (1 - acceleration * (bias + z))
        ends.append(np.quantile(means, stats.norm.cdf(part)))
    assert found == pytest.approx(ends, abs=0.1 * (ends[1] - ends[0]))
    assert found.high - found.low > 1.1 * (np.quantile(means, 0.975) - np.quantile(means, 0.025))


def test_how_often_one_beats_the_other():
    found = paired(OWN, OTHER)
    assert found.wins == pytest.approx(6 / 7)
    # Clopper and Pearson: quantiles of beta distributions
    assert found.wins_within == pytest.approx((stats.beta.ppf(0.025, 6, 2), stats.beta.ppf(0.975, 7, 1)))


def test_a_tie_counts_half_and_widens_the_interval_at_both_ends():
    found = paired({0: 1.0, 1: 2.0, 2: 3.0, 3: 0.0}, {0: 0.0, 1: 2.0, 2: 1.0, 3: 1.0})
    assert found.wins == 2.5 / 4
    assert found.wins_within == pytest.approx((stats.beta.ppf(0.025, 2, 3), stats.beta.ppf(0.975, 4, 1)))
    assert paired({0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}).wins_within == (0.0, 1.0)


def test_the_effect_has_no_bias():
    """Hedges' exact factor by gamma functions, and his approximation 1 - 3 / (4 f - 1)."""
    found = paired(OWN, OTHER)
    factor = special.gamma(3) / (math.sqrt(3) * special.gamma(2.5))
    assert found.effect == pytest.approx(found.mean / found.sd * factor)
    assert factor == pytest.approx(1 - 3 / (4 * 6 - 1), rel=2e-3)


def test_a_failed_replicate_is_named_and_makes_no_pair():
    found = paired({**OWN, 3: None, 7: 1.0}, {**OTHER, 5: None})
    left = [seed for seed in OWN if seed not in (3, 5)]
    assert (found.pairs, found.lost) == (5, (3, 5))
    assert found.mean == pytest.approx(sum(OWN[seed] - OTHER[seed] for seed in left) / 5)
    assert found.p == pytest.approx(flips([OWN[seed] - OTHER[seed] for seed in left]))


def test_too_few_pairs_say_little_and_none_says_nothing():
    one = paired({0: 0.5}, {0: 0.25})
    assert one.mean == 0.25
    assert (one.sd, one.by_t, one.by_bootstrap, one.p, one.effect) == (None,) * 5
    two = paired({0: 0.5, 1: 0.7}, {0: 0.25, 1: 0.25})
    assert two.by_t is not None and two.p == 0.5 and (two.by_bootstrap, two.effect) == (None, None)
    none = paired({0: None}, {0: 0.25})
    assert (none.pairs, none.lost, none.mean, none.wins, none.wins_within) == (0, (0,), None, None, None)


def test_differences_that_do_not_vary_have_no_interval():
    found = paired({0: 0.75, 1: 0.5, 2: 0.25}, {0: 0.5, 1: 0.25, 2: 0.0})
    assert (found.mean, found.sd) == (0.25, 0.0)
    assert (found.by_t, found.by_bootstrap, found.effect) == (None, None, None) and found.p == 0.25
    assert paired({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5}).p == 1.0


def test_holm_multiplies_by_what_is_left_and_never_falls():
    """The worked example of Holm's step-down: 0.01 * 4, 0.02 * 3, then max(0.06, 0.03 * 2), 0.04 * 1."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([0.03]) == [0.03] and holm([]) == []
