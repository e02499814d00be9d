import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tune_mixup.search.looks import POWER, boundaries, looks_up_to, seeds_to_resolve


def test_looks_are_those_up_to_the_most_seeds_which_is_the_last():
    assert looks_up_to(20) == (3, 5, 8, 12, 20)
    assert looks_up_to(30) == (3, 5, 8, 12, 20, 30)
    assert looks_up_to(3) == (3,) and looks_up_to(4) == (3, 4)
    assert looks_up_to(100)[-3:] == (50, 85, 100)


@pytest.mark.parametrize("seeds", [3, 8, 20])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_one_look_is_the_t_test(seeds, level):
    (bound,) = boundaries((seeds,), level)
    assert bound == pytest.approx(stats.t.ppf(1 - level / 2, seeds - 1), rel=0.02)


def test_for_many_seeds_the_boundaries_are_the_published_ones():
    """Lan-DeMets of the O'Brien-Fleming type, five equal looks, two-sided 5 %; the first look spends too little."""
    found = boundaries((2000, 4000, 6000, 8000, 10000), 0.05)
    assert found[0] == math.inf
    assert found[1:] == pytest.approx([3.3569, 2.6803, 2.2898, 2.0310], rel=0.01)


@pytest.mark.parametrize(("most", "level"), [(5, 0.05), (12, 0.025), (20, 0.05), (21, 0.05), (50, 0.0125)])
def test_a_slow_loop_over_t_tests_errs_as_often_as_was_allowed(most, level):
    """At all looks together, on either side alike."""
    series, looks = 40_000, looks_up_to(most)
    differences = np.random.default_rng(7).normal(size=(series, most))
    open_, sides = np.ones(series, bool), np.zeros(2, int)
    for seeds, bound in zip(looks, boundaries(looks, level), strict=True):
        t = stats.ttest_1samp(differences[:, :seeds], 0.0, axis=1).statistic
        sides += [(open_ & (t >= bound)).sum(), (open_ & (t <= -bound)).sum()]
        open_ &= np.abs(t) < bound
    for crossed in sides:
        assert abs(crossed - series * level / 2) < 4 * math.sqrt(series * level / 2)


def test_early_looks_spend_little():
    found = boundaries(looks_up_to(20), 0.05)
    assert found[:2] == (math.inf, math.inf) and 20 > found[2] > found[3] > found[4] > stats.t.ppf(0.975, 19)


def test_seeds_that_resolve_a_difference_have_the_power():
    """Against the power of the t test by the noncentral t."""
    for margin, sd, level in ((0.002, 0.0184, 0.05), (0.01, 0.0184, 0.05), (0.02, 0.0184, 0.025), (1.0, 0.8, 0.01)):
        seeds = seeds_to_resolve(margin, sd, level)

        def power(seeds, effect=margin / sd, level=level):
            bound = stats.t.ppf(1 - level / 2, seeds - 1)
            return stats.nct.sf(bound, seeds - 1, effect * math.sqrt(seeds))

        assert power(seeds - 2) < POWER < power(seeds + 1)


def test_the_documents_say_what_a_budget_resolves():
    """The table in docs/protocol.md, by the power of the t test at 1.3 points and independent settings."""
    text = (Path(__file__).parents[2] / "docs/protocol.md").read_text()
    found = re.findall(r"^\| ([0-9.]+) \| ([0-9]+) \| ([0-9]+) \|$", text, re.MULTILINE)
    assert len(found) >= 6
    for points, *numbers in found:
        for level, seeds in zip((0.05, 0.025), map(int, numbers), strict=True):
            effect = float(points) / (1.3 * math.sqrt(2))
            least = next(
                n for n in range(2, 2000)
                if stats.nct.sf(stats.t.ppf(1 - level / 2, n - 1), n - 1, effect * math.sqrt(n)) >= 0.8
            )  # fmt: skip
            assert abs(seeds - least) <= 1


def test_an_error_that_the_simulation_cannot_count_is_refused():
    with pytest.raises(ValueError, match="an error of 1e-05 for each comparison, must be at least 0.0002"):
        boundaries((3, 5), 1e-5)
