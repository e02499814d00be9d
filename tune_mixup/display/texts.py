"""A sweep's progress in words, for every display alike."""

from typing import TYPE_CHECKING

from tune_mixup.record.names import trial_name

if TYPE_CHECKING:
    from tune_mixup.search.standing import Progress, Running

ENDED = ("COMPLETE", "PRUNED", "FAIL")


def line(progress: "Progress", news: str) -> str:
    """The state of a sweep in one line, with `news` at its end."""
    running = progress.states.get("RUNNING", 0)
    parts = [
        f"{clock(progress.elapsed_s)}  {ended(progress)}/{progress.trials} trials ended, {running} running",
        f"best {best(progress)}",
        budget(progress),
        eta(progress.eta_s),
        " ".join(news.split()),
    ]
    return " | ".join(part for part in parts if part)


def ended(progress: "Progress") -> int:
    """How many trials have ended."""
    return sum(progress.states.get(state, 0) for state in ENDED)


def clock(seconds: float | None) -> str:
    """1:05 or 2:03:04; `unknown` for None."""
    if seconds is None:
        return "unknown"
    minutes, left = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def eta(seconds: float | None) -> str:
    """How long it still takes, which nobody knows exactly."""
    return "ETA unknown" if seconds is None else f"ETA about {clock(seconds)}"


def best(progress: "Progress") -> str:
    """The best value, whose it is and after which epoch."""
    if progress.best_trial is None or progress.best_value is None:
        return "none yet"
    seeds = f", mean of {progress.best_seeds} seeds" if progress.best_seeds > 1 else ""
    whose = f"{trial_name(progress.best_trial)}, epoch {progress.best_epoch}{seeds}"
    return f"{progress.metric} {progress.best_value:.4g} ({whose})"


def budget(progress: "Progress") -> str:
    """Epochs, and GPU-hours where some were used or promised."""
    share = f" ({progress.epochs / progress.full_epochs:.0%})" if progress.full_epochs else ""
    limit = "" if progress.gpu_hours is None else f" of {progress.gpu_hours:g}"
    gpu = f", {progress.gpu_hours_used:.2f}{limit} GPU-hours" if limit or progress.gpu_hours_used else ""
    return f"{progress.epochs} of {progress.full_epochs} epochs{share}{gpu}"


def times(progress: "Progress", since_s: float) -> list[str]:
    """The sweep's clock, what is left, and the limit if there is one, `since_s` seconds after the event."""
    left = None if progress.eta_s is None else progress.eta_s - since_s
    limit = [] if progress.time_budget_s is None else [f"limit {clock(progress.time_budget_s)}"]
    return [clock(progress.elapsed_s + since_s), eta(left), *limit]


def running(one: "Running") -> str:
    """A trial that runs: which one, how far it is, and its newest value."""
    value = "" if one.value is None else f"  {one.value:.4g}"
    return f"{trial_name(one.trial)}  epoch {one.epoch}/{one.epochs}{value}"
