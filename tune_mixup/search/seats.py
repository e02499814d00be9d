"""Each trial's seat, a function of the sweep's configuration, the trial's number and what the record says of the grace.

Also which rule a sweep's `scheduler` names.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tune_mixup.config import TrialConfig
from tune_mixup.search.control import is_control
from tune_mixup.search.strata import Strata
from tune_mixup.stopping.asha import Asha
from tune_mixup.stopping.base import Seat, StoppingRule
from tune_mixup.stopping.hyperband import Hyperband
from tune_mixup.stopping.median import MedianRule
from tune_mixup.stopping.never import Never
from tune_mixup.stopping.rungs import grace_of, rung_epochs
from tune_mixup.sweep_config import SweepConfig

Raise = Mapping[str, Any]
"""A longer grace, as the record has it: `from_trial`, `epochs` (no rung before that epoch) and `why`."""


class Seats:
    """Gives each trial its seat; `first` is the number of the sweep's first trial, behind those that it imported."""

    def __init__(self, config: SweepConfig, *, first: int = 0) -> None:
        self.config = config
        self.first = first

    @cached_property
    def strata(self) -> Strata:
        """The groups that the sweep's space falls into."""
        return Strata.of(self.config)

    def of(self, number: int, trial: TrialConfig, raises: Sequence[Raise] = ()) -> Seat:
        """The seat of trial `number`; a longer grace holds from the trial on that it was decided for."""
        grace = max((int(one["epochs"]) for one in raises if one["from_trial"] <= number), default=0)
        return Seat(
            rungs=tuple(rung for rung in self.rungs(trial) if rung >= grace),
            group=self.strata.name(trial),
            spared=is_control(number - self.first, seed=self.config.seed, fraction=self.config.control_fraction),
        )

    def rungs(self, trial: TrialConfig) -> list[int]:
        """The rungs of a trial as the sweep began with."""
        epochs = trial.training.epochs
        return rung_epochs(
            epochs,
            grace_epochs=self.config.grace_epochs,
            reduction_factor=self.config.reduction_factor,
            drops=trial.schedule.drops(epochs),
        )


def _asha(config: SweepConfig) -> Asha:
    return Asha(config.direction, config.reduction_factor, smoothing=config.reports_smoothed)


def _median(config: SweepConfig) -> MedianRule:
    epochs = config.trial(next(config.space.probes())).training.epochs
    return MedianRule(config.direction, grace_epochs=grace_of(epochs, config.grace_epochs))


RULES: dict[str, Callable[[SweepConfig], StoppingRule]] = {
    "asha": _asha,
    "hyperband": lambda config: Hyperband(_asha(config)),
    "median": _median,
    "none": lambda config: Never(),
}
"""The sweep's `scheduler` -> the rule."""
