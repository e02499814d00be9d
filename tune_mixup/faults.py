"""What is wrong with settings, in a line of plain words: what came, what must hold, what to do.

Settings are validated by pydantic, whose own words are for programmers; here each of its kinds of faults gets ours.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import groupby
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

ONE_LINE, NAMELESS, UNKNOWN = "one_line", "nameless", "unknown"
"""Kinds of faults of our own: with `words` that say it all, for a section without a name, and for a key that is not
there, with those that are `known`."""
SHOWN = 80
"""Characters of a value that is shown in a message."""

ALIKE = 0.65
"""How much of two words must agree for one to be meant by the other; `bayes` and `cmaes` agree in 0.6."""

_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a section of settings",
    "mapping_type": "a section of settings",
    "model_type": "a section of settings",
    "model_attributes_type": "a section of settings",
    "byte_size": "a number of bytes, or one with a unit such as 500MB or 20GB",
    "byte_size_unit": "a number of bytes, or one with a unit such as 500MB or 20GB",
}
"""Kinds of pydantic's faults -> what must be there instead."""
_OF_UNION = re.compile(r"(constrained-)?(int|float|str|bool|none)|literal\[.*\]")
"""How pydantic calls one of several types that a field may have; it stands where the key would."""
_CORE = frozenset(get_args(ErrorType))


class SettingsFault(ValueError):
    """What is wrong with settings that a class was called with; the message names each bad key."""


def shown(value: object, limit: int = SHOWN) -> str:
    """A value as Python writes it, in one line of at most `limit` characters."""
    try:
        text = " ".join(repr(value[: 2 * limit] if isinstance(value, str) else value).split())
    except RecursionError:
        text = f"an object of type {type(value).__name__} that is nested too deep to be shown"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def cut(text: str, limit: int = SHOWN) -> str:
    """A name or another text as it is, as far as it has at most `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def near(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was most likely meant to be, also where only the case of its letters is wrong."""
    listed = list(known)
    small = {one.lower(): one for one in listed}
    found = get_close_matches(word[:SHOWN], listed, n=1, cutoff=ALIKE)
    others = (small[one] for one in get_close_matches(word[:SHOWN].lower(), small, n=1, cutoff=ALIKE))
    return found[0] if found else next(others, None)


def suggest(word: str, known: Sequence[str]) -> str:
    """`; did you mean x?` for the nearest of `known`, else the whole list when it is short, else nothing."""
    if (meant := near(word, known)) is not None:
        return f"; did you mean {meant}?"
    return f"; known: {', '.join(sorted(known))}" if 0 < len(known) <= 30 else ""


def no_such_setting(key: str, given: object, known: Sequence[str]) -> str:
    """Words for a dotted key that is not there, and what to write instead: the nearest, or one of them all."""
    section, _, last = key.rpartition(".")
    meant = near(last, known)
    whole = f"{section}." if section else ""
    instead = f"; did you mean {whole}{meant}?" if meant is not None else suggest(last, known)
    return f"{cut(key)}: there is no such setting here (got {_came(given)}){instead}"


def no_such_name(key: str, given: str, known: Sequence[str]) -> str:
    """Words for a name that no registry has."""
    return f"{key}: got {shown(given)}, which is not known{suggest(given, known)}"


def none_of(key: str, given: object, choices: Sequence[str]) -> str:
    """Words for a value that is not among the choices."""
    meant = near(given, choices) if isinstance(given, str) else None
    listed = [repr(choice) for choice in choices]
    words = f"{', '.join(listed[:-1])} or {listed[-1]}" if len(listed) > 1 else listed[0]
    return f"{key}: got {_came(given)}, must be {words}" + ("" if meant is None else f"; did you mean {meant}?")


def with_known_keys(error: ValidationError, known: Iterable[str]) -> ValidationError:
    """The same faults, where those of keys that are not there say which are."""
    details = error.errors(include_url=False)
    if not any(detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1 for detail in details):
        return error
    listed = list(known)
    return ValidationError.from_exception_data(error.title, [_again(dict(detail), listed) for detail in details])


