"""The private part of pydantic that we use."""

from collections.abc import Callable
from typing import Any


def for_calls_only(init: Callable[..., None]) -> Callable[..., None]:
    """Marks an `__init__` that pydantic need not call for settings within others: it then knows where a fault is."""
    marked: Any = init
    marked.__pydantic_base_init__ = True
    return init
