"""Where a sweep stands: what a terminal, or anybody else who listens, is told after each event."""

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna.trial import TrialState

from tune_mixup.search.ledger import Ledger
from tune_mixup.search.tally import Tally
from tune_mixup.sweep_config import SweepConfig

ENDINGS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


MOST_RUNNING = 5
"""Running trials that are told of, the best first."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A trial that runs."""

    trial: int
    epoch: int
    """The last epoch that a value is known of."""
    epochs: int
    """Its full budget."""
    value: float | None
    """Its newest value of what ranks the trials; None before the first."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A sweep at one moment."""

    name: str
    trials: int
    """Trials promised."""
    states: Mapping[str, int]
    """Trials by state: COMPLETE, PRUNED, FAIL, RUNNING and WAITING (promised, not begun)."""
    metric: str
    """What ranks the trials."""
    best_trial: int | None
    """The first trial of the best setting that was trained to the end; while there is none, the best trial of all."""
    best_value: float | None
    best_epoch: int | None
    """Epochs that the best trial has been trained for."""
    best_seeds: int = 1
    """Over how many seeds of its setting the best value is a mean."""
    epochs: int
    """Epochs trained so far, over all trials."""
    full_epochs: int
    """Epochs that the promised trials would take without early stopping."""
    elapsed_s: float
    """Wall seconds since the command began, its start-up included."""
    eta_s: float | None
    """Wall seconds to the end, about, by the pace since the first epoch began; None before some trial has ended."""
    time_budget_s: float | None
    running: tuple[Running, ...] = ()
    """Trials that run, at most five: the best first, those without a value last."""
    gpu_hours_used: float = 0.0
    """GPU-hours over all runs."""
    gpu_hours: float | None = None
    """Their budget; None without one."""
    finals: str = ""
    """How far the finals are, in one line; empty before they begin."""
    control: str = ""
    """What the control group says about the rungs, in one line; empty while it says nothing."""
    message: str
    """The event itself in one line."""


Listener = Callable[[Progress], None]


class Standing:
    """Where a sweep stands, from its counts and its ledger; made when a process takes it up."""

    def __init__(
        self,
        name: str,
        config: SweepConfig,
        tally: Tally,
        ledger: Ledger,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.config = config
        self.tally = tally
        self.ledger = ledger
        self._now = now
        self.began = now()
        """The moment of that clock at which the command began."""
        self.begin()

    def begin(self, began: float | None = None) -> None:
        """From here on trials run: what is counted already says nothing about their pace.

        The command began at the moment `began` of the clock; default: as it is known.
        """
        self.began = self.began if began is None else began
        self._epochs_before = self.tally.epochs
        self._training_since: float | None = None
        self._epochs_s: list[float] = [0, 0.0]

    def trained(self, epoch_s: float) -> None:
        """A trial has just ended an epoch, which took `epoch_s`."""
        if self._training_since is None:
            self._training_since = self._now() - epoch_s
        count, seconds = self._epochs_s
        self._epochs_s = [count + 1, seconds + epoch_s]

    def progress(self, control: str, message: str, *, finals: str = "") -> Progress:
        """Now, with what the control group, the finals and the event say."""
        tally = self.tally
        states = {state.name: tally.states[state] for state in ENDINGS}
        ended, begun = self._ended(), tally.begun()
        setting = tally.best()
        best = tally.most_promising() if setting is None else setting.trial
        best_epoch, best_value = tally.latest(best) if best is not None else (None, None)
        return Progress(
            name=self.name,
            trials=self.config.trials,
            states={**states, "RUNNING": begun - ended, "WAITING": max(0, self.config.trials - begun)},
            metric=self.config.metric,
            best_trial=best,
            best_value=best_value if setting is None else setting.mean,
            best_epoch=best_epoch,
            best_seeds=1 if setting is None else len(setting.values),
            epochs=tally.epochs,
            full_epochs=self._full_epochs(),
            elapsed_s=self._now() - self.began,
            eta_s=self._eta_s(),
            time_budget_s=self.config.time_budget_s,
            running=tuple(
                Running(
                    trial=one.trial, epoch=one.epoch, epochs=one.full_epochs, value=one.value if one.epoch else None
                )
                for one in tally.running()[:MOST_RUNNING]
            ),
            gpu_hours_used=self.ledger.gpu_hours(),
            gpu_hours=self.config.gpu_hours,
            finals=finals,
            control=control,
            message=message,
        )

    def _ended(self) -> int:
        return sum(self.tally.states[state] for state in ENDINGS)

    def _eta_s(self) -> float | None:
        """Epochs that are left by the epochs since the first one began, and no less than the longest trial's own."""
        if self._training_since is None or not self._ended():
            return None
        trained, since_s = self.tally.epochs - self._epochs_before, self._now() - self._training_since
        if trained <= 0 or since_s <= 0:
            return None
        running = self.tally.left_to_run()
        waiting = max(0, self.config.trials - self.tally.begun())
        left = sum(running) + waiting * self.tally.epochs_left(0, round(self.epochs_of_one()))
        count, seconds = self._epochs_s
        left_s = max(left * since_s / trained, max(running, default=0.0) * seconds / count)
        if self.config.time_budget_s is None:
            return left_s
        used_s = self.ledger.before_s + self.ledger.elapsed_s()
        return min(left_s, max(0.0, self.config.time_budget_s - used_s))

    def epochs_of_one(self) -> float:
        """Epochs of a trial that is not stopped, on average."""
        begun = self.tally.begun()
        return self.tally.full_epochs / begun if begun else self._any_epochs

    def epochs_to_come(self) -> float:
        """Epochs that what is left of the time and GPU budgets is worth, by the pace so far; infinite without them."""
        worth = [math.inf]
        if self.config.time_budget_s is not None and (pace := self._pace()) is not None:
            left_s = self.config.time_budget_s - self.ledger.before_s - self.ledger.elapsed_s()
            worth.append(left_s * pace)
        if self.config.gpu_hours is not None and self.ledger.gpu_s > 0:
            left = self.config.gpu_hours - self.ledger.gpu_hours()
            worth.append(left * self.tally.epochs / self.ledger.gpu_hours())
        return max(0.0, min(worth))

    def _pace(self) -> float | None:
        """Epochs a second of all slots together: in this process, or before its first epoch in those before it."""
        trained = self.tally.epochs - self._epochs_before
        if self._training_since is not None and trained > 0:
            return trained / max(self._now() - self._training_since, 1e-9)
        return self._epochs_before / self.ledger.before_s if self._epochs_before and self.ledger.before_s else None

    def _full_epochs(self) -> int:
        return round(self.epochs_of_one() * self.config.trials)

    @functools.cached_property
    def _any_epochs(self) -> int:
        """The full budget of some trial of the space, for the time before the first one begins."""
        return next(self.config.examples()).training.epochs
