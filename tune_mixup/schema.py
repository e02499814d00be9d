"""Strict, frozen settings and the one-line words for what is wrong with them.

Every component declares its settings as a subclass of `Schema`; keys are dotted everywhere a person meets them
(`mixing.alpha`), nested inside.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator

from tune_mixup.faults import NAMELESS as NAMELESS
from tune_mixup.faults import ONE_LINE as ONE_LINE
from tune_mixup.faults import SettingsFault, cut, describe, shown, with_known_keys
from tune_mixup.faults import suggest as suggest
from tune_mixup.pydantic_internals import for_calls_only

MOST_SECTIONS = 20
"""How many sections a dotted key may name; ours name two or three."""


class Schema(BaseModel):
    """Frozen settings: unknown keys, wrong types, NaN and infinity are refused; integers pass for floats."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @for_calls_only
    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsFault(describe(error)) from None

    @model_validator(mode="wrap")
    @classmethod
    def _with_known_keys(cls, values: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(values)
        except ValidationError as error:
            raise with_known_keys(error, cls.model_fields) from None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from nested plain values. Raises ValueError with one line that names each bad key with dots."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(describe(error)) from None

    def replace(self, **changes: Any) -> Self:
        """A copy with the given fields changed, validated again; itself where each is given the very object it has."""
        if all(key in self.__dict__ and self.__dict__[key] is value for key, value in changes.items()):
            return self
        return type(self).parse({**dict(self), **changes})


def nest(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` becomes `{"a": {"b": 1}}`.

    Raises ValueError where one key is both a value and a section, where it stands twice, with dots and nested, and
    where it names too many sections.
    """
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        *sections, last = key.split(".")
        if not all([*sections, last]):
            raise ValueError(f"the key {shown(key)} has an empty part; keys look like mixing.alpha")
        if len(sections) > MOST_SECTIONS:
            raise ValueError(f"{cut(key)}: got {len(sections)} sections, must be at most {MOST_SECTIONS}; shorten it")
        here = nested
        for section in sections:
            here = here.setdefault(section, {})
            if not isinstance(here, dict):
                raise ValueError(
                    f"{cut(key)}: {cut(section)} has a value of its own, so it can't also be a section; drop one"
                )
        if isinstance(value, Mapping):
            value = nest(value)
        if isinstance(here.get(last), dict):
            if not isinstance(value, dict):
                raise ValueError(f"{cut(key)} is a section, so it can't be set to {shown(value)}; set one of its keys")
            value = _joined(here[last], value, f"{key}.")
        elif last in here:
            raise ValueError(_twice(key))
        here[last] = value
    return nested


def _joined(one: dict[str, Any], other: dict[str, Any], prefix: str) -> dict[str, Any]:
    """What two nested mappings say together. Raises ValueError for a key of both."""
    joined = dict(one)
    for key, value in other.items():
        below = joined.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = _joined(below, value, f"{prefix}{key}.")
        elif key in joined:
            raise ValueError(_twice(f"{prefix}{key}"))
        joined[key] = value
    return joined


def _twice(key: str) -> str:
    return f"{cut(key)} stands twice, with dots and within its section; keep one of the two"


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The inverse of `nest`: `{"a": {"b": 1}}` becomes `{"a.b": 1}`. Raises ValueError for a key that stands twice."""
    dotted: dict[str, Any] = {}
    for key, value in nested.items():
        whole = f"{prefix}{key}"
        below = flatten(value, f"{whole}.") if isinstance(value, Mapping) and value else {whole: value}
        if twice := next((key for key in below if key in dotted), None):
            raise ValueError(_twice(twice))
        dotted.update(below)
    return dotted


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the nested values of `over` on top; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
