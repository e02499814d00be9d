"""What a sweep has used of its budgets, over all processes that have worked on it: the record's `runs.jsonl`."""

import time

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.sweep_config import SweepConfig

KEEP_S = 5.0
"""How often it is written down: as much of a time budget may a kill give back."""


class Ledger:
    """Wall time and GPU time, those of stopped and failed trials included."""

    def __init__(self, record: SweepRecord, config: SweepConfig) -> None:
        self.record = record
        self.config = config
        runs = record.runs()
        self.before_s = sum(run["worked_s"] for run in runs)
        """Wall seconds that earlier processes have worked."""
        self.gpu_before_s = sum(run["gpu_s"] for run in runs)
        self.gpu_s = 0.0
        """GPU-seconds that epochs took in this process."""
        self._began = max([time.time(), *(run["began"] + 1e-3 for run in runs)])  # the clock may have been set back
        self._started = time.monotonic()
        self._kept = float("-inf")
        self._metered: tuple[int, int] | None = None

    def elapsed_s(self) -> float:
        """Wall seconds that this process has worked on the sweep, however the clock was set."""
        return time.monotonic() - self._started

    def gpu_hours(self) -> float:
        """GPU-hours over all processes."""
        return (self.gpu_before_s + self.gpu_s) / 3600

    def meter(self, number: int, epoch: int, gpu_s: float) -> None:
        """Add what an epoch of a trial took; a stopped trial's last report, which comes again with its end, once."""
        if self._metered != (number, epoch):
            self._metered = (number, epoch)
            self.gpu_s += gpu_s

    def used_up(self) -> str | None:
        """Which budget is used up; None while there is some left."""
        time_s, gpu_hours = self.config.time_budget_s, self.config.gpu_hours
        if time_s is not None and self.before_s + self.elapsed_s() >= time_s:
            return f"the sweep's time budget of {time_s:g} s was used up"
        if gpu_hours is not None and self.gpu_hours() >= gpu_hours:
            return f"the sweep's budget of {gpu_hours:g} GPU-hours was used up"
        return None

    def keep(self) -> None:
        """Write it down."""
        self.record.note_run(self._began, self.elapsed_s(), self.gpu_s)
        self._kept = time.monotonic()

    def keep_if_due(self) -> None:
        """Write it down every `KEEP_S` seconds."""
        if time.monotonic() - self._kept >= KEEP_S:
            self.keep()
