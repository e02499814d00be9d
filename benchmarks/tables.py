"""Rows of results as a table, for a page or for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = ("measurement", "ours", "other", "ratio or value", "target", "met", "file")


def markdown_table(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Name of the file -> rows, as a Markdown table; notes follow it, numbered."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    notes: list[str] = []
    for name, found in rows.items():
        for row in found:
            mark = ""
            if row["note"]:
                if row["note"] not in notes:
                    notes.append(row["note"])
                mark = f" ({notes.index(row['note']) + 1})"
            cells = [row["measurement"] + mark, *_cells(row), f"`{name}`"]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if notes:
        lines += [""] + [f"{number}. {note}" for number, note in enumerate(notes, start=1)]
    return lines


def text_table(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows of one measurement for a terminal."""
    table = [HEAD[:-1], *((row["measurement"], *_cells(row)) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD) - 1)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return [*lines, *(f"{row['measurement']}: {row['note']}" for row in rows if row["note"])] if rows else [name]


def number(value: float | None, unit: str = "") -> str:
    """Three digits, or all of a large number, with its unit; nothing for None."""
    if value is None:
        return ""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text}{unit}" if unit in ("", "x") else f"{text} {unit}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    met = {True: "yes", False: "no", None: ""}[row["met"]]
    return [
        number(row["ours"], row["unit"]),
        number(row["other"], row["unit"]),
        number(row["value"], row["value_unit"]),
        row["target"] or "",
        met,
    ]
