"""A search without training: it looks its curves up, and epochs are counted. Every simulated search runs through here.

`slots.run` brings the reports in the order of their times. What is compared, methods of asking and of stopping, are
subclasses of `Search`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.slots import run

Floats = NDArray[np.float64]

SLOTS = 4
"""Trials at a time."""
MEDIAN = 5
"""Epochs over which `val_accuracy_median` is taken, as in `training.median_epochs`."""


class Curves(Protocol):
    """What is looked up."""

    @property
    def accuracy(self) -> Floats:
        """Accuracy after each epoch, [settings, seeds, epochs]."""


class Step(NamedTuple):
    """A search after one more trial has reported its last epoch or was stopped."""

    spent: int
    """Epochs trained so far, over all trials, unfinished ones too."""
    trained: int | None
    """The setting that has now been trained to the end; None for a trial that was stopped."""
    incumbent: int
    """The setting that the search would hand on now: of the trial with the best last value."""
    complete: bool
    """Whether that trial was trained to the end; if any was, one of those is handed on."""


class Search(ABC):
    """A search with one seed: asks for a setting, looks its curve up, judges each epoch, tells the end.

    A setting that comes again takes the next seed's curve.
    """

    def __init__(self, table: Curves, seed: int) -> None:
        self.lookup = table.accuracy
        self.epochs: int = self.lookup.shape[-1]
        self.seed = seed
        self.spent = 0
        """Epochs trained so far, over all trials, unfinished ones too."""
        self.reached: list[int] = []
        """Trial -> epochs that it was trained for; known after `run`."""
        self.steps: list[Step] = []
        """One for each trial that has ended."""
        self.settings: list[int] = []
        """Trial -> its setting's place in the table."""
        self.curves: list[list[float]] = []
        """Trial -> what each of its epochs reports."""
        self.stopped: list[int] = []
        """The settings of trials that were stopped."""
        self._asked: Counter[int] = Counter()
        self._best = (False, -1.0, -1)
        self._uneven = np.random.default_rng(seed)

    # How a method differs

    @abstractmethod
    def ask(self, trial: int) -> int | None:
        """The next trial's setting, as its place in the table; None while there is none to be trained."""

    def turn(self, trial: int, setting: int) -> int:
        """By how many seeds a trial's curve is behind the first one: as often as its setting has been asked for."""
        self._asked[setting] += 1
        return self._asked[setting] - 1

    def watch(self, accuracy: Floats) -> list[float]:
        """What the method is told of a curve: accuracy after each epoch."""
        values: list[float] = accuracy.tolist()
        return values

    def judge(self, trial: int, epoch: int, value: float) -> bool:
        """Whether a trial stops; not asked after its last epoch."""
        return False

    @abstractmethod
    def tell(self, trial: int, epoch: int, value: float) -> None:
        """A trial has ended, with the value of its last epoch."""

    def ends(self, trial: int) -> list[float]:
        """Times from a trial's begin to the end of each epoch; 1 is a usual epoch."""
        speed = np.exp(self._uneven.normal(0, 0.1)) * np.exp(self._uneven.normal(0, 0.02, self.epochs))
        times: list[float] = speed.cumsum().tolist()
        return times

    # What they have in common

    def begin(self, trial: int) -> bool:
        """Ask for a setting and look its curve up; False where there is none to be trained now."""
        setting = self.ask(trial)
        if setting is None:
            return False
        curve = self.lookup[setting, (self.seed + self.turn(trial, setting)) % self.lookup.shape[1]]
        self.settings.append(setting)
        self.curves.append(self.watch(curve))
        return True

    def report(self, trial: int, epoch: int) -> bool:
        """Count the epoch and judge it."""
        self.spent += 1
        return self.judge(trial, epoch, self.curves[trial][epoch - 1])

    def end(self, trial: int, epoch: int) -> None:
        """Tell the end and keep the step."""
        whole = epoch == self.epochs
        if whole:
            self.spent += 1
        value = self.curves[trial][epoch - 1]
        self.tell(trial, epoch, value)
        setting = self.settings[trial]
        if (whole, value) > self._best[:2]:  # what was trained to the end comes before what was not
            self._best = (whole, value, setting)
        if not whole:
            self.stopped.append(setting)
        self.steps.append(Step(self.spent, setting if whole else None, self._best[2], self._best[0]))

    def handed_on(self) -> int:
        """The setting that the search comes to; a trial of it must have ended."""
        return self.steps[-1].incumbent

    def run(self, over: Callable[["Search"], bool] = lambda search: False, trials: int | None = None) -> list[Step]:
        """Search until `over` says so, asked after every epoch, or until so many trials have ended; the steps made."""
        self.reached = run(self, self.ends, epochs=self.epochs, slots=SLOTS, trials=trials, over=lambda: over(self))
        return self.steps


def medians(accuracy: Floats) -> list[float]:
    """The median of the last `MEDIAN` epochs so far, after each epoch of a curve [epochs]."""
    early = [float(np.median(accuracy[:epoch])) for epoch in range(1, min(MEDIAN, len(accuracy) + 1))]
    if len(accuracy) < MEDIAN:
        return early
    windows = np.lib.stride_tricks.sliding_window_view(accuracy, MEDIAN)
    return [*early, *np.median(windows, axis=1).tolist()]
