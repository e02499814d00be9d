"""The published loop under Optuna alone: long-lived processes that share a study, as its documentation on distributed
optimisation shows, with a journal file and its SuccessiveHalvingPruner.
"""

import multiprocessing
import time
from multiprocessing.synchronize import Lock
from pathlib import Path

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from benchmarks.baselines.published_loop import PublishedLoop
from benchmarks.baselines.search_task import Finish, SearchTask
from tune_mixup.data.loading import TrainingData

STUDY = "pool"


def search(task: SearchTask, *, storage: Path) -> list[Finish]:
    """Run the task in `task.slots` processes; the journal is made in `storage`."""
    journal = storage / "journal.log"
    study = optuna.create_study(study_name=STUDY, storage=_storage(journal), direction="maximize")
    for point in task.space.baselines:
        study.enqueue_trial(dict(point))
    spawn = multiprocessing.get_context("spawn")
    asking = spawn.Lock()
    processes = [spawn.Process(target=work, args=(task, journal, worker, asking)) for worker in range(task.slots)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    study = optuna.load_study(study_name=STUDY, storage=_storage(journal))
    finished = []
    for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)):
        epochs = max(trial.intermediate_values)
        finished.append(
            Finish(
                at_s=trial.user_attrs["at_s"],
                epochs=epochs,
                accuracy=trial.intermediate_values[epochs],
                trained_s=trial.user_attrs["trained_s"],
            )
        )
    return sorted(finished)


def work(task: SearchTask, journal: Path, worker: int, asking: Lock) -> None:
    """What each process of the pool does: take trials until all have been taken."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(
        study_name=STUDY,
        storage=_storage(journal),
        sampler=optuna.samplers.TPESampler(seed=task.seed + worker),
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=task.grace_epochs, reduction_factor=task.reduction_factor
        ),
    )
    data = task.data()
    while True:
        with asking:
            if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                return
            trial = study.ask(dict(task.space.free))
        study.tell(trial, *_train(trial, task, data))


def _train(trial: optuna.Trial, task: SearchTask, data: TrainingData) -> tuple[float | None, TrialState]:
    """One trial: its accuracy and COMPLETE, or PRUNED."""
    loop = PublishedLoop(task.config(trial.params), data, workers=task.loader_workers)
    trained_s, accuracy, pruned = 0.0, 0.0, False
    for epoch in range(1, task.max_epochs + 1):
        began = time.perf_counter()
        accuracy = loop.train_epoch()["val_accuracy"]
        trained_s += time.perf_counter() - began
        trial.report(accuracy, epoch)
        pruned = epoch < task.max_epochs and trial.should_prune()
        if pruned:
            break
    trial.set_user_attr("trained_s", trained_s)
    trial.set_user_attr("at_s", time.time())
    return (None, TrialState.PRUNED) if pruned else (accuracy, TrialState.COMPLETE)


def _storage(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal)))
