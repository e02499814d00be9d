"""A sweep of some minutes on one GPU, ours against plain Ray Tune: trials finished or stopped per GPU-hour.

Both get the points of the race (`benchmarks/race.py`), seeds, ASHA and rungs, and the same wall time, start-up
included. Ours takes of it to measure how many trials share the GPU; plain Ray Tune has four, with two workers for each
DataLoader. A trial counts when it was stopped at a rung or reached the last epoch, not when the time was up.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from benchmarks import contenders, gpu, race
from benchmarks.baselines import plain_tune
from benchmarks.baselines.search_task import Finish, SearchTask
from benchmarks.gpu import Size
from benchmarks.gpu.ladder import FAST
from benchmarks.rows import row
from tune_mixup.stopping.rungs import rung_epochs

FIXED = {key: value for key, value in race.FIXED.items() if not key.startswith("model.")}
SHARES = 4
"""Trials at a time of plain Ray Tune."""


def measure() -> Iterator[dict[str, Any]]:
    size = gpu.size()
    return gpu.growing(size, sweeps(size), rows)


def rows(measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row, once both have had their minutes and plain Ray Tune has come to anything."""
    if len(measured) < 2 or not measured[1]["per_hour"]:
        return []
    ours, plain = measured
    return [
        row(
            "trials finished or stopped per GPU-hour, against plain Ray Tune",
            ours=ours["per_hour"],
            other=plain["per_hour"],
            value=ours["per_hour"] / plain["per_hour"],
            value_unit="x",
            note=f"Start-up included, one search seed; best accuracy {_percent(ours)} against {_percent(plain)}.",
        )
    ]


def _percent(result: dict[str, Any]) -> str:
    best = result["best_accuracy"]
    return "none" if best is None else f"{100 * best:.1f} %"


def sweeps(size: Size) -> Iterator[dict[str, Any]]:
    """One result for each contender."""
    on_gpu = size.device.type == "cuda"
    plain = replace(
        race.search_task(0, size.sweep_trials, {**FIXED, **size.sweep}),
        max_epochs=size.sweep_epochs,
        slots=SHARES if on_gpu else 2,
        gpus=1 / SHARES if on_gpu else 0.0,
        loader_workers=size.loader_workers // SHARES,
        time_budget_s=size.sweep_s,
    )
    fast = (
        {**FAST, "training.compile": "graph", "training.eval": "rungs", "training.median_epochs": 1} if on_gpu else {}
    )
    with tempfile.TemporaryDirectory() as folder:
        contenders.start_our_ray(16 if on_gpu else 2)
        try:
            began = time.time()
            yield _result("ours", contenders.ours(plain, Path(folder), fast), plain, time.time() - began)
            began = time.time()
            finished = plain_tune.search(plain, storage=Path(folder) / "plain")
            yield _result("plain Ray Tune", finished, plain, time.time() - began)
        finally:
            ray.shutdown()


def _result(contender: str, finished: list[Finish], task: SearchTask, wall_s: float) -> dict[str, Any]:
    rungs = rung_epochs(
        task.max_epochs, grace_epochs=task.grace_epochs, reduction_factor=task.reduction_factor, drops=()
    )
    counted = [one for one in finished if one.epochs in (*rungs, task.max_epochs)]
    return {
        "contender": contender,
        "finished_or_stopped": len(counted),
        "per_hour": 3600 * len(counted) / wall_s,
        "wall_s": wall_s,
        "epochs": sum(one.epochs for one in counted),
        "best_accuracy": max((one.accuracy for one in counted), default=None),
    }
