from typing import Annotated, Literal

import pytest
from pydantic import Field

from tune_mixup.faults import SHOWN, cut, near, shown
from tune_mixup.schema import Schema

LONG = "x" * 5000


class Inner(Schema):
    alpha: float = 1.0
    lives: int = Field(default=9, ge=1)
    kind: Literal["slow", "fast"] = "slow"
    share: Literal["uniform"] | Annotated[float, Field(ge=0)] = "uniform"
    on: bool = True
    word: str = ""
    names: tuple[str, ...] = ()


class Outer(Schema):
    inner: Inner = Inner()
    pair: Annotated[tuple[int, ...], Field(strict=False, min_length=2)] = (1, 2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"inner": {"alhpa": 1}}, "inner.alhpa: there is no such setting here (got 1); did you mean inner.alpha?"),
        ({"iner": {}}, "iner: there is no such setting here (got {}); did you mean inner?"),
        ({"inner": {"ALPHA": 1}}, "inner.ALPHA: there is no such setting here (got 1); did you mean inner.alpha?"),
        ({"zzz": 1}, "zzz: there is no such setting here (got 1); known: inner, pair"),
        ({"inner": {"alpha": None}}, "inner.alpha: got nothing, must be a number"),
        ({"inner": {"alpha": "a"}}, "inner.alpha: got 'a', must be a number"),
        ({"inner": {"lives": 1.5}}, "inner.lives: got 1.5, must be a whole number"),
        ({"inner": {"lives": 0}}, "inner.lives: got 0, must be greater than or equal to 1"),
        ({"inner": {"on": "si"}}, "inner.on: got 'si', must be true or false"),
        ({"inner": {"word": 3}}, "inner.word: got 3, must be a text"),
        ({"inner": {"kind": "fastt"}}, "inner.kind: got 'fastt', must be 'slow' or 'fast'; did you mean fast?"),
        ({"inner": {"kind": 3}}, "inner.kind: got 3, must be 'slow' or 'fast'"),
        ({"inner": 3}, "inner: got 3, must be a section of settings"),
        ({"inner": {"names": "a"}}, "inner.names: got 'a', must be a list, also where it has one entry; write ['a']"),
        ({"pair": [1]}, "pair: got [1] with 1, must have at least 2 entries"),
        ({"inner": {"share": "x"}}, "inner.share: got 'x', must be 'uniform' or a number"),
        ({"inner": {"alhpa": 1, "on": 3}}, "inner.on: got 3, must be true or false; inner.alhpa: there is no such "
         "setting here (got 1); did you mean inner.alpha?"),
    ],
)  # fmt: skip
def test_each_kind_of_fault_has_its_words(values, words):
    with pytest.raises(ValueError) as caught:
        Outer.parse(values)
    assert str(caught.value) == words


def test_a_value_that_is_nested_without_end_is_shown_in_words():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "an object of type list that is nested too deep to be shown"

    class Endless:
        def __repr__(self):
            return f"({self!r})"

    assert shown(Endless()) == "an object of type Endless that is nested too deep to be shown"
    while deep:  # freeing it at once may be too deep as well
        deep = deep.pop()


@pytest.mark.parametrize("values", [{LONG: 1}, {"inner": {"alpha": LONG}}, {"inner": {LONG: LONG}}, {"pair": [LONG]}])
def test_long_names_and_values_are_cut(values):
    with pytest.raises(ValueError) as caught:
        Outer.parse(values)
    assert len(str(caught.value)) < 400


def test_a_class_that_is_called_says_the_same():
    with pytest.raises(ValueError) as caught:
        Inner(alhpa=1)
    assert str(caught.value) == "alhpa: there is no such setting here (got 1); did you mean alpha?"


def test_what_is_shown_has_at_most_eighty_characters_in_one_line():
    assert shown("a\nb") == "'a\\nb'" and shown([1, 2]) == "[1, 2]"
    assert len(shown(LONG)) == len(cut(LONG)) == SHOWN == 80
    assert cut("short") == "short"


def test_the_nearest_is_found_whatever_the_case():
    assert near("Mixup", ["mixup", "cutmix"]) == "mixup"
    assert near("zebra", ["mixup", "cutmix"]) is None
