"""A record as pandas tables."""

from typing import TYPE_CHECKING

from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord

if TYPE_CHECKING:
    import pandas as pd


def trials(record: SweepRecord) -> "pd.DataFrame":
    """One row per trial: trial, state, epoch, reason, the last epoch's metrics, and each parameter by dotted key.

    state is COMPLETE (trained to the end), PRUNED (stopped early), FAIL or RUNNING (unfinished; `resume` goes on).
    """
    import pandas as pd

    rows = []
    for trial in record.study.asked():
        epochs = record.folder.trial(trial.number).read_epochs()
        last = dict(epochs[-1]) if epochs else {"epoch": 0}
        row = {"trial": trial.number, "state": trial.state.name, "epoch": int(last.pop("epoch"))}
        row["reason"] = facts_of(trial).reason or ""
        rows.append({**row, **last, **trial.params})
    return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "epoch", "reason"])


def epochs(record: SweepRecord) -> "pd.DataFrame":
    """One row per trial and finished epoch: trial, epoch and all metrics."""
    import pandas as pd

    rows = [
        {"trial": trial.number, **epoch}
        for trial in record.study.asked()
        for epoch in record.folder.trial(trial.number).read_epochs()
    ]
    return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch"])
