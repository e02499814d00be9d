"""When a rung is dropped, by hand; and how often over whole sweeps, by simulation with fixed seeds."""

import math

import numpy as np
import pytest

from tune_mixup.search.control import Course, Evidence, evidence
from tune_mixup.search.longer_grace import ERROR, longer_grace, looked_at, spent

SWEEPS = 800
"""Simulated per case: the standard error of a share of 5 % is 0.8 points."""


def table(courses):
    """What the control group says of its rungs."""
    rungs = sorted({rung for course in courses for rung in course.at_rungs})
    return evidence(courses, rungs, reduction_factor=3, compared={})


def drawn(rng, num, true, *, rungs=1, strata=1):
    """Courses whose values at each rung have the rank correlation `true` with the end, normal on both sides."""
    r = 2 * math.sin(math.pi * true / 6)
    finals = rng.normal(size=num)
    values = r * finals + math.sqrt(1 - r**2) * rng.normal(size=(rungs, num))
    groups = rng.integers(0, strata, num)
    return [
        Course(str(groups[i]), {10 * 3**rung: float(values[rung, i]) for rung in range(rungs)}, float(finals[i]))
        for i in range(num)
    ]


def share_dropped(num, true, **options):
    """In how many sweeps of `num` control trials a rung is dropped."""
    rng = np.random.default_rng(1)
    sweeps = [drawn(rng, num, true, **options) for _ in range(SWEEPS)]
    return sum(longer_grace(courses, table, from_trial=0) is not None for courses in sweeps) / SWEEPS


def test_the_looks_spend_what_there_is_and_no_more():
    assert [spent(look) for look in (1, 2, 3)] == pytest.approx([0.025, 0.0125, 0.00625])
    assert sum(spent(look) for look in range(1, 60)) == pytest.approx(ERROR)


@pytest.mark.parametrize("num", [10, 20, 50])  # the control group of 200, 400 and 1000 trials
@pytest.mark.parametrize("options", [{}, {"rungs": 2}, {"strata": 3}], ids=["one rung", "two rungs", "three strata"])
def test_a_rung_that_foretells_the_end_is_dropped_in_at_most_one_sweep_of_twenty(num, options):
    assert share_dropped(num, 0.5, **options) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / SWEEPS)
    assert share_dropped(num, 0.7, **options) <= 0.02


@pytest.mark.parametrize(("num", "least"), [(10, 0.15), (20, 0.4), (50, 0.65)])
def test_a_rung_that_says_nothing_is_dropped_often(num, least):
    assert share_dropped(num, 0.0) > least
    assert share_dropped(num, -0.3) > share_dropped(num, 0.0)


def about(rung, correlation, num=8):
    return Evidence(rung, num, correlation, -1.0, 1.0, num, None)


def looked(tables, num):
    """The epochs of the grace, where `tables` hold what each look is told, and the numbers of trials at the looks."""
    asked = []

    def told(courses):
        asked.append(len(courses))
        return tables[len(asked) - 1]

    found = longer_grace([Course("", {}, 0.0)] * num, told, from_trial=7)
    return (None if found is None else found.epochs), asked


def test_longer_grace_are_at_eight_trials_and_twice_as_many_each_time():
    nothing = [[about(10, 0.9)]] * 9
    assert looked(nothing, 7) == (None, []) and looked(nothing, 8) == (None, [8])
    assert looked(nothing, 15) == (None, [8]) and looked(nothing, 70) == (None, [8, 16, 32, 64])


@pytest.mark.parametrize(
    ("correlation", "num", "dropped"),
    # tanh(atanh(r) + 1.96 sqrt((1 + r^2 / 2) / 5)) is 0.53 for r = -0.3 and 0.45 for r = -0.4
    [(-0.3, 8, False), (-0.4, 8, True), (None, 8, False), (-0.9, 3, False)],
)
def test_the_limit_by_hand(correlation, num, dropped):
    assert looked([[about(10, correlation, num)]], 8) == (11 if dropped else None, [8])


def test_with_more_rungs_each_has_less_to_err_with():
    # with 2.24 in place of 1.96 it is 0.55 for r = -0.4
    assert looked([[about(10, -0.4)]], 8)[0] == 11
    assert looked([[about(10, -0.4), about(30, 0.9)]], 8)[0] is None


def test_the_grace_ends_behind_the_last_rung_that_any_look_spoke_against():
    early, late = [about(10, -0.9), about(30, -0.8), about(90, 0.9)], [about(10, 0.9, 16), about(30, 0.9, 16)]
    assert looked([early, late], 16) == (31, [8, 16]), "what a look has said stays"
    found = longer_grace([Course("", {}, 0.0)] * 8, lambda courses: early, from_trial=7)
    assert found.from_trial == 7 and found.why.startswith("no trial is compared before epoch 31: in the first 8 trials")


def test_the_last_look_so_far_is_at_eight_trials_and_then_at_twice_as_many():
    looks = [8, 16, 32, 64]
    assert [looked_at(num) for num in range(100)] == [
        max((one for one in looks if one <= num), default=0) for num in range(100)
    ]
