"""Searches that look their curves up in the recorded table instead of training: ours and what it is compared with.

Every search suggests points of one continuous space, the table's axes on a logarithmic scale, half a step wider at
each end, so that every setting of the table has an equal share of it. A suggestion is trained as the nearest setting of
the table; the sampler is told the value under its own point.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch
from typing_extensions import override

from benchmarks.options import configured
from benchmarks.recorded_curves import AXES, EPOCHS, SPACE, Table
from benchmarks.simulation import Floats, Search, medians
from benchmarks.stoppers import OurStopper, RayStopper
from tune_mixup.samplers import TrialSampler
from tune_mixup.search.seats import Seats
from tune_mixup.search_space import SearchSpace


def _range(values: Sequence[float]) -> FloatDistribution:
    half = math.sqrt(values[1] / values[0])
    return FloatDistribution(values[0] / half, values[-1] * half, log=True)


FREE = {key: _range(values) for key, values in AXES.items()}
SEARCHED = SearchSpace(fixed=SPACE.fixed, free=dict(FREE))


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


class Ours(Asked):
    """Our sampler and our early stopping, asked and told as `search/session.py` does; `options` are a sweep's."""

    def __init__(self, table: Table, seed: int, **options: Any) -> None:
        places = _places(seed, **options)
        self.config = places.config
        super().__init__(table, seed, optuna.create_study(direction=self.config.direction))
        self.stopper = OurStopper(places, lambda setting: self.config.trial(table.settings[setting]))

    @override
    def ask(self, trial: int) -> int:
        self.study.sampler = TrialSampler(self.config.sampler, seed=self.config.seed, number=trial)
        setting = super().ask(trial)
        self.stopper.begin(trial, setting)
        return setting

    @override
    def watch(self, accuracy: Floats) -> list[float]:
        return medians(accuracy) if self.config.metric.endswith("_median") else super().watch(accuracy)

    @override
    def judge(self, trial: int, epoch: int, value: float) -> bool:
        super().judge(trial, epoch, value)
        return self.stopper.report(trial, epoch, value)

    @override
    def tell(self, trial: int, epoch: int, value: float) -> None:
        super().tell(trial, epoch, value)
        self.stopper.end(trial, epoch, value)


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


class Shuffled(Search):
    """All settings of the table in random order, none twice before all have come; nothing is stopped."""

    @override
    def ask(self, trial: int) -> int:
        count = len(self.lookup)
        return int(np.random.default_rng([self.seed, trial // count]).permutation(count)[trial % count])

    @override
    def tell(self, trial: int, epoch: int, value: float) -> None:
        """Nobody listens."""


def nearest(point: Mapping[str, float]) -> int:
    """The place of the table's setting that is nearest to a point, on each axis's logarithmic scale."""
    place = 0
    for key, values in AXES.items():
        step = math.log(point[key] / values[0]) / math.log(values[1] / values[0])
        place = place * len(values) + min(len(values) - 1, max(0, round(step)))
    return place


def _suggest(trial: optuna.Trial, key: str) -> float:
    return trial.suggest_float(key, FREE[key].low, FREE[key].high, log=True)


@cache  # cutting the strata takes a while, and many searches of one seed share them
def _places(seed: int, **options: Any) -> Seats:
    return Seats(configured(SEARCHED, name="table", seed=seed, **options))


METHODS: dict[str, Callable[[Table, int], Search]] = {
    "ours": Ours,
    "random, full runs": partial(Optunas, sampler=RandomSampler, pruner=NopPruner),
    "ray": Rays,
    "optuna": partial(Optunas, sampler=TPESampler, pruner=SuccessiveHalvingPruner),
    "all settings in random order, full runs": Shuffled,
    "ours, grace 1": partial(Ours, grace_epochs=1),
    "ours, grace 1, factor 4": partial(Ours, grace_epochs=1, reduction_factor=4),
    "ours, grace 5": partial(Ours, grace_epochs=5),
    "ours, grace 13": partial(Ours, grace_epochs=13),
    "ours, no control group": partial(Ours, control_fraction=0.0),
    "ours, grace 1, no control group": partial(Ours, grace_epochs=1, control_fraction=0.0),
    "ours, no strata": partial(Ours, strata="none"),
    "ours, median of 3 epochs": partial(Ours, metric="val_accuracy", smoothing=3),
    "ours, single epochs": partial(Ours, metric="val_accuracy", smoothing=1),
    "ours, hyperband": partial(Ours, scheduler="hyperband"),
    "ours, random points": partial(Ours, sampler="random"),
    "ours, nothing stopped": partial(Ours, scheduler="none"),
}
"""Name -> a search with a seed; options of ours are a sweep's that differ from its defaults."""
