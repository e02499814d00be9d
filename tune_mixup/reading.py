"""The one reader and writer of YAML and of JSON.

YAML is that of version 1.2 with the core schema, in one document, without tags, aliases and merge keys: a text of a
few bytes can't grow into gigabytes. In both formats a key stands once in its mapping, and nesting has an end.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from ruamel.yaml.scanner import Scanner, ScannerError
from ruamel.yaml.tag import Tag
from typing_extensions import override

from tune_mixup.plain_values import MOST_DIGITS

MOST_LEVELS = 100
"""How deep lists and mappings may be nested."""
_TOO_DEEP = f"lists and mappings are nested more than {MOST_LEVELS} deep; flatten them"

_NUMBER = re.compile(r"[-+.0-9]")
_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda text: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)
"""The core schema: what a plain scalar is that is no text."""
_WORDS, _NUMBERS = _SCALARS[:2], _SCALARS[2:]

_TEXT = Tag(suffix="tag:yaml.org,2002:str")  # never written, but the writer looks at it
_PLAIN_TEXT = re.compile(r"[A-Za-z_/][ -~]*")
_NO_TEXT = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""What a reader of YAML 1.1 or 1.2 takes for something else than a text, in any case; the rest begins otherwise."""


# Reading YAML


class _Scanner(Scanner):
    """Ends at the bracket that is one too deep, before it looks ahead: for each bracket it reads 1024 characters."""

    @override
    def save_possible_simple_key(self) -> None:
        if self.flow_level > MOST_LEVELS:
            raise ScannerError(problem=_TOO_DEEP, problem_mark=self.reader.get_mark())
        super().save_possible_simple_key()


_IN_WORDS = (
    ("flow (sequence|mapping)", "a comma or a closing bracket is missing; add it"),
    ("escape", "a backslash in double quotes that means nothing; use single quotes"),
    ("quoted scalar", "a quote is not closed; close it"),
    ("cannot start any token", "no value begins with this character; put the value in quotes"),
    ("mapping values are not allowed", "a colon within a value; put the value in quotes"),
    ("block (collection|mapping)|simple key", "the indentation does not fit what is above; mend it"),
    ("anchor|alias", "anchors and aliases are not read; write the value in its place"),
)
"""What ruamel says -> what to do."""


def parse_yaml(text: str) -> Any:
    """The value of a YAML text. Raises ValueError in one line that says where the fault is."""
    reader = YAML(typ="safe", pure=True)
    reader.Scanner = _Scanner
    try:
        return _document(reader.parse(text))
    except MarkedYAMLError as error:
        _refuse(error.problem_mark or error.context_mark, _in_words(f"{error.context or ''} {error.problem or ''}"))
    except YAMLError as error:
        character = re.search("#x[0-9a-f]+", str(error))
        which = f", {character[0]}," if character is not None else ""
        raise ValueError(f"it holds a character{which} that no YAML may have; remove it") from None


def _in_words(problem: str) -> str:
    """What a parser says of its own state, as what to do about the text."""
    if problem.strip() == _TOO_DEEP:
        return _TOO_DEEP
    return next((words for said, words in _IN_WORDS if re.search(said, problem)), "this is not how YAML is written")


def _document(events: Iterator[Event]) -> Any:
    value, documents = None, 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                _refuse(event.start_mark, "a second document begins, there must be one; drop the others")
            if event.version not in (None, (1, 2)):
                _refuse(event.start_mark, "the %YAML directive names another version, it must be 1.2; drop the line")
        elif isinstance(event, NodeEvent):
            value = _value(event, events, 0)
    return value


def _value(event: Event, events: Iterator[Event], level: int) -> Any:
    """The value that begins with `event`; takes the rest of it from `events`."""
    if isinstance(event, AliasEvent):
        _refuse(event.start_mark, f"*{event.anchor} is an alias, which is not read; write the value in its place")
    assert isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent))
    if event.tag is not None:
        _refuse(event.start_mark, f"got the tag {event.tag}, values must be without tags; drop it")
    if isinstance(event, ScalarEvent):
        return _scalar(event) if event.implicit[0] else event.value
    if level == MOST_LEVELS:
        _refuse(event.start_mark, _TOO_DEEP)
    if isinstance(event, SequenceStartEvent):
        values = []
        while not isinstance(event := next(events), SequenceEndEvent):
            values.append(_value(event, events, level + 1))
        return values
    mapping: dict[Any, Any] = {}
    while not isinstance(event := next(events), MappingEndEvent):
        key = _key(event, events, level + 1)
        if key in mapping:
            _refuse(event.start_mark, f"the key {_short(key)} stands twice in one mapping; keep one of the two")
        mapping[key] = _value(next(events), events, level + 1)
    return mapping


