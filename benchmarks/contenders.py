"""Who runs a `SearchTask`: ours, plain Ray Tune, Optuna with a pool. Each is meant for a process of its own."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks.baselines.search_task import Finish, SearchTask

FAST = {"training.channels_last": True, "training.precision": "bf16"}
"""What ours sets on top of the task: the fast path's layout and arithmetic; weights and statistics stay fp32."""


def ours(task: SearchTask, storage: Path, fast: Mapping[str, object] = FAST) -> list[Finish]:
    """Our sweep with the rungs of the others: one stratum, no control group, no smoothing.

    On GPUs it finds out for itself how many trials share one.
    """
    from benchmarks.options import AS_OTHERS, keyed
    from tune_mixup import sweep

    rungs = {"grace_epochs": task.grace_epochs, "reduction_factor": task.reduction_factor}
    done = sweep(
        task.space,
        {**fast, **keyed({**rungs, **AS_OTHERS})},
        root=storage,
        name="ours",
        trials=len(task.space.baselines),
        max_epochs=task.max_epochs,
        metric="val_accuracy",
        concurrent=None if task.gpus else task.slots,
        gpus_per_trial="auto" if task.gpus else 0,
        time_budget_s=task.time_budget_s,
        seed=task.seed,
    )
    trained_s = done.epochs().groupby("trial")["epoch_s"].sum()
    found = []
    for trial in done.record.study.asked():
        if trial.state.name in ("COMPLETE", "PRUNED") and trial.last_step and trial.datetime_complete:
            found.append(
                Finish(
                    at_s=trial.datetime_complete.timestamp(),
                    epochs=trial.last_step,
                    accuracy=trial.intermediate_values[trial.last_step],
                    trained_s=float(trained_s[trial.number]),
                )
            )
    return sorted(found)


def plain_tune(task: SearchTask, storage: Path, *, reuse_actors: bool = False) -> list[Finish]:
    """Ray Tune as its documentation shows it, in the Ray that is there or else a local one.

    `reuse_actors` lets a process take one trial after another, which Tune does only when it is asked to.
    """
    import ray

    from benchmarks.baselines import plain_tune

    if not ray.is_initialized():
        start_ray(task.slots)
    return plain_tune.search(task, storage=storage, reuse_actors=reuse_actors)


def optuna_pool(task: SearchTask, storage: Path) -> list[Finish]:
    """Optuna alone."""
    from benchmarks.baselines import optuna_pool

    return optuna_pool.search(task, storage=storage)


REUSED = "plain Ray Tune, actors reused"
CONTENDERS: dict[str, Callable[[SearchTask, Path], list[Finish]]] = {
    "ours": ours,
    "plain Ray Tune": plain_tune,
    REUSED: partial(plain_tune, reuse_actors=True),
    "Optuna pool": optuna_pool,
}


def start_ray(slots: int) -> None:
    """A Ray of this process's own, for plain Ray Tune: nothing is set but what keeps it from phoning home."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(address="local", num_cpus=slots, include_dashboard=False, log_to_driver=False, logging_level="error")


def start_our_ray(slots: int) -> None:
    """The same for ours, with what our command sets before it starts one."""
    from tune_mixup.cluster.connection import QUIET

    os.environ |= QUIET
    start_ray(slots)


RAYS: dict[str, Callable[[int], None]] = {"ours": start_our_ray, "plain Ray Tune": start_ray, REUSED: start_ray}
"""For measurements that leave the start of Ray out."""
