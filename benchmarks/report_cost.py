"""What an epoch's report costs the driver: searcher, scheduler and a real record on disk, without training and Ray.

A whole ASHA sweep is driven through `RecordSearcher` and `RecordScheduler` as Ray's loop calls them, by trials whose
curves are made up. Beside it, what the worker spends on its own line in the trial's folder.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

from optuna.distributions import FloatDistribution
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from benchmarks.options import configured
from benchmarks.rows import row
from tune_mixup.cluster.adapters import Clerk, RecordScheduler, RecordSearcher
from tune_mixup.cluster.halt import Halt
from tune_mixup.cluster.messages import to_ray
from tune_mixup.record.facts import Report
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.trial_folder import Epoch, TrialFolder
from tune_mixup.search.disk import Keeper
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace

TRIALS, EPOCHS, ROUNDS = 60, 27, 5
SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "mixing.name": "mixup"},
    free={
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
    },
)


def report_of(epoch: int, level: float) -> Epoch:
    """An epoch's report with every key that the trainer gives."""
    value = level * (1 - 0.8**epoch)
    metrics = {f"val_{name}{suffix}": value for name in ("accuracy", "nll", "ece") for suffix in ("", "_median")}
    times = {"lr": 0.1, "epoch_s": 1.0, "images_per_s": 1000.0, "diverged": 0}
    return {"epoch": epoch, "train_loss": 2 - value, "train_accuracy": value, **metrics, **times}


def drive(root: Path, trials: int, seed: int) -> dict[str, list[float]]:
    """Run one sweep; seconds of each report, of each suggestion and of each line in a trial's folder."""
    config = configured(SPACE, name=f"sweep{seed}", trials=trials, max_epochs=EPOCHS, grace_epochs=1, seed=seed)
    record = SweepRecord.create(root, config.name, config.model_dump(mode="json"), direction=config.direction)
    spent: dict[str, list[float]] = {"report": [], "suggest": [], "line": []}
    with record.folder.working():
        clerk = Clerk(
            Session.open(record, config), Halt(record.folder.stopping), Keeper(record, config, checkpoint_bytes=0)
        )
        searcher = RecordSearcher(clerk, threads=1)
        scheduler = RecordScheduler(searcher)
        for number in range(trials):
            began = time.perf_counter()
            given = searcher.suggest(f"ray{number}")
            spent["suggest"].append(time.perf_counter() - began)
            trial = cast(Trial, SimpleNamespace(config=given, trial_id=f"ray{number}"))
            folder = TrialFolder(Path(given["folder"]))
            folder.path.mkdir(exist_ok=True)
            for epoch in range(1, EPOCHS + 1):
                report = report_of(epoch, level=(number + 1) * 0.618 % 1)
                began = time.perf_counter()
                folder.append_epoch(report)
                spent["line"].append(time.perf_counter() - began)
                began = time.perf_counter()
                decision = scheduler.on_trial_result(None, trial, to_ray(Report(row=report)))
                spent["report"].append(time.perf_counter() - began)
                if decision == TrialScheduler.STOP or epoch == EPOCHS:
                    searcher.on_trial_complete(f"ray{number}", to_ray(Report(row=report)))
                    break
        if clerk.halt.reason is not None:
            raise clerk.halt.reason
    return spent


def measure(trials: int = TRIALS, rounds: int = ROUNDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as root:
        spent = [drive(Path(root), trials, seed) for seed in range(rounds)]
    middle = {what: [1e3 * median(found[what]) for found in spent] for what in spent[0]}
    reports = sorted(1e3 * second for found in spent for second in found["report"])
    report_ms, line_ms, suggest_ms = (median(middle[what]) for what in ("report", "line", "suggest"))
    return {
        "rows": [
            row(
                "an epoch's report through searcher, scheduler and record",
                ours=report_ms, unit="ms", value=report_ms, value_unit="ms", at_most=2,
                note=f"Median over {rounds} sweeps of {trials} trials of their medians; 95 % of all {len(reports)} "
                f"below {reports[int(0.95 * len(reports))]:.2f} ms. Beside it {line_ms:.2f} ms in the worker for the "
                f"line in the trial's folder, and {suggest_ms:.1f} ms per trial to suggest it.",
            )
        ],
        "median_ms": middle,
        "reports": len(reports),
        "trials": trials,
    }  # fmt: skip
