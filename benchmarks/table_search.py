"""Searches of Optuna and Ray Tune that look their curves up in a recorded table instead of training.

Every search suggests points of one continuous space, the table's axes on a logarithmic scale, half a step wider at
each end, so that every setting of the table has an equal share of it. A suggestion is trained as the nearest setting of
the table; the sampler is told the value under its own point.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch
from typing_extensions import override

from benchmarks.recorded_curves import AXES, COMMON, EPOCHS, Table
from benchmarks.simulation import Search
from benchmarks.stoppers import RayStopper
from tune_mixup.search_space import SearchSpace


def _range(values: Sequence[float]) -> FloatDistribution:
    half = math.sqrt(values[1] / values[0])
    return FloatDistribution(values[0] / half, values[-1] * half, log=True)


FREE = {key: _range(values) for key, values in AXES.items()}
SEARCHED = SearchSpace(fixed={"data.name": "digits", **COMMON}, free=dict(FREE))
"""What ours is asked to search; the data does not matter, for nothing is trained."""


class Asked(Search):
    """What a study of Optuna's suggests and is told; nothing is stopped."""

    def __init__(self, table: Table, seed: int, study: optuna.Study) -> None:
        super().__init__(table, seed)
        self.study = study
        self.trials: list[optuna.Trial] = []

    @override
    def ask(self, trial: int) -> int:
        self.trials.append(self.study.ask())
        return nearest({key: _suggest(self.trials[trial], key) for key in FREE})

    @override
    def judge(self, trial: int, epoch: int, value: float) -> bool:
        self.trials[trial].report(value, epoch)
        return False

    @override
    def tell(self, trial: int, epoch: int, value: float) -> None:
        if epoch == EPOCHS:
            self.trials[trial].report(value, epoch)
            self.study.tell(trial, value)
        else:
            self.study.tell(trial, state=TrialState.PRUNED)


class Optunas(Asked):
    """Optuna alone, a sampler and a pruner of its own."""

    def __init__(
        self, table: Table, seed: int, sampler: Callable[..., BaseSampler], pruner: Callable[[], BasePruner]
    ) -> None:
        study = optuna.create_study(direction="maximize", sampler=sampler(seed=seed), pruner=pruner())
        super().__init__(table, seed, study)

    @override
    def judge(self, trial: int, epoch: int, value: float) -> bool:
        super().judge(trial, epoch, value)
        return self.trials[trial].should_prune()


class Rays(Search):
    """Ray Tune's OptunaSearch and ASHAScheduler, called as Tune's controller does; `options` are the scheduler's."""

    def __init__(self, table: Table, seed: int, **options: Any) -> None:
        super().__init__(table, seed)
        self.stopper = RayStopper(max_t=EPOCHS, **options)
        self.searcher = OptunaSearch(space=dict(FREE), metric="accuracy", mode="max", seed=seed)

    @override
    def ask(self, trial: int) -> int:
        suggested = self.searcher.suggest(str(trial))
        assert suggested is not None
        setting = nearest(suggested)
        self.stopper.begin(trial, setting)
        return setting

    @override
    def judge(self, trial: int, epoch: int, value: float) -> bool:
        stop = self.stopper.report(trial, epoch, value)
        if not stop:  # the searcher hears of results that stop nothing
            self.searcher.on_trial_result(str(trial), {"training_iteration": epoch, "accuracy": value})
        return stop

    @override
    def tell(self, trial: int, epoch: int, value: float) -> None:
        self.stopper.end(trial, epoch, value)  # Tune tells both, whether the trial was stopped or not
        self.searcher.on_trial_complete(str(trial), {"training_iteration": epoch, "accuracy": value})


def nearest(point: Mapping[str, float]) -> int:
    """The place of the table's setting that is nearest to a point, on each axis's logarithmic scale."""
    place = 0
    for key, values in AXES.items():
        step = math.log(point[key] / values[0]) / math.log(values[1] / values[0])
        place = place * len(values) + min(len(values) - 1, max(0, round(step)))
    return place


def _suggest(trial: optuna.Trial, key: str) -> float:
    return trial.suggest_float(key, FREE[key].low, FREE[key].high, log=True)
