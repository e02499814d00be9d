"""Searches that look their curves up in the recorded table instead of training: ours and what it is compared with.

Every search suggests points of one continuous space, the table's axes on a logarithmic scale, half a step wider at
each end, so that every setting of the table has an equal share of it. A suggestion is trained as the nearest setting of
the table; the sampler is told the value under its own point. A setting that comes again takes the next seed's curve.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from benchmarks.recorded_curves import AXES, EPOCHS, SPACE, Floats, Table
from benchmarks.slots import run
from benchmarks.stoppers import OurStopper, RayStopper
from tune_mixup.samplers import TrialSampler
from tune_mixup.search.seats import Seats
from tune_mixup.search_space import SearchSpace
from tune_mixup.stopping.asha import Asha
from tune_mixup.sweep_config import SweepConfig, plan

SLOTS = 4
"""Trials at a time."""
MEDIAN = 5
"""Epochs over which `val_accuracy_median` is taken, as in `training.median_epochs`."""


def _range(values: Sequence[float]) -> FloatDistribution:
    half = math.sqrt(values[1] / values[0])
    return FloatDistribution(values[0] / half, values[-1] * half, log=True)


FREE = {key: _range(values) for key, values in AXES.items()}
SEARCHED = SearchSpace(fixed=SPACE.fixed, free=dict(FREE))


class Step(NamedTuple):
    """A search after one more trial has reported its last epoch or was stopped."""

    spent: int
    """Epochs trained so far, over all trials, unfinished ones too."""
    trained: int | None
    """The setting that has now been trained to the end; None for a trial that was stopped."""
    incumbent: int
    """The setting that the search would hand on now: of the trial with the best last value."""
    complete: bool
    """Whether that trial was trained to the end; if any was, one of those is handed on."""


class Search(ABC):
    """A search with one seed: asks for a point, looks its curve up, judges each epoch, tells the end."""

    def __init__(self, table: Table, seed: int) -> None:
        self.table = table
        self.seed = seed
        self.spent = 0
        """Epochs trained so far, over all trials, unfinished ones too."""
        self.steps: list[Step] = []
        """One for each trial that has ended."""
        self.settings: list[int] = []
        """Trial -> its setting's place in the table."""
        self.curves: list[list[float]] = []
        """Trial -> what each of its epochs reports."""
        self.stopped: list[int] = []
        """The settings of trials that were stopped."""
        self._asked: Counter[int] = Counter()
        self._best = (False, -1.0, -1)
        self._uneven = np.random.default_rng(seed)

    # How a method differs

    @abstractmethod
    def ask(self, trial: int) -> int:
        """The next trial's setting, as its place in the table."""

    def watch(self, accuracy: Floats) -> list[float]:
        """What the method is told of a curve: accuracy after each epoch."""
        values: list[float] = accuracy.tolist()
        return values

    def judge(self, trial: int, epoch: int, value: float) -> bool:
        """Whether a trial stops; not asked after its last epoch."""
        return False

    @abstractmethod
    def tell(self, trial: int, epoch: int, value: float) -> None:
        """A trial has ended, with the value of its last epoch."""

    # What they have in common

    def begin(self, trial: int) -> None:
        """Ask for a point and look its curve up."""
        setting = self.ask(trial)
        seeds = self.table.accuracy.shape[1]
        curve = self.table.accuracy[setting, (self.seed + self._asked[setting]) % seeds]
        self._asked[setting] += 1
        self.settings.append(setting)
        self.curves.append(self.watch(curve))

    def ends(self, trial: int) -> list[float]:
        """Times from a trial's begin to the end of each epoch; 1 is a usual epoch."""
        speed = np.exp(self._uneven.normal(0, 0.1)) * np.exp(self._uneven.normal(0, 0.02, EPOCHS))
        times: list[float] = speed.cumsum().tolist()
        return times

    def report(self, trial: int, epoch: int) -> bool:
        """Count the epoch and judge it."""
        self.spent += 1
        return self.judge(trial, epoch, self.curves[trial][epoch - 1])

    def end(self, trial: int, epoch: int) -> None:
        """Tell the end and keep the step."""
        whole = epoch == EPOCHS
        if whole:
            self.spent += 1
        value = self.curves[trial][epoch - 1]
        self.tell(trial, epoch, value)
        setting = self.settings[trial]
        if (whole, value) > self._best[:2]:  # what was trained to the end comes before what was not
            self._best = (whole, value, setting)
        if not whole:
            self.stopped.append(setting)
        self.steps.append(Step(self.spent, setting if whole else None, self._best[2], self._best[0]))

    def run(self, over: Callable[["Search"], bool]) -> list[Step]:
        """Search until `over` says so, asked after every epoch; what was done until then."""
        run(self, self.ends, epochs=EPOCHS, slots=SLOTS, over=lambda: over(self))
        return self.steps


