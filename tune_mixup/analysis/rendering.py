"""Frames as text: a table that fits the screen, or markdown, CSV and JSON, which are complete."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tune_mixup.analysis.fitted import fitted
from tune_mixup.analysis.fitting import Column

MOST_OF_A_TEXT = 120
"""Characters of a text in a table on a screen; what is longer is cut there."""


class Screen(NamedTuple):
    """How a table is fitted to a screen."""

    width: int | None = None
    """Of the terminal; None: the table is as wide as it is, and complete."""
    giving_up: Sequence[str] = ()
    """Columns in the order in which they are left out where there is no room, the least wanted first."""


def render(frame: pd.DataFrame, format: str, *, note: str = "", screen: Screen | None = None) -> str:
    """The rows as text, with `note` under a table or markdown, as `rule` in json, and left out of csv.

    Table and markdown are for reading: 4 significant digits and no column without any value. A table on a screen leaves
    out the columns that it has no room for, first those that say the same in all rows, and says below which these are.
    csv and json have every column and digit; json has null for NaN and None. Raises ValueError for another format.
    """
    check_format(format)
    return _RENDERERS[format](frame, note, screen or Screen())


def check_format(format: str) -> None:
    """Raises ValueError for a format that `render` does not know."""
    if format not in _RENDERERS:
        raise ValueError(f"--format: got {format!r}, must be one of {', '.join(_RENDERERS)}")


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values, None for what is missing or not finite."""
    return [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return list(value) if isinstance(value, tuple) else value


def _table(frame: pd.DataFrame, note: str, screen: Screen) -> str:
    longest = None if screen.width is None else MOST_OF_A_TEXT
    return fitted(_for_reading(frame, longest), screen.width, screen.giving_up, note)


def _markdown(frame: pd.DataFrame, note: str, screen: Screen) -> str:
    columns = _for_reading(frame)
    cells = [[cell.replace("|", "\\|") for cell in one.cells] for one in columns]
    widths = [max(3, *map(len, [one.head, *column])) for one, column in zip(columns, cells, strict=True)]
    lines = []
    for row in zip(*([one.head, *column] for one, column in zip(columns, cells, strict=True)), strict=True):
        pads = zip(row, columns, widths, strict=True)
        lines.append([cell.rjust(width) if one.is_number else cell.ljust(width) for cell, one, width in pads])
    ruler = [
        "-" * (width - 1) + ":" if one.is_number else "-" * width for one, width in zip(columns, widths, strict=True)
    ]
    text = "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ruler, *lines[1:]])
    return text + (f"\n\n{note}" if note else "")


def _csv(frame: pd.DataFrame, note: str, screen: Screen) -> str:
    return frame.to_csv(index=False, lineterminator="\n").removesuffix("\n")


def _json(frame: pd.DataFrame, note: str, screen: Screen) -> str:
    return json.dumps({"rule": note, "rows": rows(frame)}, indent=2, allow_nan=False)


_RENDERERS: dict[str, Callable[[pd.DataFrame, str, Screen], str]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
}


def _for_reading(frame: pd.DataFrame, longest: int | None = None) -> list[Column]:
    """The columns in which anything stands; texts of at most `longest` characters."""
    values = rows(frame)
    names = [str(name) for name in frame.columns]
    return [
        Column(name, tuple(_cell(row[name], longest) for row in values))
        for name in names
        if not values or any(row[name] not in (None, "") for row in values)
    ]


def _cell(value: Any, longest: int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return format(value, ".4g")
    text = " ".join(str(value).split())
    return text if longest is None or len(text) <= longest else text[: longest - 3] + "..."
