"""Strict, frozen settings and the one-line words for what is wrong with them.

Every component declares its settings as a subclass of `Schema`; keys are dotted everywhere a person meets them
(`mixing.alpha`), nested inside.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

ONE_LINE, NAMELESS = "one_line", "nameless"
"""Types of errors that our own validators raise: with `words` that say it all, and for a section without a name."""


class Schema(BaseModel):
    """Frozen settings: unknown keys, wrong types, NaN and infinity are refused; integers pass for floats."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from nested plain values. Raises ValueError with one line that names each bad key with dots."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(describe(error)) from None

    def replace(self, **changes: Any) -> Self:
        """A copy with the given fields changed, validated again."""
        return type(self).parse({**dict(self), **changes})


def nest(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` becomes `{"a": {"b": 1}}`.

    Raises ValueError where one key is both a value and a section, and where it stands twice: with dots and nested.
    """
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        *sections, last = key.split(".")
        if not all([*sections, last]):
            raise ValueError(f"the key {key!r} has an empty part; keys look like mixing.alpha")
        here = nested
        for section in sections:
            here = here.setdefault(section, {})
            if not isinstance(here, dict):
                raise ValueError(f"{key}: {section} has a value of its own, so it can't also be a section; drop one")
        if isinstance(value, Mapping):
            value = nest(value)
        if isinstance(here.get(last), dict):
            if not isinstance(value, dict):
                raise ValueError(f"{key} is a section, so it can't be set to {value!r}; set one of its keys")
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
    return f"{key} stands twice, with dots and within its section; keep one of the two"


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


def suggest(word: str, known: Sequence[str]) -> str:
    """` (did you mean x?)` for the nearest of `known`, else the whole list when it is short, else nothing."""
    near = get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(sorted(known))}" if 0 < len(known) <= 30 else ""


def describe(error: ValidationError) -> str:
    """All faults of a failed validation in one line, each with its dotted key, what came and what must hold."""
    return "; ".join(_fault(dict(detail)) for detail in error.errors(include_url=False))


def _fault(detail: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    got = repr(detail["input"])
    got = got if len(got) <= 80 else got[:77] + "..."
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: there is no such setting here (got {got}); see `tune-mixup check` for the settings"
        case "missing":
            return f"{key}: is missing; give it a value"
        case type_ if type_ == NAMELESS:
            return f"{key}: is missing; say which one the settings in {key.removesuffix('.name')} are for"
        case type_ if type_ == ONE_LINE:
            return f"{key}: {context['words']}"
        case "byte_size" | "byte_size_unit":
            return f"{key}: got {got}, must be a number of bytes, or one with a unit such as 500MB or 20GB"
        case "value_error":
            message = str(context["error"])
            return f"{key}: {message}" if key else message
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Value should ")
    return f"{key}: got {got}, must be {message}"