def _key(event: Event, events: Iterator[Event], level: int) -> Any:
    if isinstance(event, (SequenceStartEvent, MappingStartEvent)):
        _refuse(event.start_mark, "a list or mapping is used as a key, which must be a text or number")
    if isinstance(event, ScalarEvent) and event.implicit[0] and event.value == "<<":
        _refuse(event.start_mark, "<< merges another mapping, which is not read; write its keys out here")
    return _value(event, events, level)


def _scalar(event: ScalarEvent) -> Any:
    text: str = event.value
    for pattern, read in _NUMBERS if _NUMBER.match(text) else _WORDS:
        if pattern.fullmatch(text):
            if len(text) > MOST_DIGITS:
                _refuse(event.start_mark, f"got a number of {len(text)} characters, must be at most {MOST_DIGITS}")
            return read(text)
    return text


def _refuse(mark: Any, problem: str) -> NoReturn:
    """Raise ValueError that says where a fault is, and which, in one line."""
    raise ValueError(f"line {mark.line + 1}, column {mark.column + 1}: {' '.join(problem.split())}") from None


def _short(key: Any) -> str:
    return repr(key) if len(repr(key)) <= 60 else repr(key)[:57] + "..."


# Writing YAML


def dump_yaml(values: Any) -> str:
    """The YAML text of plain values, which readers of version 1.1 and 1.2 read back as they are.

    Raises ValueError for what is no plain value, and for what is nested too deep or too long to be read again.
    """
    writer = YAML(typ="safe", pure=True)
    writer.width = 2**30  # a text is never broken over lines
    writer.allow_unicode = False
    stream = StringIO()
    writer.emit(
        (
            StreamStartEvent(),
            DocumentStartEvent(explicit=False),
            *_events(values, 0),
            DocumentEndEvent(explicit=False),
            StreamEndEvent(),
        ),
        stream,
    )
    return stream.getvalue()


def _events(value: Any, level: int) -> Iterator[Event]:
    if level > MOST_LEVELS:
        raise ValueError(_TOO_DEEP)
    match value:
        case Mapping():
            yield MappingStartEvent(None, None, True, flow_style=False)
            for key, below in value.items():
                yield from _events(key, level + 1)
                yield from _events(below, level + 1)
            yield MappingEndEvent()
        case list() | tuple():
            yield SequenceStartEvent(None, None, True, flow_style=False)
            for below in value:
                yield from _events(below, level + 1)
            yield SequenceEndEvent()
        case str():
            plain = bool(_PLAIN_TEXT.fullmatch(value)) and value.lower() not in _NO_TEXT
            style = None if plain else "'" if value.isprintable() else '"'
            yield ScalarEvent(None, _TEXT, (plain, True), str.__str__(value), style=style)
        case _:
            yield ScalarEvent(None, None, (True, False), _words(value))


def _words(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if -(10 ** (MOST_DIGITS - 1)) < value < 10**MOST_DIGITS:  # a sign is a character too
            return int.__repr__(value)
        case int():
            raise ValueError(f"got a number of more than {MOST_DIGITS} characters, which could not be read again")
        case float():
            text = float.__repr__(value)
            if text in ("inf", "-inf", "nan"):
                return text.replace("inf", ".inf").replace("nan", ".nan")
            return text if "." in text else text.replace("e", ".0e")  # version 1.1 asks for the point
    raise ValueError(f"got {_short(value)} of type {type(value).__name__}, must be a plain value to be written as YAML")


# JSON


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError in one line, also for NaN and what is beyond a float's range."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"line {error.lineno}, column {error.colno}: what stands here can't be read as JSON; look at the quotes, "
            "commas and brackets around it"
        ) from None
    if _levels(value) > MOST_LEVELS:
        raise ValueError(_TOO_DEEP)
    return value


def dump_json(values: Any) -> str:
    """The JSON text of plain values, indented, with a line break at its end. Raises ValueError for NaN and infinity."""
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"the key {_short(key)} stands twice in one object; keep one of the two")
        mapping[key] = value
    return mapping


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:  # infinite, or no number
        raise ValueError(f"got {text}, numbers must be finite")
    return value


def _levels(value: Any) -> int:
    """How deep lists and objects are nested in a value; 0 for a scalar."""
    levels = 0
    inside = [value] if isinstance(value, (list, dict)) else []
    while inside:
        levels += 1
        below = [child for one in inside for child in (one.values() if isinstance(one, dict) else one)]
        inside = [child for child in below if isinstance(child, (list, dict))]
    return levels
