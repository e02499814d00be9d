"""The whole service against what else one would use: the same 24 configurations, ASHA and rungs on two slots.

Ours, plain Ray Tune (`baselines/plain_tune.py`) and Optuna with a pool (`baselines/optuna_pool.py`) search generalized
mixup on 5,000 Fashion-MNIST images with a small residual net, for three search seeds, in turns. Each run is a process
of its own; its wall time counts from the start of that process to its end, so start-up and clearing up are in it.
A trial counts when it was stopped at a rung or reached the last epoch.

Points are drawn once per search seed and handed to all; a trial's seed, split and batches are the same too. So are
the rungs: after epoch 3, which is our default for trials of 9, of three trials one goes on. Ours has one stratum, no
control group, no smoothing and no finalists, and rounds a third up as Ray's percentile does. Plain Ray Tune also runs
with the rungs that it has by itself: after epochs 1 and 4, one of four.

What stops more finishes more trials in the same time, so epochs per hour stand beside trials per hour.

Loaders of the baselines have no worker processes, since both cores train already; with one it was not tried.
oneDNN pads channels to 16 on CPUs with AVX-512, so that a net of a quarter of the width is hardly faster.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution

from benchmarks.baselines.search_task import Finish, SearchTask
from benchmarks.contenders import CONTENDERS, FAST
from benchmarks.real_data import data_root
from benchmarks.rivals import Rival
from benchmarks.rows import panel, plot, row
from tune_mixup.search_space import SearchSpace

TRIALS, MAX_EPOCHS, SEEDS = 24, 9, (0, 1, 2)
GRACE, FACTOR = 3, 3
TUNE, POOL, DEFAULT = "plain Ray Tune", "Optuna pool", "plain Ray Tune with its default rungs"
RUN = {name: CONTENDERS[name] for name in ("ours", TUNE, POOL)} | {DEFAULT: CONTENDERS[TUNE]}
RUNGS = {DEFAULT: {"grace_epochs": 1, "reduction_factor": 4}}
"""Those of Ray's ASHA by itself; all others have `GRACE` and `FACTOR`."""
FIXED = {
    "data.name": "fashion_mnist",
    "data.train_limit": 5000,
    "data.batches": "stratified",
    "mixing.name": "generalized_mixup",
    "model.name": "tiny_resnet",
    "model.width": 4,
    "training.batch_size": 100,
}
FREE = {
    "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
    "mixing.gamma": FloatDistribution(0.0625, 2.0, log=True),
    "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
    "optimizer.weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
}


def search_task(seed: int, trials: int = TRIALS, fixed: Mapping[str, Any] = FIXED) -> SearchTask:
    """The search of a seed: points drawn evenly on the logarithmic scale of each range."""
    rng = np.random.default_rng(seed)
    points = [
        {key: float(np.exp(rng.uniform(np.log(one.low), np.log(one.high)))) for key, one in FREE.items()}
        for _ in range(trials)
    ]
    space = SearchSpace(fixed={**fixed, "seed": seed, "data.root": str(data_root())}, free=FREE, baselines=points)
    return SearchTask(space=space, max_epochs=MAX_EPOCHS, grace_epochs=GRACE, reduction_factor=FACTOR, seed=seed)


def measure(trials: int = TRIALS, seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    order = list(RUN)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in RUN}
    for turn, seed in enumerate(seeds):
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            found = timed(name, replace(search_task(seed, trials), **RUNGS.get(name, {})))
            runs[name].append({"seed": seed, **found})
            print(
                f"seed {seed}, {name}: {len(found['finished'])} trials, {found['epochs']} epochs, "
                f"{found['to_the_end']} to the end, {found['wall_s']:.1f} s, "
                f"best accuracy {found['best_accuracy']:.4f}",
                flush=True,
            )
    settings = {
        "fixed": FIXED, "fast": FAST, "trials": trials, "max_epochs": MAX_EPOCHS, "grace_epochs": GRACE, "eta": FACTOR,
        "otherwise": RUNGS,
    }  # fmt: skip
    return {"rows": rows(runs), "plots": [figure(runs)], "settings": settings, "runs": runs}


