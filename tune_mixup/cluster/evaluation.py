"""The one place that opens the test split: the best settings, trained afresh on new seeds, measured once, on record.

A search's own best score is optimistic, since it is the largest of many noisy ones. The retraining is a sweep of its
own below the sweep's folder: the same resources, no early stopping, and it can be resumed like any other.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.samplers.random_search import RandomSearch
from tune_mixup.search.retold import Retold, Source
from tune_mixup.search.seeds import first_fresh, unknown_sources
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
    whole: bool = False,
    address: str | None = None,
    listener: Listener | None = None,
) -> "pd.DataFrame":
    """Retrain the settings of `trials` on `seeds` fresh seeds at their full budget and open the test split.

    One row per trial: the score that the search saw, how many of the seeds ended (n) and failed, mean and standard
    deviation (n - 1; missing for n = 1) of the new validation and test metrics, and the searched parameters by dotted
    key. `whole` is the published protocol: nothing is held out of the training images, and in place of validation
    metrics there are the medians of the test metrics over the last `training.median_epochs` epochs. Each opening is
    written to the sweep's record. `listener` hears of the sweep's trials by their names. Raises ValueError for no
    trials, for `seeds` below 1 and for numbers that the sweep does not have.
    """
    record = SweepRecord.open(path)
    config = SweepConfig.from_record(record.folder.config())
    if seeds < 1 or not trials:
        raise ValueError(f"evaluate: got {len(trials)} trials and {seeds} seeds, must be at least one of each")
    fresh = fresh_seeds(record, seeds)
    name = partial(retraining_name, len(trials), seeds, whole=whole)
    retraining = plan(record, config, trials, fresh, name, whole=whole)
    measured: dict[Path, dict[str, float]] = {}
    with showing(listener) as shown:
        retraining.run(address, shown, then=lambda: measured.update(measure([retraining])))
    retraining.warn_of_failures()
    return open_test_split(record, config, trials, [retraining], measured)


def fresh_seeds(record: SweepRecord, number: int) -> range:
    """The first `number` seeds that nothing has used. Says so where nobody knows what a warm start has used."""
    first = first_fresh(record)
    for name in unknown_sources(record):
        logging.getLogger(__name__).warning(
            f"{record.name} began with what {name} had learnt, whose seeds its record does not have; those from "
            f"{first} on are taken to be fresh"
        )
    return range(first, first + number)


@dataclass(frozen=True)
class Retraining:
    """The sweep that trains settings of another one again, each on the same seeds."""

    of: str
    """Name of the other sweep."""
    plan: SweepConfig
    folder: Path
    trials: tuple[int, ...]
    """Those of the other sweep, in the order of the plan's points."""
    seeds: range

    def numbers(self, trial: int) -> range:
        """The numbers in this sweep of the trainings of one of the other's trials, one for each seed."""
        if trial not in self.trials:
            return range(0)
        first = self.trials.index(trial) * len(self.seeds)
        return range(first, first + len(self.seeds))

    def sources(self) -> dict[int, Source]:
        """Number of a trial of this sweep -> the trial of the other one whose setting it has, and its seed."""
        return {
            number: Source(trial, seed)
            for trial in self.trials
            for number, seed in zip(self.numbers(trial), self.seeds, strict=True)
        }

    @property
    def record(self) -> SweepRecord:
        """Raises ValueError before the first run."""
        return SweepRecord.open(self.folder)

    def run(self, address: str | None, listener: Listener, then: Callable[[], None] | None = None) -> None:
        """Begin or go on, and do `then` with the sweep's Ray."""
        told = Retold(listener, f"{self.of}, evaluated", self.sources())
        after = None if then is None else lambda record: then()
        if is_sweep(self.folder):
            resume(self.folder, address=address, listener=told, then=after)
        else:
            start(self.plan, root=self.folder.parent, address=address, listener=told, then=after)

    def warn_of_failures(self) -> None:
        """Say of each training that failed whose setting it was, why, and where its files are."""
        for trial in self.record.study.asked():
            if trial.state == TrialState.FAIL:
                who, where = self.sources()[trial.number].words(), self.record.folder.trial(trial.number).path
                logging.getLogger(__name__).warning(f"{who} failed: {facts_of(trial).reason}; see {where}")


