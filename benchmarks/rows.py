"""The common form of results: rows of a table and figures, which `report` renders whatever was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

Points = Sequence[Sequence[float]]


def row(
    measurement: str,
    *,
    value: float | None,
    value_unit: str,
    ours: float | None = None,
    other: float | None = None,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    note: str = "",
) -> dict[str, Any]:
    """One line of the table.

    `ours` and `other` are the absolute numbers in `unit`. `value` is what the target speaks of: their ratio
    (`value_unit` "x"), a share ("%", given in percent) or one of the numbers itself ("ms", "s"); None where it
    could not be measured, and the note says why. At most one of
    `at_least` and `at_most` is the target; without one the line informs only.
    """
    if at_least is not None and at_most is not None:
        raise ValueError(f"{measurement!r} has two targets; give at_least or at_most")
    target, met = None, None
    if at_least is not None:
        target, met = f">= {at_least:g}{_joined(value_unit)}", value is not None and value >= at_least
    elif at_most is not None:
        target, met = f"<= {at_most:g}{_joined(value_unit)}", value is not None and value <= at_most
    return {
        "measurement": measurement,
        "ours": ours,
        "other": other,
        "unit": unit,
        "value": value,
        "value_unit": value_unit,
        "target": target,
        "met": met,
        "note": note,
    }


def plot(file: str, panels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A figure of panels side by side, all made by `panel` or all by `marks`; `file` is its name in `docs/`."""
    return {"file": file, "panels": list(panels)}


def panel(title: str, *, x: str, y: str, series: Mapping[str, Sequence[Points]], steps: bool = False) -> dict[str, Any]:
    """One panel: label -> curves of (x, y) points, drawn in one colour; `steps`: a value holds until the next point."""
    return {
        "title": title,
        "x": x,
        "y": y,
        "steps": steps,
        "series": {name: list(lines) for name, lines in series.items()},
    }


def marks(
    title: str, *, x: str, y: str, points: Mapping[str, Sequence[float]], aim: Sequence[float], x_ticks: Sequence[float]
) -> dict[str, Any]:
    """One panel with a mark per label, on logarithmic axes: label -> x, y and the low and high end of y's interval.

    Dotted lines cross at `aim`, (x, y).
    """
    return {
        "title": title,
        "x": x,
        "y": y,
        "points": {name: list(point) for name, point in points.items()},
        "aim": list(aim),
        "x_ticks": list(x_ticks),
    }


def _joined(unit: str) -> str:
    return unit if unit == "x" else f" {unit}"
