"""A setting in a cell of a table: how it is written, and whether what other programs made of the cell still says it."""

import json
import math
import re
from typing import Any

from tune_mixup.reading import parse_json

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOTHING = ("null", "None", "NaN", "nan", "NA", "<NA>")
_SAME_DIGITS = 1e-14
"""Relative: spreadsheets keep 15 digits of a number."""


def encode(value: Any) -> str:
    """The text itself if it is printable and can't be taken for JSON, else JSON; never empty."""
    plain = isinstance(value, str) and value != "" and value.isprintable() and decode(value) is value
    return value if plain else json.dumps(value, allow_nan=False)


def decode(cell: str) -> Any:
    """The value that a cell says: JSON, else the text itself."""
    try:
        return parse_json(cell)
    except ValueError:
        return cell


def is_empty(cell: Any) -> bool:
    """Whether nothing stands in a cell: no text, or what tables have for a missing value."""
    return cell is None or (isinstance(cell, str) and not cell) or (isinstance(cell, float) and math.isnan(cell))


def says(cell: Any, value: Any) -> bool:
    """Whether a cell still says the value that was written into it, as a person who reads the table understands it.

    Numbers may have another form (0.10, 1E-05, a decimal comma) and 15 digits, True and False any case, and null may
    be empty.
    """
    match value:
        case None:
            return is_empty(cell) or cell in _NOTHING
        case bool():
            return str(cell).strip().lower() == str(value).lower()
        case int() | float():
            return _is_number(cell, value)
        case str():
            return isinstance(cell, str) and cell.strip() in (value.strip(), encode(value))
    return isinstance(cell, str) and repr(decode(cell)) == repr(value)


def _is_number(cell: Any, value: float) -> bool:
    if isinstance(cell, bool):
        return False
    if isinstance(cell, str):
        text = cell.strip()
        if not _NUMBER.fullmatch(text) or len(text) > 1000:
            return False
        if text.lstrip("+-").isdigit():
            cell = int(text)
        else:
            cell = float(text.replace(",", "."))
    if not isinstance(cell, (int, float)):
        return False
    try:
        return bool(cell == value) or math.isclose(cell, value, rel_tol=_SAME_DIGITS)
    except OverflowError:  # a whole number beyond the range of floats
        return False
