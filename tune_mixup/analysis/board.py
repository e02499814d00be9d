"""The leaderboard as people read it on a screen: its first rows, the references, and what there is no room for."""

import pandas as pd

from tune_mixup.analysis.fitted import chosen
from tune_mixup.analysis.leaderboard import leaderboard, rule
from tune_mixup.analysis.rendering import Screen, render
from tune_mixup.record.names import command_for
from tune_mixup.record.sweep_record import SweepRecord

MARK = "*"
_FIXED = ("rank", "trial", "state", "epoch", "reference", "reason")
_LAST = ("epoch", "state", "rank")


def board(record: SweepRecord, *, top: int | None = None, columns: str | None = None, width: int | None = None) -> str:
    """The first `top` rows of the leaderboard and those of the references, as a table, and its rule.

    `columns` lists those that are shown; without it the least wanted make room where `width` is small. Raises
    ValueError for columns that are not there and for `top` below 1.
    """
    whole = leaderboard(record)
    shown = leaderboard(record, top) if top is not None else whole
    notes = []
    if "reference" in whole:
        below = whole.loc[whole["reference"] & ~whole["trial"].isin(shown["trial"])]
        shown = pd.concat([shown, below]) if len(below) else shown
        if shown["reference"].any():
            notes.append(f"{MARK} is a reference: a baseline that the space names, whether it was stopped or not.")
    if len(shown) < len(whole):
        notes.append(f"{len(shown)} of {len(whole)} trials; `{command_for('leaderboard', record.path)}` shows all.")
    names = None if columns is None else chosen([str(name) for name in whole.columns], columns)
    return render(
        _marked(shown, names),
        "table",
        note="\n".join([*notes, rule(record)]),
        screen=Screen(width, giving_up(whole, names)),
    )


def giving_up(frame: pd.DataFrame, names: list[str] | None = None) -> list[str]:
    """The columns that a narrow screen can do without, least wanted first; none where a person has chosen `names`.

    Trial and metric stay. The other metrics go before the parameters, of both the last first, and of the metrics the
    medians before those that they are medians of.
    """
    if names is not None:
        return []
    columns = [str(name) for name in frame.columns]
    metrics = [name for name in columns if name.startswith("val_")][1:]
    medians = [name for name in metrics if name.endswith("_median")]
    parameters = [name for name in columns if not name.startswith("val_") and name not in _FIXED]
    others = [name for name in metrics if name not in medians]
    return [*reversed(medians), *reversed(others), "reason", *reversed(parameters), *_LAST]


def _marked(frame: pd.DataFrame, names: list[str] | None) -> pd.DataFrame:
    """The columns of a table, in which a mark at the trial stands for the column `reference`, unless that is chosen."""
    if "reference" not in frame or (names is not None and "reference" in names):
        return frame if names is None else frame[names]
    marks = frame["reference"].map({True: MARK, False: ""})
    marked = frame.assign(trial=marks + frame["trial"].astype(str)).drop(columns="reference")
    return marked if names is None else marked[names]
