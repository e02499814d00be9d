"""What a stopping rule is: settings, and the running rule that they make, which is told of each report and decides."""

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Literal, NamedTuple

from tune_mixup.parts import Part
from tune_mixup.record.facts import Decision
from tune_mixup.stopping.rungs import rung_epochs


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
    """A rule at work, with its state. `note` every report in the record, in any order of trials, and it is restored."""

    @abstractmethod
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """Note a finite value after `epoch` epochs; None where there was nothing to decide.

        One of an epoch that the trial had already passed counts for nothing.
        """

    def note(self, trial: int, epoch: int, value: float, seat: Seat) -> None:
        """Take in a report on which all was decided before."""
        self.report(trial, epoch, value, seat)


class Objective(NamedTuple):
    """The number by which a sweep ranks its trials."""

    name: str
    direction: Literal["maximize", "minimize"]
    is_median: bool = False
    """Whether each report is a median of epochs already."""


class Stopping(Part, ABC):
    """Who stops trials early. Final classes set `name: Literal[...]`.

    What a rule does not say about rungs is as ASHA has it by default: of a sweep without rungs, the trials that nothing
    stops still show what rungs would have cost.
    """

    stops: ClassVar[bool] = True
    """Whether it ever stops a trial."""
    has_rungs: ClassVar[bool] = False
    """Whether it compares trials at the rungs of their seats."""
    needs_every_epoch: ClassVar[bool] = False
    """Whether it decides after every epoch, so that every epoch must be validated."""

    @abstractmethod
    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        """The rule at work, for trials of `epochs` epochs; it has been told of nothing yet."""

    def rungs(self, epochs: int, drops: Iterable[int] = ()) -> list[int]:
        """The epochs, rising, after which a trial of `epochs` epochs is compared.

        `drops` are the epochs at which its learning rate falls at once.
        """
        return rung_epochs(epochs, grace_epochs=None, reduction_factor=self.one_in, drops=drops)

    @property
    def one_in(self) -> int:
        """Of the trials at a rung, one in this many goes on."""
        return 3

    @property
    def share_spared(self) -> float:
        """Share of the trials that are in the control group, 0 to 1."""
        return 0.05

    @property
    def by_strength(self) -> bool:
        """Whether only trials of like mixing strength are compared."""
        return True

    @property
    def by_nominal_strength(self) -> bool:
        """Whether that strength goes by the lam that methods draw, whatever boxes leave of it."""
        return False

    def reports_smoothed(self, objective: Objective) -> int:
        """How many of the last reports of a trial make, by their median, its value at a rung."""
        return 1 if objective.is_median else 5

    def settled(self, *, epochs: Callable[[], int], trials: int) -> "Stopping":
        """These settings with a number for each that is empty, as a sweep notes them when it begins.

        `epochs` gives those of its longest trial; `trials` are promised.
        """
        return self

    def settled_before(self, *, epochs: Callable[[], int]) -> "Stopping":
        """The same for the settings of a record that was written before sweeps noted the numbers."""
        return self

    def check(self, objective: Objective) -> None:  # noqa: B027 - most rules go with any objective
        """Raise ValueError, beginning with the setting's key, for settings that do not go with the objective."""
