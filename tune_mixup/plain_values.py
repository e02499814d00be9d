"""One plain form for what people write in a space: numbers, texts, lists and mappings, as JSON gives them back.

A tuple is not among choices that are lists, and a NumPy scalar is in no JSON file: both are turned into what the record
will hold before anything is compared with them.
"""

import math
import sys
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from pydantic import BaseModel

from tune_mixup.faults import shown

MOST_DIGITS = 1000
"""How long a whole number may be: Python takes quadratic time to read one, and files with longer ones are refused."""


def plain(value: Any) -> Any:
    """The value with lists for tuples and arrays, and Python's numbers and texts for NumPy's and for subclasses.

    Raises ValueError for what JSON can't hold: sets, other objects, keys that are no texts, NaN and infinity.
    """
    match value:
        case None | bool():
            return value
        case _ if _is_numpys(value):
            return plain(value.tolist())
        case int() if abs(value) < 10 ** (MOST_DIGITS - 1):
            return int(value)
        case int():
            raise ValueError(f"got a whole number of {MOST_DIGITS} digits or more, must be shorter")
        case float() if math.isfinite(value):
            return float(value)
        case str():
            return str.__str__(value)
        case list() | tuple():
            return [plain(one) for one in value]
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError(f"got {shown(value)}, whose keys must be texts")
            return {str(key): plain(one) for key, one in value.items()}
        case BaseModel():
            return plain(value.model_dump(mode="json"))
        case PathLike():
            return plain(fspath(value))
    raise ValueError(
        f"got {shown(value)}, must be a plain value: a finite number, a text, true, false, null, or a list of these"
    )


def _is_numpys(value: Any) -> bool:
    """Whether NumPy has made it. It takes a tenth of a second to import, and without it nothing can be of it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray))


def plain_by_key(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in plain form. Raises ValueError that names the key of what has none."""
    found = {}
    for key, value in settings.items():
        try:
            found[key] = plain(value)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    return found


def alike(one: Any, other: Any) -> bool:
    """Whether two plain values are the same. 1 and 1.0 are; 1 and true, which Python takes for equal, are not."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def several(given: object) -> object:
    """The same. Raises ValueError for one object or mapping, which could be gone through as if it were several."""
    if isinstance(given, (BaseModel, Mapping)):
        raise ValueError(f"got {shown(given)}, must be several in a tuple; a tuple of one is written (ONE,)")
    return given
