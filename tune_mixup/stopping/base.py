"""What a stopping rule is: told of each report, it says whether the trial goes on."""

import statistics
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from tune_mixup.record.facts import Decision


def smoothed(values: Mapping[int, float], epoch: int, reports: int) -> float:
    """The median of the last `reports` values (epoch -> value) up to `epoch`, or of as many as there are."""
    recent = sorted(one for one in values if one <= epoch)[-reports:]
    return statistics.median(values[one] for one in recent)


class Seat(NamedTuple):
    """Where a trial is compared and with whom; known before its first epoch."""

    rungs: tuple[int, ...]
    """Epochs, rising."""
    group: str = ""
    """Only trials of one group are compared; empty where there is but one."""
    spared: bool = False
    """A trial of the control group: it is compared, and goes on whatever comes out."""


class StoppingRule(ABC):
    """Who stops trials early. `note` every report in the record, in any order of trials, and it is restored."""

    has_rungs: bool = False
    """Whether it compares trials at the rungs of their seats."""

    @abstractmethod
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """Note a finite value after `epoch` epochs; None where there was nothing to decide.

        One of an epoch that the trial had already passed counts for nothing.
        """

    def note(self, trial: int, epoch: int, value: float, seat: Seat) -> None:
        """Take in a report on which all was decided before."""
        self.report(trial, epoch, value, seat)
