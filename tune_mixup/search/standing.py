"""Where a sweep stands: what a terminal, or anybody else who listens, is told after each event."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna.trial import TrialState

from tune_mixup.search.ledger import Ledger
from tune_mixup.search.tally import Tally
from tune_mixup.sweep_config import SweepConfig

ENDINGS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


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
    """The best COMPLETE trial so far; while none is, the best of all."""
    best_value: float | None
    best_epoch: int | None
    """Epochs that the best trial has been trained for."""
    epochs: int
    """Epochs trained so far, over all trials."""
    full_epochs: int
    """Epochs that the promised trials would take without early stopping."""
    elapsed_s: float
    """Wall seconds of this run."""
    eta_s: float | None
    """Wall seconds to the end, by the pace of the trials that ended; None before the first."""
    time_budget_s: float | None
    gpu_hours_used: float = 0.0
    """GPU-hours over all runs."""
    gpu_hours: float | None = None
    """Their budget; None without one."""
    control: str = ""
    """What the control group says about the rungs, in one line; empty while it says nothing."""
    message: str
    """The event itself in one line."""


Listener = Callable[[Progress], None]


class Standing:
    """Where a sweep stands, from its counts and its ledger; made when a process takes it up."""

    def __init__(self, name: str, config: SweepConfig, tally: Tally, ledger: Ledger) -> None:
        self.name = name
        self.config = config
        self.tally = tally
        self.ledger = ledger
        self._ended_before = self._ended()

    def progress(self, control: str, message: str) -> Progress:
        """Now, with what the control group and the event say."""
        tally = self.tally
        states = {state.name: tally.states[state] for state in ENDINGS}
        ended, begun = self._ended(), tally.begun()
        elapsed = self.ledger.elapsed_s()
        pace = (ended - self._ended_before) / elapsed if elapsed > 0 else 0
        best = tally.best()
        best_epoch, best_value = tally.latest(best) if best is not None else (None, None)
        return Progress(
            name=self.name,
            trials=self.config.trials,
            states={**states, "RUNNING": begun - ended, "WAITING": max(0, self.config.trials - begun)},
            metric=self.config.metric,
            best_trial=best,
            best_value=best_value,
            best_epoch=best_epoch,
            epochs=tally.epochs,
            full_epochs=self._full_epochs(),
            elapsed_s=elapsed,
            eta_s=(self.config.trials - ended) / pace if pace > 0 else None,
            time_budget_s=self.config.time_budget_s,
            gpu_hours_used=self.ledger.gpu_hours(),
            gpu_hours=self.config.gpu_hours,
            control=control,
            message=message,
        )

    def _ended(self) -> int:
        return sum(self.tally.states[state] for state in ENDINGS)

    def _full_epochs(self) -> int:
        begun = self.tally.begun()
        mean = self.tally.full_epochs / begun if begun else self._any_epochs
        return round(mean * self.config.trials)

    @functools.cached_property
    def _any_epochs(self) -> int:
        """The full budget of some trial of the space, for the time before the first one begins."""
        return next(self.config.examples()).training.epochs
