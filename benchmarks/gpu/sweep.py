"""A sweep of some minutes on one GPU, ours against plain Ray Tune: trials finished or stopped per GPU-hour.

All get the same points of plain mixup, seeds, ASHA and rungs, and the same wall time, start-up included. Ours takes of
it to measure how many trials share the GPU; plain Ray Tune has four, with two workers for each DataLoader. A trial
counts when it was stopped at a rung or reached the last epoch, not when the time was up.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from optuna.distributions import FloatDistribution

from benchmarks import contenders
from benchmarks.baselines.search_task import Finish, SearchTask
from benchmarks.contenders import REUSED
from benchmarks.gpu import Result, Size
from benchmarks.gpu.ladder import RUNGS
from benchmarks.gpu.timing import on_random_images
from benchmarks.rows import row
from tune_mixup.search_space import SearchSpace
from tune_mixup.stopping.rungs import rung_epochs

SHARES = 4
"""Trials at a time of plain Ray Tune."""
FREE: dict[str, FloatDistribution] = {
    "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
    "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
    "optimizer.weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
}
TARGET = 6
"""Times the trials per GPU-hour of plain Ray Tune with actors reused."""


def results(size: Size, *, contender: str) -> Iterator[Result]:
    """One, of one contender in the Ray of this process."""
    asked = task(size)
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        contenders.start_our_ray(16 if asked.gpus else asked.slots)
        try:
            finished = CONTENDERS[contender](asked, Path(folder), size)
        finally:
            ray.shutdown()
    yield {"contender": contender, **counted(finished, asked, began=began, ended=time.time())}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Ours against each of the others, and what came of it once trials were finishing."""
    by_name = {one["contender"]: one for one in own}
    mine = by_name.pop("ours", None)
    if mine is None:
        return []
    made = []
    for name, other in by_name.items():
        made.append(
            row(
                f"trials finished or stopped per GPU-hour, against {name}",
                ours=mine["per_hour"],
                other=other["per_hour"],
                value=mine["per_hour"] / other["per_hour"] if other["per_hour"] else None,
                value_unit="x",
                at_least=TARGET if name == REUSED else None,
                note=f"Start-up included, one search seed; {mine['finished_or_stopped']} trials against "
                f"{other['finished_or_stopped']}, best accuracy {_percent(mine)} against {_percent(other)}; from the "
                f"first finish on {mine['per_hour_once_running']:,.0f} against {other['per_hour_once_running']:,.0f}.",
            )
        )
    return made


def task(size: Size) -> SearchTask:
    """The same search for all: points drawn evenly on the logarithmic scale of each range."""
    rng = np.random.default_rng(0)
    points = [
        {key: float(np.exp(rng.uniform(np.log(one.low), np.log(one.high)))) for key, one in FREE.items()}
        for _ in range(size.sweep_trials)
    ]
    fixed = {**on_random_images(size), **size.sweep, "seed": 0}
    space = SearchSpace(fixed=fixed, free={**FREE}, baselines=tuple(points))
    on_gpu = size.device.type == "cuda"
    return SearchTask(
        space=space,
        max_epochs=size.sweep_epochs,
        slots=SHARES if on_gpu else 1,
        gpus=1 / SHARES if on_gpu else 0.0,
        loader_workers=size.loader_workers // SHARES,
        time_budget_s=size.sweep_s,
    )


def counted(finished: Sequence[Finish], task: SearchTask, *, began: float, ended: float) -> dict[str, Any]:
    """Trials that a rung stopped or that reached the last epoch; times are Unix times."""
    rungs = rung_epochs(
        task.max_epochs, grace_epochs=task.grace_epochs, reduction_factor=task.reduction_factor, drops=()
    )
    whole = sorted(one for one in finished if one.epochs in (*rungs, task.max_epochs))
    running_s = whole[-1].at_s - whole[0].at_s if len(whole) > 1 else 0.0
    return {
        "finished_or_stopped": len(whole),
        "per_hour": 3600 * len(whole) / (ended - began),
        "per_hour_once_running": 3600 * (len(whole) - 1) / running_s if running_s else 0.0,
        "wall_s": ended - began,
        "epochs": sum(one.epochs for one in whole),
        "best_accuracy": max((one.accuracy for one in whole), default=None),
    }


def _ours(task: SearchTask, storage: Path, size: Size) -> list[Finish]:
    fast = {"training.eval": "rungs", "training.median_epochs": 1, **(RUNGS["graph"] if size.captures else {})}
    return contenders.ours(task, storage, fast)


def _plain(name: str) -> Callable[[SearchTask, Path, Size], list[Finish]]:
    return lambda task, storage, size: contenders.CONTENDERS[name](task, storage)


CONTENDERS: dict[str, Callable[[SearchTask, Path, Size], list[Finish]]] = {
    "ours": _ours,
    **{name: _plain(name) for name in (REUSED, "plain Ray Tune")},
}


def _percent(result: Result) -> str:
    best = result["best_accuracy"]
    return "none" if best is None else f"{100 * best:.1f} %"
