import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_mixup.distributions import canonical, choices, contains, ends, plain_range, read_range, value_at
from tune_mixup.log_steps import LogSteps


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        (LogSteps(0.001, 1.0, points=4), [0.001, 0.01, 0.1, 1.0]),
        (LogSteps(32, 256, factor=2), [32, 64, 128, 256]),
        (LogSteps(1, 4, points=5), [1.0, 2**0.5, 2.0, 2**1.5, 4.0]),
        (LogSteps(0.01, 0.08, factor=2), [0.01, 0.02, 0.04, 0.08]),
        (LogSteps(1e-200, 1e-198, points=3), [1e-200, 1e-199, 1e-198]),
        (LogSteps(1e200, 1e202, points=3), [1e200, 1e201, 1e202]),
    ],
)
def test_each_value_is_the_same_multiple_of_the_one_before(steps, values):
    assert steps.values == pytest.approx(values, rel=1e-11) and list(map(type, steps.values)) == list(map(type, values))
    assert choices(steps) == steps.values and ends(steps) == [values[0], values[-1]]
    assert all(contains(steps, value) and canonical(steps, value) in steps.values for value in values)
    assert not contains(steps, values[0] * 1.1) and not contains(steps, values[0] / 2) and not contains(steps, True)
    assert read_range(json.loads(json.dumps(plain_range(steps)))) == steps


def test_powers_are_written_as_one_would():
    assert LogSteps(0.001, 1.0, points=4).values == [0.001, 0.01, 0.1, 1.0]
    assert LogSteps(0.1, 0.8, factor=2).values == [0.1, 0.2, 0.4, 0.8]
    assert LogSteps(1, 2**45, factor=2).values == [2**power for power in range(46)]


@given(st.floats(0.0101, 0.99), st.integers(2, 30))
def test_the_nearest_is_nearest_by_ratio(value, points):
    steps = LogSteps(0.01, 1.0, points=points)
    slow = min(steps.values, key=lambda other: abs(math.log(other / value)))
    assert math.isclose(abs(math.log(steps.nearest(value) / value)), abs(math.log(slow / value)), abs_tol=1e-9)


def test_a_uniform_draw_from_what_the_study_holds_gives_each_value_the_same_share():
    """The range is wider by half a step at both ends, or the outermost values would come half as often."""
    steps = LogSteps(0.01, 0.16, factor=2)
    held = steps.in_study()
    draws = [value_at(held, (index + 0.5) / 1000) for index in range(1000)]
    assert Counter(map(steps.nearest, draws)) == {value: 200 for value in steps.values}
    assert Counter(value_at(steps, (index + 0.5) / 1000) for index in range(1000)) == dict.fromkeys(steps.values, 200)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"low": 0.1, "high": 1.0}, "neither"),
        ({"low": 0.1, "high": 1.0, "points": 3, "factor": 2}, "both"),
        ({"low": 0.1, "high": 1.0, "factor": 3}, "no power of 3 times 0.1; the nearest is 0.9"),
        ({"low": 1.0, "high": 0.1, "points": 3}, "low must be below high"),
        ({"low": 0.0, "high": 0.1, "points": 3}, "greater than 0"),
        ({"low": 0.1, "high": 1.0, "points": 1}, "greater than or equal to 2"),
        ({"low": 0.1, "high": 1.0, "factor": 0.5}, "factor above 1"),
    ],
)
def test_what_is_no_such_range_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        LogSteps(**arguments)