def _again(detail: dict[str, Any], known: list[str]) -> InitErrorDetails:
    """A fault as it was, or with the keys that are known."""
    kind, context = detail["type"], detail.get("ctx", {})
    again: InitErrorDetails = {"type": kind, "loc": detail["loc"], "input": detail["input"], "ctx": context}
    if kind == "extra_forbidden" and len(detail["loc"]) == 1:
        again["type"] = PydanticCustomError(UNKNOWN, "the key is not known", {"known": known})
    elif kind not in _CORE:
        again["type"] = PydanticCustomError(kind, detail["msg"], context)
    return again


def describe(error: ValidationError, of: str = "") -> str:
    """All faults of a failed validation in one line, each with its dotted key, what came and what must hold.

    `of` is what a value is called that was validated by itself, such as an option.
    """
    details = [dict(detail) for detail in error.errors(include_url=False)]
    return "; ".join(_faults(key or of, list(some)) for key, some in groupby(details, _key))


def _key(detail: dict[str, Any]) -> str:
    *before, last = [str(part) for part in detail["loc"]] or [""]
    return ".".join(cut(part) for part in (before if before and _OF_UNION.fullmatch(last) else [*before, last]))


def _faults(key: str, details: list[dict[str, Any]]) -> str:
    """The faults of one key: those of the types that it may have together, others one by one."""
    wanted = list(dict.fromkeys(_wanted(detail) for detail in details))
    if len(details) > 1 and None not in wanted:
        return f"{key}: got {_came(details[0]['input'])}, must be {' or '.join(map(str, wanted))}"
    return "; ".join(_fault(key, detail) for detail in details)


def _fault(key: str, detail: dict[str, Any]) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "literal_error":
            names = re.findall(r"'([^']*)'", context["expected"])
            others = re.sub(r"'[^']*'| or ", "", context["expected"])
            if not names or re.search(r"\w", others):  # numbers, perhaps among names
                return f"{key}: got {_came(detail['input'])}, must be {context['expected']}"
            return none_of(key, detail["input"], names)
        case "extra_forbidden":
            return (
                f"{key}: there is no such setting here (got {_came(detail['input'])}); `tune-mixup check` shows those"
            )
        case "missing":
            return f"{key}: is missing; give it a value"
        case type_ if type_ == UNKNOWN:
            return no_such_setting(key, detail["input"], context["known"])
        case type_ if type_ == NAMELESS:
            return f"{key}: is missing; say which one the settings in {key.removesuffix('.name')} are for"
        case type_ if type_ == ONE_LINE:
            return f"{key}: {context['words']}"
        case "value_error":
            message = str(context["error"])
            return f"{key}: {message}" if key else message
        case "union_tag_invalid":
            return no_such_name(f"{key}.name", str(context["tag"]), re.findall(r"'([^']*)'", context["expected_tags"]))
        case "union_tag_not_found":
            return f"{key}.name: is missing; say which one it is"
        case "tuple_type" | "list_type":
            one = shown(detail["input"], SHOWN // 2)
            return f"{key}: got {_came(detail['input'])}, must be a list, also where it has one entry; write [{one}]"
        case "too_short" | "too_long":
            least = f"at least {context['min_length']}" if "min_length" in context else ""
            count = least or f"at most {context['max_length']}"
            return f"{key}: got {_came(detail['input'])} with {context['actual_length']}, must have {count} entries"
    return f"{key}: got {_came(detail['input'])}, must be {_wanted(detail)}"


def _came(given: object) -> str:
    return "nothing" if given is None else shown(given)


def _wanted(detail: dict[str, Any]) -> str | None:
    """What must be there instead, as in `must be a number`; None where the fault is of another form."""
    if detail["type"] in _KINDS:
        return _KINDS[detail["type"]]
    message = str(detail["msg"]).removeprefix("Input should be ").removeprefix("Value should ")
    return None if detail["type"] in (UNKNOWN, NAMELESS, ONE_LINE, "value_error", "missing") else message
