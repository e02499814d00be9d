"""The one place that opens the test split: the best settings, trained afresh on new seeds, measured once, on record.

A search's own best score is optimistic, since it is the largest of many noisy ones. The retraining is a sweep of its
own below the sweep's folder: the same resources, no early stopping, and it can be resumed like any other.
"""

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from tune_mixup.activity import doing
from tune_mixup.cluster.sweep import resume, start
from tune_mixup.config import TrialConfig
from tune_mixup.display import showing
from tune_mixup.finalists import Finalists
from tune_mixup.record.names import is_sweep, retraining_name, trial_name
from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.tables import known_rows
from tune_mixup.samplers.random_search import RandomSearch
from tune_mixup.search.retold import Retold, Source
from tune_mixup.search.standing import Listener
from tune_mixup.stopping.never import Never
from tune_mixup.sweep_config import SweepConfig

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    path: Path | str,
    trials: Sequence[int],
    *,
    seeds: int = 3,
    address: str | None = None,
    listener: Listener | None = None,
) -> "pd.DataFrame":
    """Retrain the settings of `trials` on `seeds` fresh seeds at their full budget and open the test split.

    One row per trial: the score that the search saw, how many of the seeds ended (n) and failed, mean and standard
    deviation (n - 1; missing for n = 1) of the new validation and test metrics, and the searched parameters by dotted
    key. Each opening is written to the sweep's record. `listener` hears of the sweep's trials by their names. Raises
    ValueError for no trials, for `seeds` below 1 and for numbers that the sweep does not have.
    """
    record = SweepRecord.open(path)
    config = SweepConfig.from_record(record.folder.config())
    if seeds < 1 or not trials:
        raise ValueError(f"evaluate: got {len(trials)} trials and {seeds} seeds, must be at least one of each")
    plan = _plan(record, config, trials, seeds)
    measured: dict[int, dict[str, float]] = {}

    def measure(retrained: SweepRecord) -> None:
        measured.update(_measure(retrained, plan))

    with showing(listener) as shown:
        told = Retold(shown, f"{record.name}, evaluated", _sources(plan, trials, seeds))
        folder = record.folder.evaluations / plan.name
        if is_sweep(folder):
            retrained = resume(folder, address=address, listener=told, then=measure).record
        else:
            retrained = start(plan, root=folder.parent, address=address, listener=told, then=measure).record
    _warn_of_failures(retrained, _sources(plan, trials, seeds))
    rows = []
    for place, trial in enumerate(trials):
        mine = range(place * seeds, (place + 1) * seeds)  # the plan's points are in the order of the trials
        rows.append(_row(record, config, retrained, trial, {n: measured[n] for n in mine if n in measured}, len(mine)))
        seen = {"when": time.time(), "trial": trial, "retrained": [f"{plan.name}/{trial_name(n)}" for n in mine]}
        record.folder.note_opening({**seen, "result": rows[-1]})
    import pandas as pd

    return pd.DataFrame(rows)


def _warn_of_failures(retrained: SweepRecord, sources: Mapping[int, Source]) -> None:
    """Say of each training that failed whose setting it was, why, and where its files are."""
    for trial in retrained.study.asked():
        if trial.state == TrialState.FAIL:
            who, where = sources[trial.number].words(), retrained.folder.trial(trial.number).path
            logging.getLogger(__name__).warning(f"{who} failed: {facts_of(trial).reason}; see {where}")


def _sources(plan: SweepConfig, trials: Sequence[int], seeds: int) -> dict[int, Source]:
    """Number of a trial of the plan -> the trial of the sweep whose setting it has, and its seed."""
    return {
        number: Source(trials[number // seeds], int(point["seed"])) for number, point in enumerate(plan.space.baselines)
    }


def _plan(record: SweepRecord, config: SweepConfig, trials: Sequence[int], seeds: int) -> SweepConfig:
    """The sweep that retrains: each setting on each fresh seed, as points of the same space with a free seed."""
    asked = {trial.number: trial for trial in record.study.asked()}
    for trial in trials:
        if trial not in asked:
            there = f"it has {min(asked)} to {max(asked)}" if asked else "it has none"
            raise ValueError(f"the sweep {record.name!r} has no trial {trial}; {there}")
        if facts_of(asked[trial]).invalid is not None:
            raise ValueError(f"trial {trial} has {facts_of(asked[trial]).reason}; there is nothing to train")
    used = {config.seed, *(one.params.get("seed", config.seed) for one in asked.values())}
    fresh = range(max(used) + 1, max(used) + 1 + seeds)
    space = config.space
    points = tuple({**asked[trial].params, "seed": seed} for trial in trials for seed in fresh)
    mark = hashlib.sha256(json.dumps(points, sort_keys=True).encode()).hexdigest()[:8]
    return config.replace(
        name=retraining_name(len(trials), seeds, mark),
        space=space.replace(
            fixed={key: value for key, value in space.fixed.items() if key != "seed"},
            free={**space.free, "seed": CategoricalDistribution(tuple(fresh))},
            conditions={key: parents for key, parents in space.conditions.items() if key != "seed"},
            baselines=points,
        ),
        trials=len(points),
        sampler=RandomSearch(),
        stopping=Never(),
        finalists=Finalists(share=0.0),
        time_budget_s=None,
    )


@doing("measuring on the test split")
def _measure(retrained: SweepRecord, plan: SweepConfig) -> dict[int, dict[str, float]]:
    """The test metrics of each retrained trial that reached its full budget, measured where a trial would run."""
    import ray

    run = ray.remote(num_cpus=plan.cpus, num_gpus=plan.gpus)(_test)
    complete = [trial.number for trial in retrained.study.asked() if trial.state == TrialState.COMPLETE]
    folders = [str(retrained.folder.trial(number).path) for number in complete]
    return dict(zip(complete, ray.get([run.remote(folder) for folder in folders]), strict=True))


def _test(folder: str) -> dict[str, float]:
    from tune_mixup.record.trial_folder import TrialFolder
    from tune_mixup.training.trainer import Trainer

    trainer = Trainer(TrialConfig.parse(TrialFolder(Path(folder)).read_config()), folder=folder)  # mended by `resume`
    trainer.run()  # nothing to do, unless the checkpoint of the trained model was lost since
    return trainer.test()


def _row(
    record: SweepRecord,
    config: SweepConfig,
    retrained: SweepRecord,
    trial: int,
    measured: dict[int, dict[str, float]],
    promised: int,
) -> dict[str, Any]:
    from statistics import fmean, stdev

    history = known_rows(record, record.study.trial(trial), metric=config.metric)
    row: dict[str, Any] = {
        "trial": trial,
        f"search_{config.metric}": history[-1].get(config.metric) if history else None,
    }
    row |= {"n": len(measured), "failed": promised - len(measured)}
    ends = {number: retrained.folder.trial(number).read_epochs()[-1] for number in measured}
    for name in next(iter(measured.values()), {}):
        for split, values in (
            ("val", [float(ends[number][f"val_{name}"]) for number in measured]),
            ("test", [metrics[name] for metrics in measured.values()]),
        ):
            row[f"{split}_{name}_mean"] = fmean(values)
            row[f"{split}_{name}_sd"] = stdev(values) if len(values) > 1 else None
    params = record.study.trial(trial).params
    return {**row, **{key: params.get(key) for key in config.space.free if key != "seed"}}