class Ours(Search):
    """Our sampler and our early stopping, asked and told as `search/session.py` does; `options` are a sweep's."""

    def __init__(self, table: Table, seed: int, **options: Any) -> None:
        super().__init__(table, seed)
        self.places = _places(seed, **options)
        self.config = self.places.config
        self.stopper = OurStopper(self.config, self.places)
        self.study = optuna.create_study(direction=self.config.direction)
        self.trials: list[optuna.Trial] = []

    def ask(self, trial: int) -> int:
        """A point of the sweep's sampler, at a longer grace where the control group speaks for it."""
        self.stopper.lengthen_grace(trial)
        self.study.sampler = TrialSampler(self.config.sampler, seed=self.config.seed, number=trial)
        self.trials.append(self.study.ask())
        setting = nearest({key: _suggest(self.trials[trial], key) for key in self.config.space.order()})
        self.stopper.begin(trial, self.config.trial(self.table.settings[setting]))
        return setting

    def watch(self, accuracy: Floats) -> list[float]:
        """The metric of the sweep: by default the median of the last epochs."""
        return medians(accuracy) if self.config.metric.endswith("_median") else super().watch(accuracy)

    def judge(self, trial: int, epoch: int, value: float) -> bool:
        """By the rule."""
        self.trials[trial].report(value, epoch)
        return self.stopper.report(trial, epoch, value)

    def tell(self, trial: int, epoch: int, value: float) -> None:
        """COMPLETE or PRUNED, as in the record."""
        if epoch == EPOCHS:
            self.trials[trial].report(value, epoch)
            told = self.study.tell(trial, value)
        else:
            told = self.study.tell(trial, state=TrialState.PRUNED)
        self.stopper.end(trial, epoch, value, told)


class Optunas(Search):
    """Optuna alone, a sampler and a pruner of its own."""

    def __init__(
        self, table: Table, seed: int, sampler: Callable[..., BaseSampler], pruner: Callable[[], BasePruner]
    ) -> None:
        super().__init__(table, seed)
        self.study = optuna.create_study(direction="maximize", sampler=sampler(seed=seed), pruner=pruner())
        self.trials: list[optuna.Trial] = []

    def ask(self, trial: int) -> int:
        """A point of the study."""
        self.trials.append(self.study.ask())
        return nearest({key: _suggest(self.trials[trial], key) for key in FREE})

    def judge(self, trial: int, epoch: int, value: float) -> bool:
        """Report and ask the pruner."""
        self.trials[trial].report(value, epoch)
        return self.trials[trial].should_prune()

    def tell(self, trial: int, epoch: int, value: float) -> None:
        """COMPLETE or PRUNED."""
        if epoch == EPOCHS:
            self.trials[trial].report(value, epoch)
            self.study.tell(trial, value)
        else:
            self.study.tell(trial, state=TrialState.PRUNED)


