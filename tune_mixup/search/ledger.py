"""What a sweep has used of its budgets, over all processes that have worked on it."""

import time
from collections.abc import Sequence

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.trial_folder import Epoch
from tune_mixup.sweep_config import SweepConfig

KEEP_S = 5.0
"""How often the wall time is written down: as much of a time budget may a kill give back."""


class Ledger:
    """Wall time (`runs.jsonl`) and GPU time (`metered.jsonl`), those of stopped and failed trials included.

    GPU time is metered by trial and epoch, so an epoch that is told of twice counts once, and one that only its
    worker's folder had kept when the driver died is metered when it is found. An epoch that is trained again counts
    again: it has taken another time.
    """

    def __init__(self, record: SweepRecord, config: SweepConfig) -> None:
        self.folder = record.folder
        self.config = config
        runs, metered = self.folder.runs(), self.folder.metered()
        self.before_s = sum(run["worked_s"] for run in runs)
        """Wall seconds that earlier processes have worked."""
        self.gpu_s = sum(row["epoch_s"] * row["gpus"] for row in metered) + sum(run.get("gpu_s", 0.0) for run in runs)
        """GPU-seconds that epochs took, over all processes."""
        self._in_runs = any("gpu_s" in run for run in runs)
        self._metered = {(int(row["trial"]), int(row["epoch"]), row["epoch_s"]) for row in metered}
        self._began = max([time.time(), *(run["began"] + 1e-3 for run in runs)])  # the clock may have been set back
        self._started = time.monotonic()
        self._kept = float("-inf")

    def elapsed_s(self) -> float:
        """Wall seconds that this process has worked on the sweep, however the clock was set."""
        return time.monotonic() - self._started

    def gpu_hours(self) -> float:
        """GPU-hours over all processes."""
        return self.gpu_s / 3600

    def meter(self, trial: int, epoch: int, *, epoch_s: float, gpus: float) -> None:
        """Write down that an epoch of a trial took `epoch_s` on `gpus` of a GPU, unless that is known."""
        key = (trial, epoch, epoch_s)
        if gpus * epoch_s == 0 or key in self._metered:
            return
        self.folder.meter({"trial": trial, "epoch": epoch, "epoch_s": epoch_s, "gpus": gpus})
        self._metered.add(key)
        self.gpu_s += gpus * epoch_s

    def take_over(self, trial: int, rows: Sequence[Epoch]) -> None:
        """Leave out epochs that a driver had heard of where these are in the runs: in records of format 0."""
        if self._in_runs:
            self._metered |= {(trial, int(row["epoch"]), float(row.get("epoch_s", 0.0))) for row in rows}

    def used_up(self) -> str | None:
        """Which budget is used up; None while there is some left."""
        time_s, gpu_hours = self.config.time_budget_s, self.config.gpu_hours
        if time_s is not None and self.before_s + self.elapsed_s() >= time_s:
            return f"the sweep's time budget of {time_s:g} s was used up"
        if gpu_hours is not None and self.gpu_hours() >= gpu_hours:
            return f"the sweep's budget of {gpu_hours:g} GPU-hours was used up"
        return None

    def keep(self) -> None:
        """Write down the wall time."""
        self.folder.note_run(self._began, self.elapsed_s())
        self._kept = time.monotonic()

    def keep_if_due(self) -> None:
        """Write it down every `KEEP_S` seconds."""
        if time.monotonic() - self._kept >= KEEP_S:
            self.keep()
