"""Rules of early stopping as their own tools use them, on values that somebody else provides."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

from optuna.trial import FrozenTrial, TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from tune_mixup.config import TrialConfig
from tune_mixup.record.facts import LongerGrace
from tune_mixup.search.control_group import ControlGroup
from tune_mixup.search.seats import Seats
from tune_mixup.stopping.base import Seat


class Stopper(Protocol):
    """Who stops the trials of one sweep."""

    def begin(self, trial: int, setting: int) -> None:
        """A trial begins with a setting, which is its place among all of them."""

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """Whether a trial stops; not asked after its last epoch."""

    def end(self, trial: int, epoch: int, value: float) -> None:
        """A trial has ended after `epoch` epochs with `value`."""


class OurStopper:
    """Our rule, seats and control group, put together as `search/session.py` does."""

    def __init__(self, places: Seats, setting_at: Callable[[int], TrialConfig]) -> None:
        """`setting_at` gives the trial's configuration by its setting's place."""
        config = places.config
        self.places, self.setting_at = places, setting_at
        self.rule = config.rule()
        self.control = ControlGroup(config, places)
        self.settings: dict[int, TrialConfig] = {}
        self.seats: dict[int, Seat] = {}
        self.values: dict[int, dict[int, float]] = {}
        """Trial -> epoch -> value."""
        self.grace: list[LongerGrace] = []
        self.unfinished: set[int] = set()

    def begin(self, trial: int, setting: int) -> None:
        """Take its seat, behind the rungs that the control group speaks against."""
        longer = self.control.longer_grace(trial, self.grace, self.unfinished)
        if longer is not None:
            self.grace.append(longer)
        self.unfinished.add(trial)
        self.settings[trial] = self.setting_at(setting)
        self.seats[trial] = self.places.of(trial, self.settings[trial], self.grace)
        self.values[trial] = {}

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """By the rule."""
        self.values[trial][epoch] = value
        decision = self.rule.report(trial, epoch, value, self.seats[trial])
        return decision is not None and decision.stop

    def end(self, trial: int, epoch: int, value: float) -> None:
        """Tell the rule of a last epoch, and the control group of the trial as it stands in the study."""
        self.values[trial][epoch] = value
        self.unfinished.remove(trial)
        whole = epoch == self.settings[trial].training.epochs
        if whole:
            self.rule.note(trial, epoch, value, self.seats[trial])
        self.control.note(self._told(trial, whole=whole), self.settings[trial])

    def _told(self, trial: int, *, whole: bool) -> FrozenTrial:
        return FrozenTrial(
            number=trial, trial_id=trial, value=None, datetime_start=None, datetime_complete=None,
            state=TrialState.COMPLETE if whole else TrialState.PRUNED,
            params={}, distributions={}, user_attrs={}, system_attrs={}, intermediate_values=self.values[trial],
        )  # fmt: skip


class RayTrial(NamedTuple):
    """All that Ray's scheduler wants of a trial."""

    trial_id: str


class RayStopper:
    """Ray's own ASHA, called as its controller does; `max_t` is what a user must set, the rest its defaults."""

    def __init__(self, *, max_t: int, **options: Any) -> None:
        self.scheduler = AsyncHyperBandScheduler(metric="accuracy", mode="max", max_t=max_t, **options)

    def begin(self, trial: int, setting: int) -> None:
        """Add the trial."""
        self.scheduler.on_trial_add(cast(Any, None), cast(Any, RayTrial(str(trial))))

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """Hand over a result."""
        result = {"training_iteration": epoch, "accuracy": value}
        answer = self.scheduler.on_trial_result(cast(Any, None), cast(Any, RayTrial(str(trial))), result)
        return bool(answer == TrialScheduler.STOP)

    def end(self, trial: int, epoch: int, value: float) -> None:
        """Hand over the last result."""
        result = {"training_iteration": epoch, "accuracy": value}
        self.scheduler.on_trial_complete(cast(Any, None), cast(Any, RayTrial(str(trial))), result)
