"""A sweep on one slot whose trials train for real, on made-up images; without Ray, in a few seconds."""

import json

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.record.facts import Ending
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.training.trainer import Trainer

SPACE = SearchSpace(
    fixed={
        "data.name": "synthetic",
        "data.num_train": 60,
        "data.size": 8,
        "data.num_classes": 3,
        "model.width": 4,
        "training.epochs": 6,
        "training.batch_size": 20,
        "training.median_epochs": 1,
    },
    free={
        "mixing.name": CategoricalDistribution(("erm", "mixup")),
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.001, 0.4, log=True),
    },
    conditions={"mixing.alpha": {"mixing.name": ("mixup",)}},
)
CONFIG = SweepConfig.from_record({
    "name": "s", "space": SPACE, "trials": 10, "grace_epochs": 2, "metric": "val_nll", "gpus_per_trial": 0.5,
    "strata": "none", "control_fraction": 0, "sampler": "random",
})  # fmt: skip


def work(record, saved=None):
    """Finish the sweep on one slot; returns the epochs trained. `saved` notes the epoch of each trial's state."""
    trained = 0
    with record.folder.working():
        session = Session.open(record, CONFIG)
        while (begin := session.next()) is not None:
            kept = record.folder.trial(begin.number)
            trainer = Trainer(begin.config, folder=kept.path, device="cpu")
            told, stop = min(begin.heard, trainer.epoch), False
            while not stop:
                if told == trainer.epoch and not trainer.done:
                    trainer.train_epoch()
                    trained += 1
                    if saved is not None:
                        saved[begin.number] = trainer._saved_epoch
                told += 1
                row = trainer.history[told - 1]
                over = told == trainer.epoch and trainer.done
                stop = over or session.report(begin.number, row)
            session.end(begin.number, row, Ending(kind="completed" if over else "stopped"))
            trainer.close()
            if not over:  # as the keeper does
                for file in kept.checkpoints():
                    file.unlink()
    return trained


def outcome(record):
    """All that must be the same, wherever it was cut: decisions, and every row but for its clock."""
    trials = []
    for trial in record.study.asked():
        epochs = record.folder.trial(trial.number).read_epochs()
        timeless = [{k: v for k, v in row.items() if k not in ("epoch_s", "images_per_s")} for row in epochs]
        trials.append(
            (trial.number, trial.state.name, trial.params, trial.intermediate_values, trial.user_attrs, timeless)
        )
    return json.loads(json.dumps(trials))
