import math
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from tune_mixup.parts import Part, PartOf
from tune_mixup.schema import Schema, flatten, merge, nest


class Pet(Part):
    pass


class Cat(Pet):
    name: Literal["cat"] = "cat"
    lives: int = Field(default=9, ge=1)


class Dog(Pet):
    name: Literal["dog"] = "dog"
    weight: float = 10.0


class House(Schema):
    pet: Annotated[Pet, PartOf({"cat": Cat, "dog": Dog}, "a pet")]
    rooms: int = 3


keys = st.text(alphabet="abc", min_size=1, max_size=2)
trees = st.recursive(
    st.dictionaries(keys, st.integers(), min_size=1, max_size=3),
    lambda below: st.dictionaries(keys, st.one_of(st.integers(), below), min_size=1, max_size=3),
    max_leaves=8,
)


@given(trees)
def test_nest_undoes_flatten(tree):
    assert nest(flatten(tree)) == tree


def test_a_key_has_at_most_twenty_sections():
    key = ".".join(["section"] * 20 + ["key"])
    assert flatten(nest({key: 1})) == {key: 1}
    with pytest.raises(ValueError, match=r"^section\.section.*: got 21 sections, must be at most 20; shorten it$"):
        nest({f"section.{key}": 1})


def test_merge_goes_below_sections_and_changes_neither():
    base, over = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "e": 5}
    assert merge(base, over) == {"a": {"b": 1, "c": 4}, "d": 3, "e": 5}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3} and over == {"a": {"c": 4}, "e": 5}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pet": {"name": "cat", "livs": 3}}, ["pet.livs", "no such setting", "got 3"]),
        ({"pet": {"name": "cat", "lives": 0}}, ["pet.lives", "got 0", "greater than or equal to 1"]),
        ({"pet": {"name": "cat", "lives": "many"}}, ["pet.lives", "'many'", "whole number"]),
        ({"pet": {"name": "cat", "lives": 1.5}}, ["pet.lives", "1.5", "whole number"]),
        ({"pet": {"name": "cat", "lives": True}}, ["pet.lives", "True", "whole number"]),
        ({"pet": {"name": "dog", "weight": math.nan}}, ["pet.weight", "nan", "finite"]),
        ({"pet": {"name": "dog", "weight": math.inf}}, ["pet.weight", "inf", "finite"]),
        ({"pet": {"name": "dgo"}}, ["pet.name", "'dgo'", "did you mean dog?"]),
        ({"pet": {"weight": 3.0}}, ["pet.name", "is missing", "say which"]),
        ({}, ["pet", "is missing"]),
        ({"pet": 3}, ["pet", "got 3"]),
        ({"pet": {"name": "cat", "lives": 0}, "rooms": "x"}, ["pet.lives", "rooms"]),
    ],
)
def test_faults_are_one_line_with_the_key_a_person_wrote(values, words):
    with pytest.raises(ValueError) as caught:
        House.parse(values)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message
    assert "pet.cat" not in message and "pet.dog" not in message


def test_integers_pass_for_floats_and_replace_validates_again():
    assert Dog.parse({"weight": 3}).weight == 3.0
    with pytest.raises(ValueError, match="lives: got 0"):
        Cat().replace(lives=0)


@pytest.mark.parametrize("dotted", [{"a": 1, "a.b": 2}, {"a.b": 2, "a": 1}, {"a..b": 1}, {"": 1}])
def test_contradicting_or_empty_keys_are_refused(dotted):
    with pytest.raises(ValueError):
        nest(dotted)
