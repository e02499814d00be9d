"""A sweep without Ray and without training: each configuration has a curve, and one slot works through the session."""

import json
import math
import random
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.config import TrialConfig
from tune_mixup.mixing.erm import Erm
from tune_mixup.record.facts import Ending
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.trial_folder import Epoch
from tune_mixup.search.session import Begin, Session
from tune_mixup.search_space import SearchSpace

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
FINITE_SPACE = SPACE.replace(
    free={
        "mixing.name": CategoricalDistribution(("erm", "mixup")),
        "mixing.alpha": CategoricalDistribution((0.5, 1.0)),
        "optimizer.lr": CategoricalDistribution((0.01, 0.04, 0.39)),
    },
    baselines=(),
)
"""The same for samplers that go through all points: nine of them."""


def value_of(config: TrialConfig, epoch: int) -> float:
    """A smooth curve of the setting: what a deterministic training would report as accuracy.

    A seed other than 0 makes all of it a little better or worse.
    """
    strength = abs(math.log(config.optimizer.lr / 0.08)) + (0.1 if config.mixing == Erm() else 0.0)
    luck = random.Random(f"{config.identity()}/{config.seed}").uniform(-0.05, 0.05) if config.seed else 0.0
    return 1 / (1 + strength) * (1 - math.exp(-epoch / 3)) + luck


def row_of(config: TrialConfig, epoch: int, *, faults: bool = False) -> Epoch:
    """An epoch's report. With `faults`, some low rates diverge in epoch 3; the highest fail at once (`step`)."""
    if faults and 0.03 < config.optimizer.lr < 0.045 and epoch == 3:
        return {"epoch": 3, "diverged": 1}
    return {"epoch": epoch, "val_accuracy": value_of(config, epoch), "diverged": 0}


def step(session: Session, begin: Begin, epoch: int, *, faults: bool = False) -> bool:
    """One epoch of a worker: its folder first, then the report; True when the trial goes on."""
    folder = session.record.folder.trial(begin.number)
    folder.path.mkdir(parents=True, exist_ok=True)
    if faults and begin.config.optimizer.lr > 0.35:
        session.end(begin.number, None, Ending(kind="failed", why="ValueError: no"))
        return False
    row = row_of(begin.config, epoch, faults=faults)
    diverged = row["diverged"] == 1
    done = epoch == begin.config.training.epochs or diverged
    if epoch > len(folder.read_epochs()):
        folder.append_epoch(row)
    if done or session.report(begin.number, row):
        session.end(begin.number, row, Ending(kind="diverged" if diverged else "completed" if done else "stopped"))
        return False
    return True


def work(session: Session, *, kill_after: int | None = None, faults: bool = False) -> bool:
    """Work through a session on one slot; False when it was abandoned after `kill_after` steps."""
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


def decisions(record: SweepRecord, first: int | None = None) -> bytes:
    """The log of decisions, byte for byte: everything about every trial, or about the `first` ones."""
    asked = record.study.asked()[:first]
    trials: list[tuple[Any, ...]] = [
        (t.number, t.state.name, t.params, t.intermediate_values, t.user_attrs) for t in asked
    ]
    return json.dumps(trials).encode()
