"""The additive fit against closed forms and against means that are taken in turn until they settle."""

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from tune_mixup.statistics import additive


def by_turns(values, *, rounds=4000):
    """Row levels and column effects as means of what the other leaves over, in turn; the levels over all columns."""
    levels = {row: 0.0 for row in values}
    columns = {column for found in values.values() for column in found}
    effects = dict.fromkeys(columns, 0.0)
    for _ in range(rounds):
        for row, found in values.items():
            levels[row] = fmean(value - effects[column] for column, value in found.items())
        for column in columns:
            effects[column] = fmean(found[column] - levels[row] for row, found in values.items() if column in found)
    return {row: level + fmean(effects.values()) for row, level in levels.items()}


@given(st.lists(st.lists(st.integers(0, 100), min_size=3, max_size=3), min_size=2, max_size=5))
def test_where_nothing_is_missing_means_are_plain_and_errors_those_of_the_two_way_layout(table):
    fit = additive({row: dict(enumerate(values)) for row, values in enumerate(table)})
    assert [fit.means[row] for row in range(len(table))] == pytest.approx([fmean(values) for values in table])
    grand, columns = fmean(map(fmean, table)), [fmean(column) for column in zip(*table, strict=True)]
    left = [v - fmean(row) - columns[c] + grand for row in table for c, v in enumerate(row)]
    freedom = (len(table) - 1) * 2
    assert fit.freedom == freedom
    assert fit.deviation == pytest.approx(math.sqrt(sum(one**2 for one in left) / freedom), abs=1e-6)
    assert fit.error(0, 1) == pytest.approx(fit.deviation * math.sqrt(2 / 3), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 9), st.lists(st.booleans(), min_size=4, max_size=4)), min_size=2, max_size=5))
def test_where_some_are_missing_levels_are_those_of_means_in_turn(rows):
    """All rows have column 0, so that they can be compared; the values are any."""
    values = {}
    for row, (level, there) in enumerate(rows):
        values[row] = {0: float(level)} | {
            column: float((7 * row + 3 * column * level) % 10) for column in (1, 2, 3) if there[column]
        }
    assert additive(values).means == pytest.approx(by_turns(values), abs=1e-4)


def test_two_rows_are_the_paired_t_test():
    one, other = [0.9, 0.7, 0.8, 0.65], [0.85, 0.72, 0.7, 0.6]
    fit = additive({"one": dict(enumerate(one)), "other": dict(enumerate(other))})
    t = (fit.means["one"] - fit.means["other"]) / fit.error("one", "other")
    assert fit.freedom == 3 and t == pytest.approx(ttest_rel(one, other).statistic)


def test_a_column_that_is_hard_for_all_does_not_count_against_those_who_have_it():
    fit = additive({"a": {0: 0.96, 1: 0.94, 2: 0.92}, "b": {0: 0.96, 1: 0.94}, "c": {0: 0.95, 1: 0.93}})
    assert fit.means == pytest.approx({"a": 0.94, "b": 0.94, "c": 0.93})


def test_rows_that_nothing_connects_keep_their_plain_means():
    fit = additive({"a": {0: 0.5, 1: 0.7}, "b": {2: 0.9}})
    assert fit.means == {"a": pytest.approx(0.6), "b": 0.9} and fit.deviation is None and fit.error("a", "b") is None


def test_without_repetition_nothing_is_known_of_the_noise():
    fit = additive({"a": {0: 0.5}, "b": {0: 0.9}})
    assert fit.means == pytest.approx({"a": 0.5, "b": 0.9}) and fit.deviation is None
