"""What a sweep costs its driver as it grows: memory, and the time of a report through session and record.

Trials that train nothing run through the real sweep, Ray included, in a worker that is reused; ASHA decides on every
report. Memory is the resident set of the driver; growth is from the 20th trial, when all code is loaded, to the end.
"""

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import ray
from optuna.distributions import FloatDistribution
from ray import cloudpickle, tune

from benchmarks.options import keyed
from benchmarks.rows import row
from tune_mixup import sweep
from tune_mixup.cluster import trainable
from tune_mixup.cluster.messages import to_ray
from tune_mixup.record.facts import Ending, Report
from tune_mixup.search.session import Session
from tune_mixup.search.standing import Progress
from tune_mixup.search_space import SearchSpace

WARM_TRIALS = 20


class Nothing(tune.Trainable):
    """Reports a curve that depends on the trial's number, as fast as Ray takes it."""

    def setup(self, config: dict[str, Any]) -> None:
        self.epoch = 0
        self.epochs = int(os.environ["REPORTS"])
        self.level = config["number"] * 0.618 % 1

    def step(self) -> dict[str, Any]:
        self.epoch += 1
        value = self.level * (1 - 0.5**self.epoch)
        done = self.epoch == self.epochs
        row = {"epoch": self.epoch, "val_accuracy": value, "val_accuracy_median": value, "diverged": 0}
        return to_ray(Report(row=row, ending=Ending(kind="completed") if done else None))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True


class Gauge:
    """Listens to the sweep and notes its memory; stands between Ray and the session to time the reports."""

    def __init__(self) -> None:
        self.megabytes: dict[int, float] = {}
        self.reports_s: list[float] = []
        self.trials_at: dict[int, float] = {}

    def listen(self, progress: Progress) -> None:
        ended = sum(progress.states[state] for state in ("COMPLETE", "PRUNED", "FAIL"))
        if ended >= WARM_TRIALS and ended not in self.megabytes:
            self.megabytes[ended] = resident_mb()
            self.trials_at[ended] = time.perf_counter()

    def timed(self, report: Any) -> Any:
        def run(session: Session, number: int, result: dict[str, Any]) -> bool:
            began = time.perf_counter()
            stop: bool = report(session, number, result)
            self.reports_s.append(time.perf_counter() - began)
            return stop

        return run


def resident_mb() -> float:
    """The resident set of this process in MB (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_sweep(trials: int, reports: int, *, scheduler: str = "asha", sampler: str = "random") -> dict[str, Any]:
    """Run one sweep in the Ray that is there and return its costs."""
    gauge, original, report = Gauge(), trainable.MixupTrainable, Session.report
    space = SearchSpace(
        fixed={"data.name": "synthetic", "data.num_train": 200, "training.batch_size": 20, "training.epochs": reports},
        free={
            "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
            "optimizer.weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
        },
    )
    cloudpickle.register_pickle_by_value(sys.modules[Nothing.__module__])
    trainable.MixupTrainable = Nothing  # type: ignore[assignment,misc]
    Session.report = gauge.timed(report)  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as root:
            sweep(
                space,
                keyed({"scheduler": scheduler, "sampler": sampler, "finalists_share": 0.0}),
                root=root,
                name="memory",
                trials=trials,
                concurrent=2,
                listener=gauge.listen,
            )
    finally:
        trainable.MixupTrainable, Session.report = original, report  # type: ignore[misc,method-assign]
    first, last = min(gauge.megabytes), max(gauge.megabytes)
    tail = gauge.reports_s[-1000:]
    return {
        "trials": last,
        "reports": len(gauge.reports_s),
        "growth_mb": round(gauge.megabytes[last] - gauge.megabytes[first], 1),
        "peak_growth_mb": round(max(gauge.megabytes.values()) - gauge.megabytes[first], 1),
        "resident_mb": {n: round(mb, 1) for n, mb in gauge.megabytes.items() if n in (first, last) or n % 500 == 0},
        "trial_s": round((gauge.trials_at[last] - gauge.trials_at[first]) / (last - first), 4),
        "report_ms": {
            "median of the first 1000": round(1000 * median(gauge.reports_s[:1000]), 3),
            "median of the last 1000": round(1000 * median(tail), 3),
            "95 % of the last 1000 below": round(1000 * sorted(tail)[int(0.95 * len(tail))], 3),
        },
    }


def start_ray(reports: int) -> None:
    """A Ray of its own; its workers learn how many reports a trial makes."""
    os.environ["REPORTS"] = str(reports)
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")


def measure(trials: int = 2000, reports: int = 10) -> dict[str, Any]:
    start_ray(reports)
    results = {scheduler: measure_sweep(trials, reports, scheduler=scheduler) for scheduler in ("none", "asha")}
    ray.shutdown()
    return {"rows": rows(results, reports), **results}


def rows(results: Mapping[str, Mapping[str, Any]], reports: int) -> list[dict[str, Any]]:
    """One for each scheduler; `reports` is how many a trial makes that is not stopped."""
    return [
        row(
            f"the driver's memory over {found['trials']} trials of {reports} reports, scheduler {scheduler}",
            ours=found["growth_mb"],
            unit="MB more",
            value=found["growth_mb"],
            value_unit="MB",
            note=f"From the {WARM_TRIALS}th trial on, when all code is loaded.",
        )
        for scheduler, found in results.items()
    ]