def plan(
    record: SweepRecord,
    config: SweepConfig,
    trials: Sequence[int],
    seeds: range,
    name: Callable[[str], str],
    *,
    whole: bool = False,
) -> Retraining:
    """Each setting on each seed, as points of the same space with a free seed; `whole`: nothing is held out.

    The sweep that has these points already goes on, whatever it is called. Otherwise it is called what `name` makes
    of their mark. Raises ValueError where the data are known to have no test split, before anything is trained for it.
    """
    changes = {"data.validation_fraction": 0.0} if whole else {}
    params = {trial: params_of(record, trial) for trial in trials}
    for data in {config.trial(point).data for point in params.values()}:
        data.check_test()
    space = config.space.fix(changes) if changes else config.space
    points = tuple(
        {**{key: value for key, value in params[trial].items() if key not in changes}, "seed": seed}
        for trial in trials
        for seed in seeds
    )
    told = [*points, changes] if changes else points
    mark = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
    known = [one for one in sorted(record.folder.evaluations.glob(f"*-{mark}")) if is_sweep(one)]
    folder = known[0] if known else record.folder.evaluations / name(mark)
    made = config.replace(
        name=folder.name,
        metric=config.metric.replace("val_", "test_", 1) if whole else config.metric,
        space=space.replace(
            fixed={key: value for key, value in space.fixed.items() if key != "seed"},
            free={**space.free, "seed": CategoricalDistribution(tuple(seeds))},
            conditions={key: parents for key, parents in space.conditions.items() if key != "seed"},
            baselines=points,
        ),
        trials=len(points),
        sampler=RandomSearch(),
        stopping=Never(),
        finalists=Finalists(share=0.0),
        ablation=None,
        time_budget_s=None,
        gpu_hours=None,
    )
    return Retraining(record.name, made, folder, tuple(trials), seeds)


def params_of(record: SweepRecord, trial: int) -> dict[str, Any]:
    """The point of a trial. Raises ValueError where there is none to train."""
    asked = {one.number: one for one in record.study.asked()}
    if trial not in asked:
        there = f"it has {min(asked)} to {max(asked)}" if asked else "it has none"
        raise ValueError(f"the sweep {record.name!r} has no trial {trial}; {there}")
    if facts_of(asked[trial]).invalid is not None:
        raise ValueError(f"trial {trial} has {facts_of(asked[trial]).reason}; there is nothing to train")
    return asked[trial].params


@doing("measuring on the test split")
def measure(retrainings: Sequence[Retraining]) -> dict[Path, dict[str, float]]:
    """Folder -> test metrics of each retrained trial that reached its full budget, measured where it would run."""
    import ray

    pending = {}
    for one in retrainings:
        run = ray.remote(num_cpus=one.plan.cpus, num_gpus=one.plan.gpus)(_test)
        for trial in one.record.study.asked():
            if trial.state == TrialState.COMPLETE:
                folder = one.record.folder.trial(trial.number).path
                pending[folder] = run.remote(str(folder), one.plan.gpus or 1.0)
    return dict(zip(pending, ray.get(list(pending.values())), strict=True))


def _test(folder: str, share: float) -> dict[str, float]:
    from tune_mixup.training.trainer import Trainer

    config = TrialConfig.parse(TrialFolder(Path(folder)).read_config())  # mended by `resume`
    trainer = Trainer(config, folder=folder, share=share)
    trainer.run()  # nothing to do, unless the checkpoint of the trained model was lost since
    return trainer.test()


def open_test_split(
    record: SweepRecord,
    config: SweepConfig,
    trials: Sequence[int],
    retrainings: Sequence[Retraining],
    measured: Mapping[Path, dict[str, float]],
) -> "pd.DataFrame":
    """One row per trial, as `evaluate` has it, over all its retrainings; each is written to the sweep's record."""
    import pandas as pd

    rows = []
    for trial in trials:
        trained = [(one, number) for one in retrainings for number in one.numbers(trial)]
        folders = [one.record.folder.trial(number).path for one, number in trained]
        found = {path: measured[path] for path in folders if path in measured}
        rows.append(_row(record, config, trial, found, promised=len(folders)))
        names = [f"{one.folder.name}/{trial_name(number)}" for one, number in trained]
        record.folder.note_opening({"when": time.time(), "trial": trial, "retrained": names, "result": rows[-1]})
    return pd.DataFrame(rows)


def _row(
    record: SweepRecord,
    config: SweepConfig,
    trial: int,
    measured: Mapping[Path, dict[str, float]],
    *,
    promised: int,
) -> dict[str, Any]:
    from statistics import fmean, stdev

    history = known_rows(record, record.study.trial(trial), metric=config.metric)
    row: dict[str, Any] = {
        "trial": trial,
        f"search_{config.metric}": history[-1].get(config.metric) if history else None,
    }
    row |= {"n": len(measured), "failed": promised - len(measured)}
    ends = {path: TrialFolder(path).read_epochs()[-1] for path in measured}
    for name in next(iter(measured.values()), {}):
        reported = f"val_{name}" if all(f"val_{name}" in end for end in ends.values()) else f"test_{name}_median"
        for key, values in (
            (reported, [float(end[reported]) for end in ends.values()]),
            (f"test_{name}", [metrics[name] for metrics in measured.values()]),
        ):
            row[f"{key}_mean"] = fmean(values)
            row[f"{key}_sd"] = stdev(values) if len(values) > 1 else None
    params = record.study.trial(trial).params
    return {**row, **{key: params.get(key) for key in config.space.free if key != "seed"}}
