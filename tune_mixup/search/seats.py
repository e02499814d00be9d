"""Each trial's seat: a function of the sweep's configuration, the trial's number and the longer graces on record."""

from collections.abc import Sequence
from functools import cached_property

from tune_mixup.config import TrialConfig
from tune_mixup.record.facts import LongerGrace
from tune_mixup.search.control import is_control
from tune_mixup.search.strata import Strata
from tune_mixup.stopping.base import Seat
from tune_mixup.sweep_config import SweepConfig


class Seats:
    """Gives each trial its seat; `first` is the number of the sweep's first trial, behind those that it imported."""

    def __init__(self, config: SweepConfig, *, first: int = 0) -> None:
        self.config = config
        self.first = first
        self._spared: dict[int, bool] = {}
        self._groups: dict[int, str] = {}

    @cached_property
    def strata(self) -> Strata:
        """The groups that the sweep's space falls into."""
        return Strata.of(self.config)

    def of(self, number: int, trial: TrialConfig, grace: Sequence[LongerGrace] = ()) -> Seat:
        """The seat of trial `number`; a longer grace holds from the trial on that it was decided for."""
        first = max((one.epochs for one in grace if one.from_trial <= number), default=0)
        return Seat(
            rungs=tuple(rung for rung in self.rungs(trial) if rung >= first),
            group=self._group(number, trial),
            spared=self.is_spared(number),
        )

    def _group(self, number: int, trial: TrialConfig) -> str:
        if number not in self._groups:
            self._groups[number] = self.strata.name(trial)
        return self._groups[number]

    def is_spared(self, number: int) -> bool:
        """Whether trial `number` is in the control group."""
        if number not in self._spared:
            fraction = self.config.stopping.share_spared
            self._spared[number] = is_control(number - self.first, seed=self.config.seed, fraction=fraction)
        return self._spared[number]

    def rungs(self, trial: TrialConfig) -> list[int]:
        """The rungs of a trial as the sweep began with."""
        epochs = trial.training.epochs
        return self.config.stopping.rungs(epochs, trial.schedule.drops(epochs))