def timed(name: str, task: SearchTask) -> dict[str, Any]:
    """Run a contender from the start of its process to the end. Raises RuntimeError when it fails to finish trials."""
    with tempfile.TemporaryDirectory() as folder:
        began, clock = time.perf_counter(), time.time()
        with Rival() as rival:
            finished: list[Finish] = rival(RUN[name], task, Path(folder))
        wall_s = time.perf_counter() - began
    if len(finished) != len(task.space.baselines):
        raise RuntimeError(f"race: {name} finished {len(finished)} of {len(task.space.baselines)} trials")
    return {
        "wall_s": wall_s,
        "trials_per_hour": 3600 * len(finished) / wall_s,
        "epochs_per_hour": 3600 * sum(one.epochs for one in finished) / wall_s,
        "epochs": sum(one.epochs for one in finished),
        "to_the_end": sum(one.epochs == task.max_epochs for one in finished),
        "trained_s": sum(one.trained_s for one in finished),
        "best_accuracy": max(one.accuracy for one in finished if one.epochs == task.max_epochs),
        "finished": [{**one._asdict(), "at_s": one.at_s - clock} for one in finished],
    }


def rows(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Trials and epochs per hour, and the best accuracy, against each of the others."""
    others = list(runs)[1:]
    found = []
    for name in others:
        found.append(_speed("trials", runs["ours"], runs[name], name, **({} if name == DEFAULT else {"at_least": 4})))
        found.append(_speed("epochs", runs["ours"], runs[name], name))
    for name in others:
        found.append(_accuracy(f"the same, best validation accuracy, against {name}", runs["ours"], runs[name]))
    return found


def _speed(
    what: str, mine: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], name: str, **target: float
) -> dict[str, Any]:
    """Medians over the search seeds, and the median of the ratios per seed."""
    key = f"{what}_per_hour"
    ratios = [one[key] / other[key] for one, other in zip(mine, others, strict=True)]
    epochs, whole = ([sum(run[key] for run in runs) for runs in (mine, others)] for key in ("epochs", "to_the_end"))
    return row(
        f"24 configurations under ASHA, {what} per hour, against {name}",
        ours=median(run[key] for run in mine),
        other=median(run[key] for run in others),
        value=median(ratios),
        value_unit="x",
        note=f"Start-up included. Ratios per search seed: {', '.join(f'{ratio:.2f}' for ratio in ratios)}; epochs "
        f"trained in all: {epochs[0]} and {epochs[1]}; trials to the last one: {whole[0]} and {whole[1]}.",
        **target,
    )


def _accuracy(title: str, mine: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the search seeds; the target is to be no more than two standard errors of the difference below."""
    differences = [
        100 * (one["best_accuracy"] - other["best_accuracy"]) for one, other in zip(mine, others, strict=True)
    ]
    error = stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else 0.0
    return row(
        title,
        ours=100 * mean(run["best_accuracy"] for run in mine),
        other=100 * mean(run["best_accuracy"] for run in others),
        unit="%",
        value=mean(differences),
        value_unit="points",
        at_least=-2 * error,
        note=f"Mean over {len(differences)} search seeds, whose differences are "
        f"{', '.join(f'{one:+.1f}' for one in differences)} points; the target is two standard errors of these.",
    )


def figure(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Trials finished, and the best accuracy of a finished trial, over wall time; a curve per search seed."""
    done: dict[str, list[list[tuple[float, float]]]] = {}
    best: dict[str, list[list[tuple[float, float]]]] = {}
    for name, found in runs.items():
        done[name], best[name] = [], []
        for run in found:
            times = [one["at_s"] for one in run["finished"]]
            done[name].append([(0.0, 0), *((at, number) for number, at in enumerate(times, start=1))])
            leaders = np.maximum.accumulate([one["accuracy"] for one in run["finished"]])
            best[name].append([(at, 100 * float(leader)) for at, leader in zip(times, leaders, strict=True)])
    return plot(
        "performance_race.png",
        [
            panel("trials finished", x="seconds since start", y="trials", series=done, steps=True),
            panel("best accuracy so far", x="seconds since start", y="validation accuracy, %", series=best, steps=True),
        ],
    )
