"""A whole sweep of ours on a table: a real session decides all, with a real record, and only the training is looked up.

The budget is one of GPU-hours, as of a user who has so much time: an epoch is made to take one hour of one GPU, so that
hours and epochs are the same number. The promise in trials must not bind before it: it is the most trials that the
budget could hold, each stopped at the first chance. All else is a sweep's default, the finalists included.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from benchmarks.options import configured
from benchmarks.recorded_curves import AXES, EPOCHS, Table
from benchmarks.simulation import Floats, Search, medians
from benchmarks.table_search import SEARCHED, nearest
from tune_mixup.record.facts import Ending
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.trial_folder import Epoch
from tune_mixup.schema import flatten
from tune_mixup.search.session import Begin, Session
from tune_mixup.sweep_config import SweepConfig

GRACE = math.ceil(EPOCHS / 3)
"""The first epoch after which ours stops a trial of so many epochs."""
Point = tuple[float, ...]
RUNGS: dict[str, Callable[[Floats], list[float]]] = {
    "medians": medians,
    "single epochs": lambda accuracy: list(accuracy.tolist()),
    "best so far": lambda accuracy: list(np.maximum.accumulate(accuracy).tolist()),
}
"""What a rung may compare: accuracy after each epoch -> the value of each. Medians of five are a sweep's default."""


class Swept(Search):
    """What a session asks for and is told.

    Points that are nearest to one setting take its seeds in turn, and a point that is trained again, on a fresh seed,
    takes the one after its own: so no finalist is judged by the curve that it was chosen by, as long as there are as
    many seeds as it has trainings.
    """

    def __init__(self, table: Table, seed: int, session: Session, rungs: str) -> None:
        super().__init__(table, seed)
        self.session = session
        self.rungs = RUNGS[rungs]
        self.begins: list[Begin] = []
        """Trial -> what the session said of it."""
        self._turns: dict[Point, int] = {}

    @override
    def ask(self, trial: int) -> int | None:
        begin = self.session.next()
        if begin is None:
            return None
        self.begins.append(begin)
        return nearest(_point(begin))

    @override
    def turn(self, trial: int, setting: int) -> int:
        begin = self.begins[trial]
        point = tuple(_point(begin).values())
        if point not in self._turns:
            self._turns[point] = super().turn(trial, setting)
        return self._turns[point] + begin.config.seed - self.session.config.seed

    @override
    def watch(self, accuracy: Floats) -> list[float]:
        # A sweep's default metric is the median, and the last epoch's is what trials are ranked by.
        return [*self.rungs(accuracy)[:-1], medians(accuracy)[-1]]

    @override
    def judge(self, trial: int, epoch: int, value: float) -> bool:
        return self.session.report(self.begins[trial].number, self._row(epoch, value))

    @override
    def tell(self, trial: int, epoch: int, value: float) -> None:
        ending = Ending(kind="completed" if epoch == self.epochs else "stopped")
        self.session.end(self.begins[trial].number, self._row(epoch, value), ending)

    @override
    def handed_on(self) -> int:
        best = self.session.progress().best_trial
        return next(nearest(_point(begin)) for begin in self.begins if begin.number == best)

    def _row(self, epoch: int, value: float) -> Epoch:
        return {"epoch": epoch, self.session.config.metric: value, "epoch_s": 3600.0, "diverged": 0}


@contextmanager
def swept(table: Table, seed: int, budget: int, *, rungs: str = "medians", **options: Any) -> Iterator[Swept]:
    """A sweep that has `budget` epochs, in a folder that lasts as long as the block.

    Its rungs compare what `RUNGS` says; `options` as in `KEYS`.
    """
    config = promised(seed, budget, **options)
    with tempfile.TemporaryDirectory() as folder:
        record = SweepRecord.create(
            Path(folder), config.name, config.model_dump(mode="json"), direction=config.direction
        )
        yield Swept(table, seed, Session.open(record, config), rungs)


def promised(seed: int, budget: int, **options: Any) -> SweepConfig:
    """The sweep's configuration."""
    return configured(
        SEARCHED,
        name="table",
        seed=seed,
        trials=math.ceil(budget / GRACE),
        gpu_hours=float(budget),
        gpus_per_trial=1.0,
        **options,
    )


def _point(begin: Begin) -> dict[str, float]:
    settings = flatten(begin.config.plain())
    return {key: float(settings[key]) for key in AXES}
