"""The settings of a sweep in order of merit: each is worth the mean over the seeds that it was trained on to the end.

A setting's first value is the one that it was chosen by, and so the luckiest of many. Those that were trained again on
fresh seeds, the finalists, come first: their means are no longer the pick of the luck. A seed makes much of a value (it
draws the validation split), so that means over different seeds are made comparable first (`statistics.additive`).
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple, Self

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.record.study import is_finalist, is_invalid, is_served, replicate_seed
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.statistics import additive


class Run(NamedTuple):
    """A training of a setting that has ended with a value, or has failed."""

    trial: int
    seed: int
    value: float | None
    """The sweep's metric at the full budget; None for one that failed."""
    fresh: bool
    """Whether it is a finalist's, on a seed that nothing was chosen by."""


@dataclass(frozen=True)
class Setting:
    """A setting that was trained to the end at least once."""

    runs: tuple[Run, ...]
    """By number, one for each seed: a seed that was trained twice counts once."""
    level: float | None = None
    """What a finalist's mean would be on all seeds that finalists had, where they had different ones."""

    @property
    def trial(self) -> int:
        """The first trial that has trained it to the end: it stands for the setting."""
        return min(run.trial for run in self.runs if run.value is not None)

    @property
    def values(self) -> list[float]:
        """Of all seeds."""
        return [run.value for run in self.runs if run.value is not None]

    @property
    def searched(self) -> list[float]:
        """What the search saw of it."""
        return [run.value for run in self.runs if run.value is not None and not run.fresh]

    @property
    def by_seed(self) -> dict[int, float]:
        """Seed -> value."""
        return {run.seed: run.value for run in self.runs if run.value is not None}

    @property
    def mean(self) -> float:
        """What it is worth: the mean over its seeds, or its level."""
        return fmean(self.values) if self.level is None else self.level

    @property
    def error(self) -> float | None:
        """The standard error of the mean over its seeds; None for one seed."""
        return stdev(self.values) / len(self.values) ** 0.5 if len(self.values) > 1 else None

    @property
    def is_finalist(self) -> bool:
        """Whether it was trained again on a fresh seed."""
        return any(run.fresh and run.value is not None for run in self.runs)

    @property
    def failed(self) -> int:
        """On how many seeds it has failed."""
        return sum(run.value is None for run in self.runs)


Place = tuple[bool, bool, float, int]
"""By which settings are in order, the best first: no finalist, failed, demerit, trial."""


class Merits:
    """The settings of a sweep, brought up to date by events. Call `note` for every trial that has ended."""

    def __init__(self, direction: Literal["maximize", "minimize"], *, seed: int = 0) -> None:
        """`seed` is that of trials which say nothing of theirs."""
        self.sign = 1 if direction == "maximize" else -1
        self.seed = seed
        self._runs: dict[int, dict[int, Run]] = {}
        self._settings: dict[int, Setting] = {}
        self._places: dict[int, Place] = {}
        self._as_searched: list[int] | None = None
        self._to_level = False
        self._first: dict[Hashable, int] = {}
        self._best: int | None = None

    @classmethod
    def of(cls, record: SweepRecord) -> Self:
        """Those of all trials of a record."""
        direction: Literal["maximize", "minimize"] = (
            "minimize" if record.study.optuna.direction.name == "MINIMIZE" else "maximize"
        )
        made = cls(direction, seed=common_seed(record.folder.config()))
        for trial in record.study.asked():
            made.note(trial)
        return made

    def setting_of(self, trial: FrozenTrial) -> int:
        """The first trial that was asked for with the setting of this one: the setting's own number.

        Records of before this was noted are told by their parameters.
        """
        if (noted := trial.user_attrs.get("setting")) is not None:
            return int(noted)
        point = frozenset((key, repr(value)) for key, value in trial.params.items() if key != "seed")
        return self._first.setdefault(point, trial.number)

    def note(self, trial: FrozenTrial) -> None:
        """Take in a trial that has ended; others change nothing."""
        if not trial.state.is_finished() or is_invalid(trial):
            return
        if is_served(trial):
            return
        number, fresh = self.setting_of(trial), is_finalist(trial)
        value = trial.value if trial.state == TrialState.COMPLETE and math.isfinite(trial.value or 0.0) else None
        if value is None and trial.state != TrialState.FAIL:
            return
        runs = self._runs.setdefault(number, {})
        runs[trial.number] = Run(trial.number, seed_of(trial, self.seed), value, fresh)
        by_seed = {run.seed: run for run in sorted(runs.values(), reverse=True)}
        if all(run.value is None for run in runs.values()):
            return
        setting = self._settings[number] = Setting(tuple(sorted(by_seed.values())))
        if not fresh:
            self._as_searched = None
        if setting.is_finalist:
            self._to_level = True  # and so what is best, once somebody asks
            return
        self._places[number] = self._place(setting)
        if self._best == number:  # it may be worse now
            self._best = min(self._places, key=self._places.__getitem__)
        elif self._best is None or self._places[number] < self._places[self._best]:
            self._best = number

    def _level_finalists(self) -> None:
        """Make the means of finalists comparable where they have different seeds, if one has changed since."""
        if not self._to_level:
            return
        self._to_level = False
        finalists = {number: one for number, one in sorted(self._settings.items()) if one.is_finalist}
        levels: dict[int, float] = {}
        if len({frozenset(one.by_seed) for one in finalists.values()}) > 1:
            levels = dict(additive({number: one.by_seed for number, one in finalists.items()}).means)
        for number, one in finalists.items():
            self._settings[number] = levelled = replace(one, level=levels.get(number))
            self._places[number] = self._place(levelled)
        self._best = min(self._places, key=self._places.__getitem__)

    def ranked(self) -> list[Setting]:
        """The best first: finalists, then what was searched; of both, those that failed on a seed come last."""
        self._level_finalists()
        return [self._settings[number] for number in sorted(self._settings, key=self._places.__getitem__)]

    def best(self) -> Setting | None:
        """The first of them; None before a trial was trained to the end."""
        self._level_finalists()
        return None if self._best is None else self._settings[self._best]

    def as_searched(self) -> list[tuple[int, Setting]]:
        """Number and setting, the best first by what the search saw, whatever fresh seeds have said since."""
        if self._as_searched is None:
            found = {number: setting.searched for number, setting in self._settings.items() if setting.searched}
            self._as_searched = sorted(found, key=lambda number: (-self.sign * fmean(found[number]), number))
        return [(number, self._settings[number]) for number in self._as_searched]

    def _place(self, setting: Setting) -> Place:
        demerit = round(-self.sign * setting.mean, 12)  # what differs by rounding is equal
        return not setting.is_finalist, setting.failed > 0, demerit, setting.trial


def seed_of(trial: FrozenTrial, common: int) -> int:
    """The seed that a trial was trained on; `common` is that of trials which say nothing of theirs."""
    if (fresh := replicate_seed(trial)) is not None:
        return fresh
    return int(trial.params.get("seed", common))


def common_seed(config: dict[str, Any]) -> int:
    """The seed of a sweep's trials, from its record, where they say nothing of theirs."""
    space = config.get("space", {})
    return int(space.get("fixed", {}).get("seed", config.get("seed", 0)))
