import enum
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_mixup.mixing.mixup import Mixup
from tune_mixup.plain_values import alike, plain, plain_by_key


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("mixup"), "mixup"),
        (np.array([1, 2]), [1, 2]),
        ((0.5, (1, "a")), [0.5, [1, "a"]]),
        ({"a": (np.int32(1), None)}, {"a": [1, None]}),
        (Level.HIGH, 3),
        (Path("/data/x"), "/data/x"),
    ],
)
def test_each_has_one_plain_form(value, expected):
    found = plain(value)
    assert found == expected and type(found) is type(expected)
    assert repr(found) == repr(expected)


def test_settings_of_a_part_are_a_mapping():
    assert plain(Mixup(alpha=0.5))["alpha"] == 0.5


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), 1j, {1: "a"}, math.nan, math.inf, [np.float64("nan")], b"bytes", 10**999],
    ids=lambda value: type(value).__name__,
)
def test_what_json_can_not_hold_is_refused_by_key(value):
    with pytest.raises(ValueError, match="^data.mean: got .*must be") as caught:
        plain_by_key({"data.mean": value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0.0, False, False),
        ([1, [2.0]], [1.0, [2]], True),
        ([1, True], [1, 1], False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ("1", 1, False),
        (None, 0, False),
    ],
)
def test_alike_tells_true_from_one(one, other, same):
    assert alike(one, other) is alike(other, one) is same


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below) | st.tuples(below) | st.dictionaries(st.text(), below),
)


@given(values)
def test_plain_values_stay_as_they_are(value):
    once = plain(value)
    assert repr(plain(once)) == repr(once)
