"""What pydantic must go on doing. A failure here names what a release has changed."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ByteSize, ConfigDict, Discriminator, ValidationError, field_validator


class Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    name: Literal["plain"] = "plain"
    alpha: float = 1.0


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Literal["other"]


class Whole(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    part: Annotated[Plain | Other, Discriminator("name")] = Plain()
    size: ByteSize = ByteSize(0)
    needed: int
    checked: int = 0

    @field_validator("checked")
    @classmethod
    def _small(cls, value: int) -> int:
        if value > 9:
            raise ValueError("got more than 9; take less")
        return value


@pytest.mark.parametrize(
    ("values", "kind", "place", "context"),
    [
        ({"needed": 1, "other": 2}, "extra_forbidden", ("other",), set()),
        ({}, "missing", ("needed",), set()),
        ({"needed": 1, "part": {"alpha": 1.0}}, "union_tag_not_found", ("part",), {"discriminator"}),
        ({"needed": 1, "part": {"name": "gone"}}, "union_tag_invalid", ("part",), {"tag", "expected_tags"}),
        ({"needed": 1, "size": "7 elephants"}, "byte_size_unit", ("size",), set()),
        ({"needed": 1, "size": "many"}, "byte_size", ("size",), set()),
        ({"needed": 1, "checked": 10}, "value_error", ("checked",), {"error"}),
        ({"needed": 1, "part": {"name": "plain", "alpha": "x"}}, "float_type", ("part", "plain", "alpha"), set()),
    ],
)
def test_faults_have_the_kinds_that_schema_puts_into_words(values, kind, place, context):
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(values)
    (fault,) = caught.value.errors(include_url=False)
    assert fault["type"] == kind, f"pydantic calls this fault {fault['type']!r}, and schema.py knows it as {kind!r}"
    assert fault["loc"] == place, "pydantic says in another way where a fault is; schema.py leaves out a union's tag"
    assert context <= set(fault.get("ctx", {})), f"the ctx of {kind} lacks what schema.py reads: {context}"
    assert {"input", "msg"} <= set(fault)


def test_the_context_of_an_unknown_tag_lists_the_known_ones():
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate({"needed": 1, "part": {"name": "gone"}})
    context = caught.value.errors()[0]["ctx"]
    assert context["tag"] == "gone"
    assert [tag.strip(" '") for tag in context["expected_tags"].split(",")] == ["plain", "other"]


def test_words_of_limits_begin_as_schema_cuts_them():
    """`must be greater than 0` is made from pydantic's message less `Input should be `."""

    class Limited(BaseModel):
        model_config = ConfigDict(strict=True)
        number: int

    with pytest.raises(ValidationError) as caught:
        Limited.model_validate({"number": "x"})
    assert caught.value.errors()[0]["msg"] == "Input should be a valid integer"
