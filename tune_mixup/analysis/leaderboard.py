"""The trials of a sweep in order of merit, without comparing what cannot be compared."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord

_GROUPS = {"COMPLETE": 0, "PRUNED": 1, "RUNNING": 1, "FAIL": 2}


def leaderboard(record: SweepRecord, top: int | None = None) -> pd.DataFrame:
    """One row per trial, best first: rank, trial, state, epoch, validation metrics, parameters, reference, reason.

    COMPLETE trials, trained to the full budget, come first and alone have a rank: by the sweep's metric at their last
    epoch, in its direction. PRUNED and RUNNING trials follow by the epoch they reached, then the metric, since a value
    at 3 epochs is not comparable with one at 100. FAIL comes last, and alone has a reason. Ties go by trial number.

    The sweep's metric is the first `val_` column; parameters have their dotted keys and are None in trials where they
    do not exist. `reference`, which is there where the space has baselines, is true in the first trial at each of
    them, whatever became of it. `top` keeps that many rows. Raises ValueError if it is below 1.
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
    if baselines := record.folder.config()["space"].get("baselines"):
        found = {_first_at(point, parameters) for point in baselines}
        frame["reference"] = [int(number) in found for number in frame["trial"]]
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


def _first_at(point: Mapping[str, Any], parameters: Mapping[int, Mapping[str, Any]]) -> int | None:
    """The first trial whose parameters hold those of a point, None where no trial was begun there."""
    there = (number for number, found in sorted(parameters.items()) if point.items() <= found.items())
    return next(there, None)


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
