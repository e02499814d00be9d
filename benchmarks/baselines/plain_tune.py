"""The published loop under Ray Tune as its documentation shows it.

A function trainable reports after each epoch, with a checkpoint every fifth one as in the getting-started guide;
OptunaSearch and ASHAScheduler as they come, default actors (a process per trial) and loggers, one CPU per trial. Data
are loaded once and handed over by `tune.with_parameters`, which the documentation advises for what is large.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.baselines.published_loop import PublishedLoop
from benchmarks.baselines.search_task import Finish, SearchTask
from tune_mixup.data.loading import TrainingData

CHECKPOINT_EVERY = 5
"""Epochs."""


def train(point: dict[str, Any], task: SearchTask, data: TrainingData) -> None:
    """One trial."""
    device = "cuda" if task.gpus else "cpu"
    loop = PublishedLoop(task.config(point), data, workers=task.loader_workers, device=device)
    trained_s = 0.0
    for _ in range(task.max_epochs):
        began = time.perf_counter()
        report = loop.train_epoch()
        trained_s += time.perf_counter() - began
        report["trained_s"] = trained_s
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if loop.epoch % CHECKPOINT_EVERY == 0:
                torch.save(loop.state_dict(), Path(folder) / "state.pt")
                checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report(report, checkpoint=checkpoint)


def search(
    task: SearchTask, *, storage: Path, callbacks: list[tune.Callback] | None = None, reuse_actors: bool = False
) -> list[Finish]:
    """Run the task in the Ray that is there; Tune's files go to `storage`.

    `reuse_actors` lets a process take one trial after another, which Tune does only when it is asked to.
    """
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, task=task, data=task.data()), {"cpu": 1, "gpu": task.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(
                dict(task.space.free),
                metric="val_accuracy",
                mode="max",
                points_to_evaluate=[dict(point) for point in task.space.baselines],
                seed=task.seed,
            ),
            scheduler=ASHAScheduler(
                metric="val_accuracy",
                mode="max",
                max_t=task.max_epochs,
                grace_period=task.grace_epochs,
                reduction_factor=task.reduction_factor,
            ),
            num_samples=len(task.space.baselines),
            max_concurrent_trials=task.slots,
            time_budget_s=task.time_budget_s,
            reuse_actors=reuse_actors,
        ),
        run_config=tune.RunConfig(name="plain", storage_path=str(storage), verbose=0, callbacks=callbacks),
    )
    finished = []
    for result in tuner.fit():
        # one that the end of the time budget found in its first epoch has metrics of Ray's alone
        if result.error is None and result.metrics and "epoch" in result.metrics:
            finished.append(
                Finish(
                    at_s=float(result.metrics["timestamp"]),
                    epochs=int(result.metrics["epoch"]),
                    accuracy=float(result.metrics["val_accuracy"]),
                    trained_s=float(result.metrics["trained_s"]),
                )
            )
    return sorted(finished)
