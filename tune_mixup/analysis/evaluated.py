"""What `evaluate` measured as people read it: a mean and its standard deviation in one cell, what matters first."""

from collections.abc import Sequence

import pandas as pd

from tune_mixup.analysis.rendering import Screen, render, rows

MEAN, SD = "_mean", "_sd"
SPREAD = (
    "Behind a mean of several seeds stands their standard deviation; --json has both with every digit, in columns that "
    f"end in {MEAN} and {SD}."
)


def table(
    frame: pd.DataFrame, metric: str, *, note: str, columns: Sequence[str] | None = None, width: int | None = None
) -> str:
    """The rows of `evaluate` for a sweep ranked by `metric`.

    `columns` are those that are shown; without them the least wanted make room where `width` is small.
    """
    read = _joined(frame)
    names = [str(name) for name in read.columns]
    spare = [] if columns is not None else giving_up(names, metric)
    if columns is not None:
        read = read.reindex(columns=list(columns))  # one is missing where no seed ended
    joined = any(f"{name}{SD}" in frame and frame[f"{name}{SD}"].notna().any() for name in read.columns)
    notes = [SPREAD, note] if joined else [note]
    return render(read, "table", note="\n".join(notes), screen=Screen(width, spare))


def names_of(board: pd.DataFrame, metric: str, *, whole: bool = False) -> list[str]:
    """The columns of the table for a sweep with this leaderboard, before anything is measured.

    `whole`: where nothing is held out.
    """
    columns = [str(name) for name in board.columns]
    metrics = [name.removeprefix("val_") for name in columns if name.startswith("val_")]
    names = [name for name in metrics if not name.endswith("_median")]
    both = [key for name in names for key in (f"test_{name}_median" if whole else f"val_{name}", f"test_{name}")]
    parameters = [name for name in columns if "." in name]
    return ["trial", f"search_{metric}", "n", "failed", *both, *parameters]


def giving_up(names: list[str], metric: str) -> list[str]:
    """The columns that a narrow screen can do without, least wanted first.

    The trial and the test metric that belongs to `metric` stay; other metrics go before the parameters, of which the
    last go first.
    """
    test = "test_" + metric.removeprefix("val_").removesuffix("_median")
    own = [f"val_{test.removeprefix('test_')}", f"{test}_median", f"search_{metric}"]
    counts = ["failed", "n"]
    others = [name for name in names if name.startswith(("val_", "test_")) and name not in (test, *own)]
    parameters = [name for name in names if name not in ("trial", test, *own, *others, *counts)]
    return [*reversed(others), *counts, *own, *reversed(parameters)]


def _joined(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with `x_mean` and `x_sd` as one column x of texts: 0.9750 (0.0120)."""
    read = []
    for row in rows(frame):
        cells = {}
        for key, value in row.items():
            if key.endswith(SD) and f"{key.removesuffix(SD)}{MEAN}" in row:
                continue
            name = key.removesuffix(MEAN)
            cells[name] = _cell(value, row[f"{name}{SD}"]) if f"{name}{SD}" in row else value
        read.append(cells)
    return pd.DataFrame(read, dtype=object)


def _cell(mean: float | None, spread: float | None) -> str:
    if mean is None:
        return ""
    return f"{mean:.4g}" if spread is None else f"{mean:.4g} ({spread:.2g})"
