"""A worker that turns each configuration into a curve, and sessions that run on one slot without Ray."""

import json
import math

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.record.facts import Ending
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig

SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "training.epochs": 9},
    free={
        "mixing.name": CategoricalDistribution(("erm", "mixup")),
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
    },
    conditions={"mixing.alpha": {"mixing.name": ("mixup",)}},
    baselines=(
        {"mixing.name": "erm", "optimizer.lr": 0.1},
        {"mixing.name": "mixup", "mixing.alpha": 1.0, "optimizer.lr": 0.1},
    ),
)


def plan(**changes):
    settings = {"name": "s", "space": SPACE, "trials": 10, "grace_epochs": 1, "metric": "val_accuracy", **changes}
    return SweepConfig.from_record(settings)  # whose flat names say less than sections would


def create(root, config):
    return SweepRecord.create(root, config.name, config.model_dump(mode="json"), direction=config.direction)


def value_of(config, epoch):
    """A smooth curve of the setting: what a deterministic trainable would report."""
    strength = abs(math.log(config.optimizer.lr / 0.08)) + (0.1 if config.mixing.name == "erm" else 0.0)
    return 1 / (1 + strength) * (1 - math.exp(-epoch / 3))


def row_of(config, epoch, *, faults=False):
    """An epoch's report. With `faults`, some low rates diverge in epoch 3; the highest fail at once (`step`)."""
    row = {"epoch": epoch, "val_accuracy": value_of(config, epoch), "diverged": 0}
    if faults and 0.03 < config.optimizer.lr < 0.045 and epoch == 3:
        return {"epoch": 3, "diverged": 1}
    return row


def step(session, begin, epoch, *, faults=False):
    """One epoch of the fake worker: its folder first, then the report; True when the trial goes on."""
    folder = session.record.folder.trial(begin.number)
    folder.path.mkdir(parents=True, exist_ok=True)
    if faults and begin.config.optimizer.lr > 0.35:
        session.end(begin.number, None, Ending(kind="failed", why="ValueError: no"))
        return False
    row = row_of(begin.config, epoch, faults=faults)
    done = epoch == begin.config.training.epochs or row["diverged"] == 1
    if epoch > len(folder.read_epochs()):
        folder.append_epoch(row)
    if done or session.report(begin.number, row):
        kind = "diverged" if row["diverged"] else "completed" if done else "stopped"
        session.end(begin.number, row, Ending(kind=kind))
        return False
    return True


def work(session, *, kill_after=None, faults=False):
    """One slot; returns False when it was abandoned after so many steps."""
    steps = 0
    while (begin := session.next()) is not None:
        epoch = len(session.record.folder.trial(begin.number).read_epochs())
        going = True
        while going:
            if steps == kill_after:
                return False
            epoch, steps = epoch + 1, steps + 1
            going = step(session, begin, epoch, faults=faults)
    return True


def decisions(record, first=None):
    """The decision log, byte for byte: everything about every trial, or about the `first` ones."""
    asked = record.study.asked()[:first]
    trials = [(t.number, t.state.name, t.params, t.intermediate_values, t.user_attrs) for t in asked]
    return json.dumps(trials).encode()
