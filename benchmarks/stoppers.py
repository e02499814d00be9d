"""Rules of early stopping as their own tools use them, on values that somebody else provides."""

from typing import Any, NamedTuple, cast

from optuna.trial import FrozenTrial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from tune_mixup.config import TrialConfig
from tune_mixup.search.control_group import ControlGroup
from tune_mixup.search.seats import Raise, Seats
from tune_mixup.stopping.base import Seat
from tune_mixup.sweep_config import SweepConfig


class OurStopper:
    """Our rule, seats and control group, put together as `search/session.py` does."""

    def __init__(self, config: SweepConfig, places: Seats | None = None) -> None:
        self.config = config
        self.places = places or Seats(config)
        self.rule = config.rule()
        self.control = ControlGroup(config, self.places)
        self.settings: dict[int, TrialConfig] = {}
        self.seats: dict[int, Seat] = {}
        self.grace: list[Raise] = []

    def lengthen_grace(self, trial: int) -> None:
        """Before a trial begins: take back the rungs that the control group speaks against."""
        raised = self.control.longer_grace(trial, self.grace) if self.config.stopping.has_rungs else None
        if raised is not None:
            self.grace.append(raised)

    def begin(self, trial: int, settings: TrialConfig) -> None:
        """A trial begins."""
        self.settings[trial] = settings
        self.seats[trial] = self.places.of(trial, settings, self.grace)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """Whether a trial stops; not for its last epoch."""
        decision = self.rule.report(trial, epoch, value, self.seats[trial])
        return decision is not None and decision.stop

    def end(self, trial: int, epoch: int, value: float, told: FrozenTrial) -> None:
        """A trial has ended after `epoch` epochs with `value`, and as `told` stands in the study."""
        if epoch == self.settings[trial].training.epochs:
            self.rule.note(trial, epoch, value, self.seats[trial])
        self.control.note(told, self.settings[trial])


class RayTrial(NamedTuple):
    """All that Ray's scheduler wants of a trial."""

    trial_id: str


class RayStopper:
    """Ray's own ASHA, called as its controller does; `max_t` is what a user must set, the rest its defaults."""

    def __init__(self, *, max_t: int, **options: Any) -> None:
        self.scheduler = AsyncHyperBandScheduler(metric="accuracy", mode="max", max_t=max_t, **options)

    def begin(self, trial: int) -> None:
        """A trial begins."""
        self.scheduler.on_trial_add(cast(Any, None), cast(Any, RayTrial(str(trial))))

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """Whether a trial stops."""
        result = {"training_iteration": epoch, "accuracy": value}
        answer = self.scheduler.on_trial_result(cast(Any, None), cast(Any, RayTrial(str(trial))), result)
        return bool(answer == TrialScheduler.STOP)

    def end(self, trial: int, epoch: int, value: float) -> None:
        """A trial has ended with `value`."""
        result = {"training_iteration": epoch, "accuracy": value}
        self.scheduler.on_trial_complete(cast(Any, None), cast(Any, RayTrial(str(trial))), result)
