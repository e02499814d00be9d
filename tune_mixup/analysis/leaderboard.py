"""The settings or the trials of a sweep in order of merit, without comparing what cannot be compared."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from tune_mixup.analysis.ties import tied
from tune_mixup.record import tables
from tune_mixup.record.merit import Merits, Setting
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.statistics import additive

_GROUPS = {"COMPLETE": 0, "PRUNED": 1, "RUNNING": 1, "FAIL": 2}


By = Literal["setting", "trial"]
"""What has a row of its own."""


def leaderboard(record: SweepRecord, top: int | None = None, *, by: By = "setting") -> pd.DataFrame:
    """One row per setting, or per trial, best first: rank, trial, state, epoch, metrics, parameters, reference, reason.

    Settings that were trained to the full budget come first and alone have a rank: by the mean of the sweep's metric
    over the seeds they were trained on (`seeds`), in its direction; `error` is its standard error, `search` what the
    search itself saw, `tie` is true where the difference to the first is within the noise of seeds, and `failed` is on
    how many fresh seeds it failed. Finalists, which were trained again on fresh seeds, rank before the others, those
    that failed on one behind those that did not; what the others are worth was only seen by the search. All other
    metrics are means as well; `trial` is the first one with the setting. What was not trained to the end follows:
    PRUNED and RUNNING by the epoch reached, then the metric, since a value at 3 epochs is not comparable with one at
    100; FAIL comes last, and alone has a reason. Ties go by trial number. By trial, COMPLETE ones have the rank.

    The sweep's metric is the first `val_` column; parameters have their dotted keys and are None where they do not
    exist. `reference`, which is there where the space has baselines, is true in the first trial at each of them,
    whatever became of it. `top` keeps that many rows. Raises ValueError if it is below 1.
    """
    if top is not None and top < 1:
        raise ValueError(f"top: got {top}, must be at least 1")
    if by not in get_args(By):
        raise ValueError(f"by: got {by!r}, must be one of {', '.join(get_args(By))}")
    frame = _by_trial(record)
    if by == "setting":
        frame = _by_setting(record, frame)
    complete = frame["state"] == "COMPLETE"
    frame.insert(0, "rank", pd.Series(range(1, len(frame) + 1), dtype="Int64").where(complete))
    return frame if top is None else frame.head(top)


def _by_trial(record: SweepRecord) -> pd.DataFrame:
    """A row per trial, best first, without ranks."""
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
    return frame.loc[order.index].reset_index(drop=True)


def _by_setting(record: SweepRecord, trials: pd.DataFrame) -> pd.DataFrame:
    """One row of them for each setting: its means over seeds, or how far it came."""
    metric = str(record.folder.config()["metric"])
    merits = Merits.of(record)
    numbers = {trial.number: merits.setting_of(trial) for trial in record.study.asked()}
    setting_of = trials["trial"].map(numbers)
    if "reference" in trials:
        trials = trials.assign(reference=trials.groupby(setting_of)["reference"].transform("any"))
    ranked = merits.ranked()
    by_number = trials.set_index("trial", drop=False)
    best = by_number.loc[[setting.trial for setting in ranked]].reset_index(drop=True)
    runs = [[run.trial for run in setting.runs if run.value is not None] for setting in ranked]
    for name in (name for name in trials.columns if str(name).startswith("val_")):
        best[name] = pd.Series(_over_seeds(ranked, by_number[name].astype(float)), dtype=float)
    best[metric] = pd.Series([setting.mean for setting in ranked], dtype=float)
    done = set(setting_of[trials["trial"].isin([setting.trial for setting in ranked])])
    others = trials[~setting_of.isin(done) & ~setting_of.duplicated()]
    found = {
        "seeds": pd.array([len(one) for one in runs], dtype="Int64"),
        "error": pd.array([setting.error for setting in ranked], dtype="Float64"),
        "search": pd.array([fmean(one.searched) if one.searched else None for one in ranked], dtype="Float64"),
        "tie": pd.array(tied(ranked), dtype="boolean"),
        "failed": pd.array([setting.failed for setting in ranked], dtype="Int64"),
    }
    for place, (name, values) in enumerate(found.items(), start=list(best.columns).index(metric) + 1):
        best.insert(place, name, pd.Series(values))
    return pd.concat([best, others]).reindex(columns=best.columns).reset_index(drop=True)


def _over_seeds(ranked: Sequence[Setting], values: "pd.Series[float]") -> list[float]:
    """The mean of each setting over its seeds, of a metric by trial; of finalists as `Merits` has it of the sweep's."""
    by_seed = [{run.seed: float(values[run.trial]) for run in one.runs if run.value is not None} for one in ranked]
    means = [fmean(one.values()) for one in by_seed]
    unlike = [place for place, one in enumerate(ranked) if one.level is not None]
    if unlike and all(np.isfinite(value) for place in unlike for value in by_seed[place].values()):
        levels = additive({place: by_seed[place] for place in unlike}).means
        means = [levels.get(place, mean) for place, mean in enumerate(means)]
    return means


def _first_at(point: Mapping[str, Any], parameters: Mapping[int, Mapping[str, Any]]) -> int | None:
    """The first trial whose parameters, which are in order, hold those of a point; None where none was begun there."""
    there = (number for number, found in parameters.items() if point.items() <= found.items())
    return next(there, None)


def direction(record: SweepRecord) -> Literal["maximize", "minimize"]:
    """Whether more or less of the sweep's metric is better."""
    return "minimize" if record.study.optuna.direction.name == "MINIMIZE" else "maximize"


def rule(record: SweepRecord, *, by: By = "setting") -> str:
    """The order of `leaderboard` in words, to stand beside its numbers."""
    better = "more" if direction(record) == "maximize" else "less"
    metric = record.folder.config()["metric"]
    ranked = {
        "setting": f"Ranked are the settings trained to the full budget, by their mean {metric} over seeds at the last "
        f"epoch ({better} is better); finalists, trained again on fresh seeds, come before the others",
        "trial": f"Ranked are the trials trained to the full budget, by {metric} at their last epoch ({better} is "
        "better)",
    }
    return (
        f"{ranked[by]}. Stopped and unfinished ones follow by epoch reached, then metric; failed ones are last. All "
        "numbers are validation numbers."
    )
