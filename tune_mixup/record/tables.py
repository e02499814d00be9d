"""A record as pandas tables. What the study knows of an epoch goes before what the trial's folder says."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial

from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.trial_folder import Epoch

if TYPE_CHECKING:
    import pandas as pd


def trials(record: SweepRecord) -> "pd.DataFrame":
    """One row per trial: trial, state, epoch, reason, the last epoch's metrics, and each parameter by dotted key.

    state is COMPLETE (trained to the end), PRUNED (stopped early), FAIL or RUNNING (unfinished; `resume` goes on).
    """
    import pandas as pd

    rows, metric = [], str(record.folder.config()["metric"])
    for trial in record.study.asked():
        epochs = known_rows(record, trial, metric=metric)
        last = dict(epochs[-1]) if epochs else {"epoch": 0}
        row = {"trial": trial.number, "state": trial.state.name, "epoch": int(last.pop("epoch"))}
        row["reason"] = facts_of(trial).reason or ""
        rows.append({**row, **last, **trial.params})
    return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "epoch", "reason"])


def epochs(record: SweepRecord) -> "pd.DataFrame":
    """One row per trial and finished epoch: trial, epoch and all metrics."""
    import pandas as pd

    metric = str(record.folder.config()["metric"])
    rows = [
        {"trial": trial.number, **epoch}
        for trial in record.study.asked()
        for epoch in known_rows(record, trial, metric=metric)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch"])


def known_rows(record: SweepRecord, trial: FrozenTrial, *, metric: str) -> list[Epoch]:
    """A trial's epochs in order: the rows of its folder, and where it lacks one, the study's value of the `metric`.

    Where both have a value the study's counts: by it was decided.
    """
    return with_study(record.folder.trial(trial.number).read_epochs(), trial, metric=metric)


def with_study(rows_held: Sequence[Epoch], trial: FrozenTrial, *, metric: str) -> list[Epoch]:
    """The rows of a trial's folder, and what the study knows beside them, as `known_rows` gives them."""
    rows = {int(row["epoch"]): row for row in rows_held}
    for epoch, value in trial.intermediate_values.items():
        rows[epoch] = {**rows.get(epoch, {"epoch": epoch}), metric: value}
    return [rows[epoch] for epoch in sorted(rows)]