class Rays(Search):
    """Ray Tune's OptunaSearch and ASHAScheduler, called as Tune's controller does."""

    def __init__(self, table: Table, seed: int) -> None:
        super().__init__(table, seed)
        self.stopper = RayStopper(max_t=EPOCHS)
        self.searcher = OptunaSearch(space=dict(FREE), metric="accuracy", mode="max", seed=seed)

    def ask(self, trial: int) -> int:
        """A suggestion of the searcher."""
        suggested = self.searcher.suggest(str(trial))
        assert suggested is not None
        self.stopper.begin(trial)
        return nearest(suggested)

    def judge(self, trial: int, epoch: int, value: float) -> bool:
        """By the scheduler; the searcher hears of results that stop nothing."""
        stop = self.stopper.report(trial, epoch, value)
        if not stop:
            self.searcher.on_trial_result(str(trial), {"training_iteration": epoch, "accuracy": value})
        return stop

    def tell(self, trial: int, epoch: int, value: float) -> None:
        """Tune tells both of the last result, whether the trial was stopped or not."""
        self.stopper.end(trial, epoch, value)
        self.searcher.on_trial_complete(str(trial), {"training_iteration": epoch, "accuracy": value})


class Shuffled(Search):
    """All settings of the table in random order, none twice before all have come; nothing is stopped."""

    def ask(self, trial: int) -> int:
        """The next in the order."""
        count = len(self.table.settings)
        return int(np.random.default_rng([self.seed, trial // count]).permutation(count)[trial % count])

    def tell(self, trial: int, epoch: int, value: float) -> None:
        """Nobody listens."""


def nearest(point: Mapping[str, float]) -> int:
    """The place of the table's setting that is nearest to a point, on each axis's logarithmic scale."""
    place = 0
    for key, values in AXES.items():
        step = math.log(point[key] / values[0]) / math.log(values[1] / values[0])
        place = place * len(values) + min(len(values) - 1, max(0, round(step)))
    return place


def medians(accuracy: Floats) -> list[float]:
    """The median of the last `MEDIAN` epochs so far, after each epoch."""
    return [float(np.median(accuracy[max(0, epoch - MEDIAN) : epoch])) for epoch in range(1, len(accuracy) + 1)]


def _suggest(trial: optuna.Trial, key: str) -> float:
    return trial.suggest_float(key, FREE[key].low, FREE[key].high, log=True)


@cache  # cutting the strata takes a while, and many searches of one seed share them
def _places(seed: int, **options: Any) -> Seats:
    config: SweepConfig = plan(SEARCHED, name="table", seed=seed, **options)
    return Seats(config)


METHODS: dict[str, Callable[[Table, int], Search]] = {
    "ours": Ours,
    "random, full runs": partial(Optunas, sampler=RandomSampler, pruner=NopPruner),
    "ray": Rays,
    "optuna": partial(Optunas, sampler=TPESampler, pruner=SuccessiveHalvingPruner),
    "all settings in random order, full runs": Shuffled,
    "ours, grace 1": partial(Ours, stopping=Asha(grace_epochs=1)),
    "ours, grace 1, factor 4": partial(Ours, stopping=Asha(grace_epochs=1, reduction_factor=4)),
    "ours, grace 5": partial(Ours, stopping=Asha(grace_epochs=5)),
    "ours, grace 13": partial(Ours, stopping=Asha(grace_epochs=13)),
    "ours, no control group": partial(Ours, stopping=Asha(control_fraction=0.0)),
    "ours, grace 1, no control group": partial(Ours, stopping=Asha(grace_epochs=1, control_fraction=0.0)),
    "ours, no strata": partial(Ours, stopping=Asha(strata="none")),
    "ours, median of 3 epochs": partial(Ours, metric="val_accuracy", stopping=Asha(smoothing=3)),
    "ours, single epochs": partial(Ours, metric="val_accuracy", stopping=Asha(smoothing=1)),
    "ours, hyperband": partial(Ours, scheduler="hyperband"),
    "ours, random points": partial(Ours, sampler="random"),
    "ours, nothing stopped": partial(Ours, scheduler="none"),
}
"""Name -> a search with a seed; options of ours are a sweep's that differ from its defaults."""
