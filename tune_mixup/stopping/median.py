"""The median stopping rule: a trial whose best value is worse than the median of the others' running means ends.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2.

Differs from the paper: means begin behind the grace, as in Ray's `MedianStoppingRule`, whose decisions these are; and
the control group goes on whatever comes out.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Objective, Seat, StoppingRule
from tune_mixup.stopping.rungs import grace_of, rung_epochs
from tune_mixup.stopping.with_grace import WithGrace


class Median(WithGrace):
    """Settings of the median rule, which knows neither rungs nor groups."""

    name: Literal["median"] = "median"
    min_others: int = Field(default=3, ge=1)
    """Trials that must have come as far as a trial before it can be stopped."""
    needs_every_epoch = True

    @override
    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        grace = grace_of(epochs) if self.grace_epochs is None else self.grace_epochs
        return MedianRule(objective.direction, grace_epochs=grace, min_others=self.min_others)

    @override
    def rungs(self, epochs: int, drops: Iterable[int] = ()) -> list[int]:
        return rung_epochs(epochs, grace_epochs=self.grace_epochs, reduction_factor=self.one_in, drops=drops)


@dataclass
class _Course:
    """What a trial has reported."""

    epochs: list[int] = field(default_factory=list)
    """Rising."""
    values: list[float] = field(default_factory=list)


@dataclass
class MedianRule(StoppingRule):
    """Decides after every epoch from `grace_epochs` on, by comparison with trials that have come as far."""

    direction: Literal["maximize", "minimize"]
    grace_epochs: int
    min_others: int = 3
    _courses: dict[int, _Course] = field(default_factory=dict)

    @override
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        if not self._is_new(trial, epoch, value) or seat.spared or epoch < self.grace_epochs:
            return None
        means = [self._mean(course, epoch) for other, course in self._courses.items() if other != trial]
        known = [mean for mean in means if mean is not None]
        if len(known) < self.min_others:
            return None
        better = max if self.direction == "maximize" else min
        best = better(self._courses[trial].values)
        if better(float(np.median(known)), best) == best:
            return None
        why = f"epoch {epoch}: its best, {best:.4g}, is worse than the median of the others' running means"
        return Decision(epoch=epoch, stop=True, by="median", why=why, value=best)

    @override
    def note(self, trial: int, epoch: int, value: float, seat: Seat) -> None:
        self._is_new(trial, epoch, value)

    def _is_new(self, trial: int, epoch: int, value: float) -> bool:
        """Take in a report; False for an epoch that the trial had already passed."""
        course = self._courses.setdefault(trial, _Course())
        if course.epochs and epoch <= course.epochs[-1]:
            return False
        course.epochs.append(epoch)
        course.values.append(value)
        return True

    def _mean(self, course: _Course, epoch: int) -> float | None:
        """The mean of a course from the grace to `epoch`; None where it has not come as far or reported nothing there.

        It is NumPy's, which rounds as in Ray's rule: whether two equal curves differ can hang on the last bit.
        """
        if course.epochs[-1] < epoch:
            return None
        scope = course.values[bisect_left(course.epochs, self.grace_epochs) : bisect_right(course.epochs, epoch)]
        mean = float(np.mean(scope)) if scope else np.nan
        return mean if np.isfinite(mean) else None
