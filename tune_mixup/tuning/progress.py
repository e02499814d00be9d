"""Where a sweep stands: what a terminal, or anybody else who listens, is told after each event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


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
