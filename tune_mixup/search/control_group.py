"""What a sweep's finished trials say about its rungs, brought up to date by events; made of the record alone."""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.config import TrialConfig
from tune_mixup.record.facts import LongerGrace
from tune_mixup.search.control import Course, Evidence, chance_of_any, evidence, telling
from tune_mixup.search.longer_grace import longer_grace, looked_at
from tune_mixup.search.seats import Seats
from tune_mixup.stopping.base import smoothed
from tune_mixup.sweep_config import SweepConfig


class ControlGroup:
    """The courses of the trials that were trained to the end. Call `note` for every trial that has ended."""

    def __init__(self, config: SweepConfig, seats: Seats) -> None:
        self.config = config
        self.seats = seats
        self._spared: dict[int, Course] = {}
        self._numbers: list[int] = []
        """Of these, in order."""
        self.complete: list[Course] = []
        """All: beside the control group, those that every rung has let through."""
        self._looked_at = 0
        self._came: dict[int, Counter[str]] = defaultdict(Counter)
        self._said, self._said_of = "", 0

    @property
    def spared(self) -> list[Course]:
        """Those of the control group, by number."""
        return [self._spared[number] for number in self._numbers]

    def note(self, trial: FrozenTrial, settings: TrialConfig) -> bool:
        """Take in a trial that has ended; True when it is one more of the control group."""
        seat = self.seats.of(trial.number, settings)
        for rung in seat.rungs:
            if (trial.last_step or 0) >= rung:
                self._came[rung][seat.group] += 1
        if trial.state != TrialState.COMPLETE:
            return False
        values, reports = trial.intermediate_values, self.config.reports_smoothed
        at_rungs = {rung: smoothed(values, min(e for e in values if e >= rung), reports) for rung in seat.rungs}
        course = Course(seat.group, at_rungs, smoothed(values, max(values), reports))
        self.complete.append(course)
        if seat.spared:
            self._spared[trial.number] = course
            insort(self._numbers, trial.number)
        return seat.spared

    def table(self, courses: Sequence[Course]) -> list[Evidence]:
        """What `courses` say about each rung, earliest first."""
        rungs = sorted({rung for course in courses for rung in course.at_rungs})
        compared = {rung: max(came.values()) for rung, came in self._came.items()}
        return evidence(courses, rungs, reduction_factor=self.config.stopping.one_in, compared=compared)

    def longer_grace(self, number: int, known: Sequence[LongerGrace], unfinished: Iterable[int]) -> LongerGrace | None:
        """A grace longer than those `known`, from trial `number` on; None where nothing new speaks for one.

        Only control trials before the first of the `unfinished` ones count: which those are does not depend on when a
        sweep was interrupted.
        """
        first = min(filter(self.seats.is_spared, unfinished), default=number)
        num = looked_at(bisect_left(self._numbers, first))
        if not self.config.stopping.has_rungs or num == self._looked_at:
            return None
        self._looked_at = num
        settled = [self._spared[trial] for trial in self._numbers[:num]]
        found = longer_grace(settled, self.table, from_trial=number)
        if found is None or any(one.epochs >= found.epochs for one in known):
            return None
        return found

    def words(self) -> str:
        """The table of the control group in one line; empty when there is nothing to say."""
        if self._said_of != len(self._spared):
            self._said, self._said_of = self._say(), len(self._spared)
        return self._said

    def _say(self) -> str:
        table = [about for about in self.table(self.spared) if telling(about)]
        chance = chance_of_any(table)
        if chance is None:
            return ""
        parts = [
            f"{about.correlation:.2f} at epoch {about.rung} ({about.low:.2f} to {about.high:.2f})" for about in table
        ]
        return (
            f"rank correlation with the end {', '.join(parts)} in {len(self._spared)} control trials; "
            f"chance that the best trial was stopped about {chance:.0%}"
        )
