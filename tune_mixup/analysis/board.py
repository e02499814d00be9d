"""The leaderboard as people read it on a screen: its first rows, the references, and what there is no room for."""

import pandas as pd

from tune_mixup.analysis.fitted import chosen
from tune_mixup.analysis.leaderboard import By, leaderboard, rule
from tune_mixup.analysis.rendering import Screen, render
from tune_mixup.record.names import command_for
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.explanation import missing_of_finals

MARK = "*"
_FIXED = ("rank", "trial", "state", "epoch", "reference", "reason", "seeds", "error", "search", "tie", "failed")
_SEEDS = ("seeds", "error", "search", "tie", "failed")
_LAST = ("failed", "tie", "epoch", "state", "search", "error", "rank", "seeds")


def board(
    record: SweepRecord,
    *,
    top: int | None = None,
    by: By = "setting",
    columns: str | None = None,
    width: int | None = None,
) -> str:
    """The first `top` rows of the leaderboard and those of the references, as a table, and its rule.

    `columns` lists those that are shown; without it the least wanted make room where `width` is small. Raises
    ValueError for columns that are not there and for `top` below 1.
    """
    whole = leaderboard(record, by=by)
    shown = leaderboard(record, top, by=by) if top is not None else whole
    notes = []
    if "reference" in whole:
        below = whole.loc[whole["reference"] & ~whole["trial"].isin(shown["trial"])]
        shown = pd.concat([shown, below]) if len(below) else shown
        if shown["reference"].any():
            notes.append(f"{MARK} is a reference: a baseline that the space names, whether it was stopped or not.")
    if by == "setting":
        notes += _about_seeds(whole, record)
    if len(shown) < len(whole):
        notes.append(f"{len(shown)} of {len(whole)} {by}s; `{command_for('leaderboard', record.path)}` shows all.")
    names = None if columns is None else chosen([str(name) for name in whole.columns], columns)
    if by == "setting" and names is None and not (whole["seeds"] > 1).any():
        whole, shown = whole.drop(columns=list(_SEEDS)), shown.drop(columns=list(_SEEDS))  # they would say nothing
    return render(
        _marked(shown, names),
        "table",
        note="\n".join([*notes, rule(record, by=by)]),
        screen=Screen(width, giving_up(whole, names)),
    )


def _about_seeds(whole: pd.DataFrame, record: SweepRecord) -> list[str]:
    """What the seeds of the settings say of their order."""
    ranked = whole[whole["rank"].notna()]
    if len(ranked) < 2:
        return []
    missing = missing_of_finals(record)
    if not (ranked["seeds"] > 1).any():
        return [
            missing
            or "Each setting was trained on one seed, so the first may be the luckiest; "
            f"`{command_for('evaluate', record.path)}` trains the best again on fresh seeds."
        ]
    ties = [int(rank) for rank in ranked.loc[ranked["tie"].fillna(False), "rank"]]
    notes = [missing] if missing else []
    if ties:
        those = f"rank {ties[0]}" if len(ties) == 1 else f"the {len(ties)} of ranks {_spans(ties)}"
        notes.append(f"By its seeds the first can't be told apart (at 95 %, one by one) from {those}: a tie.")
    finalists = ranked[ranked["seeds"] > 1]
    if finalists["seeds"].nunique() > 1:
        notes.append(
            f"Settings with several seeds have {finalists['seeds'].min()} to {finalists['seeds'].max()}; means of "
            "finalists are made comparable, as if all had the same seeds."
        )
    return notes


def _spans(ranks: list[int]) -> str:
    """Rising whole numbers in short: 2 to 4, 7."""
    spans: list[list[int]] = []
    for rank in ranks:
        if spans and spans[-1][1] == rank - 1:
            spans[-1][1] = rank
        else:
            spans.append([rank, rank])
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in spans)


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
    last = [name for name in _LAST if name in columns]
    return [*reversed(medians), *reversed(others), "reason", *reversed(parameters), *last]


def _marked(frame: pd.DataFrame, names: list[str] | None) -> pd.DataFrame:
    """The columns of a table, in which a mark at the trial stands for the column `reference`, unless that is chosen."""
    if "reference" not in frame or (names is not None and "reference" in names):
        return frame if names is None else frame[names]
    marks = frame["reference"].map({True: MARK, False: ""})
    marked = frame.assign(trial=marks + frame["trial"].astype(str)).drop(columns="reference")
    return marked if names is None else marked[names]
