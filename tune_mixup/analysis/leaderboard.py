"""The trials of a sweep in order of merit, without comparing what cannot be compared."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord

_GROUPS = {"COMPLETE": 0, "PRUNED": 1, "RUNNING": 1, "FAIL": 2}
_TEXT_WIDTH = 60
_HEADER_WIDTH = 13


def leaderboard(record: SweepRecord, top: int | None = None) -> pd.DataFrame:
    """One row per trial, best first: rank, trial, state, epoch, validation metrics, free parameters, reason.

    COMPLETE trials, trained to the full budget, come first and alone have a rank: by the sweep's metric at their last
    epoch, in its direction. PRUNED and RUNNING trials follow by the epoch they reached, then the metric, since a value
    at 3 epochs is not comparable with one at 100. FAIL comes last, and alone has a reason. Ties go by trial number.

    The sweep's metric is the first `val_` column; parameters have their dotted keys and are None in trials where they
    do not exist. `top` keeps that many rows. Raises ValueError if it is below 1.
    """
    if top is not None and top < 1:
        raise ValueError(f"top: got {top}, must be at least 1")
    metric = str(record.folder.config()["metric"])
    trials = tables.trials(record)
    others = [str(name) for name in trials.columns if str(name).startswith("val_") and name != metric]
    frame = trials.reindex(columns=["trial", "state", "epoch", metric, *others]).reset_index(drop=True)
    parameters = {trial.number: trial.params for trial in record.study.asked()}
    for key in record.folder.config()["space"]["free"]:
        # As objects: in a float column a missing value would turn integers into floats.
        values = [parameters[int(number)].get(key) for number in frame["trial"]]
        frame[key] = pd.Series(values, dtype=object)
    frame["reason"] = trials["reason"].reset_index(drop=True).where(frame["state"] == "FAIL", "")

    group = frame["state"].map(_GROUPS).astype(int)
    score = frame[metric].astype(float).replace([np.inf, -np.inf], np.nan)
    merit = score if direction(record) == "maximize" else -score
    order = pd.DataFrame(
        {
            "group": group,
            "epochs_missing": (-frame["epoch"].astype(int)).where(group == 1, 0),
            "demerit": (-merit).where(group < 2, 0.0),
            "trial": frame["trial"].astype(int),
        }
    ).sort_values(["group", "epochs_missing", "demerit", "trial"], na_position="last")
    frame = frame.loc[order.index].reset_index(drop=True)
    complete = frame["state"] == "COMPLETE"
    frame.insert(0, "rank", pd.Series(range(1, len(frame) + 1), dtype="Int64").where(complete))
    return frame if top is None else frame.head(top)


def direction(record: SweepRecord) -> Literal["maximize", "minimize"]:
    """Whether more or less of the sweep's metric is better."""
    return "minimize" if record.study.optuna.direction.name == "MINIMIZE" else "maximize"


def rule(record: SweepRecord) -> str:
    """The order of `leaderboard` in words, to stand beside its numbers."""
    better = "more" if direction(record) == "maximize" else "less"
    return (
        f"Ranked are the trials trained to the full budget, by {record.folder.config()['metric']} at their last epoch "
        f"({better} is better). Stopped and unfinished ones follow by epoch reached, then metric; failed ones are "
        "last. All numbers are validation numbers."
    )


def render(frame: pd.DataFrame, format: str, *, note: str = "") -> str:
    """The rows as text, with `note` under a table or markdown, as `rule` in json, and left out of csv.

    Table and markdown are for reading: 4 significant digits, no empty column, long texts cut, and no median but the
    one that leads. csv and json have every column and digit; json has null for NaN and None. Raises ValueError
    for another format.
    """
    if format not in _RENDERERS:
        raise ValueError(f"--format: got {format!r}, must be one of {', '.join(_RENDERERS)}")
    return _RENDERERS[format](frame, note)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values, None for what is missing or not finite."""
    return [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return list(value) if isinstance(value, tuple) else value


def _table(frame: pd.DataFrame, note: str) -> str:
    headers, cells, right = _for_reading(frame)
    broken = [_break(header) for header in headers]
    height = max(map(len, broken), default=0)
    lines = [list(line) for line in zip(*([*parts, *[""] * (height - len(parts))] for parts in broken), strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, *cells, strict=True)]
    lines += [["-" * width for width in widths], *cells]
    text = "\n".join("  ".join(_pad(line, widths, right)).rstrip() for line in lines)
    return text + (f"\n\n{note}" if note else "")


def _markdown(frame: pd.DataFrame, note: str) -> str:
    headers, cells, right = _for_reading(frame)
    cells = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    widths = [max(3, *map(len, column)) for column in zip(headers, *cells, strict=True)]
    ruler = [
        "-" * (width - 1) + ":" if is_right else "-" * width for width, is_right in zip(widths, right, strict=True)
    ]
    lines = [_pad(headers, widths, right), ruler, *(_pad(row, widths, right) for row in cells)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text + (f"\n\n{note}" if note else "")


def _csv(frame: pd.DataFrame, note: str) -> str:
    return frame.to_csv(index=False, lineterminator="\n").removesuffix("\n")


def _json(frame: pd.DataFrame, note: str) -> str:
    return json.dumps({"rule": note, "rows": rows(frame)}, indent=2, allow_nan=False)


_RENDERERS: dict[str, Callable[[pd.DataFrame, str], str]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
}


def _for_reading(frame: pd.DataFrame) -> tuple[list[str], list[list[str]], list[bool]]:
    """The headers and cells worth a look, and which columns are numbers, which stand at the right."""
    values = rows(frame)
    names = [str(name) for name in frame.columns]
    medians = [name for name in names if name.startswith("val_")][1:]
    minor = {name for name in medians if name.endswith("_median")}
    empty = {name for name in names if values and all(row[name] in (None, "") for row in values)}
    shown = [name for name in names if name not in minor | empty]
    right = [all(isinstance(row[name], (int, float, type(None))) for row in values) for name in shown]
    return shown, [[_cell(row[name]) for name in shown] for row in values], right


def _pad(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    ]


def _break(header: str) -> list[str]:
    """A long header in several lines, broken behind dots and underscores."""
    lines = [""]
    for part in re.findall(r"[^._]*[._]|[^._]+", header):
        if lines[-1] and len(lines[-1]) + len(part) > _HEADER_WIDTH:
            lines.append("")
        lines[-1] += part
    return lines


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return format(value, ".4g")
    text = " ".join(str(value).split())
    return text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 3] + "..."
