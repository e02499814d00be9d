"""Counts over a sweep's trials, brought up to date by events: the thousandth report costs what the first one did."""

from collections import Counter
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.record.merit import Merits, Setting


class Seen(NamedTuple):
    """A trial as it was noted last."""

    trial: int
    state: TrialState
    epoch: int
    value: float
    full_epochs: int
    finalist: bool
    """Whether it trains a setting again that the search has found; nothing stops it."""


class Tally:
    """What a sweep's progress is made of. Call `note` whenever a trial has changed."""

    def __init__(self, direction: Literal["maximize", "minimize"], *, seed: int = 0) -> None:
        """`seed` is that of trials which say nothing of theirs."""
        self.states: Counter[TrialState] = Counter()
        self.epochs = 0
        """Epochs reported so far, over all trials."""
        self.full_epochs = 0
        """Epochs that the trials begun so far would take without early stopping."""
        self.finalists = 0
        """How many of the trials begun are finalists' runs."""
        self.finalists_epochs = 0
        """Epochs of these."""
        self.fresh_runs: Counter[int] = Counter()
        """Setting -> how often it was begun again for the finals."""
        self.merits = Merits(direction, seed=seed)
        self._sign = self.merits.sign
        self._seen: dict[int, Seen] = {}
        self._running: dict[int, Seen] = {}
        self._lengths: Counter[int] = Counter()
        """Epochs that trials of the search have ended after."""
        self._promising: list[tuple[float, int, Seen]] = []
        """A heap of what was measured, the best first, as long as no setting is the best; what has changed since stays
        in it until it comes first."""

    def note(self, trial: FrozenTrial, full_epochs: int) -> None:
        """Take in what the study now knows of a trial whose full budget is `full_epochs`."""
        if (before := self._seen.get(trial.number)) is not None:
            self._count(before, -1)
        epoch = trial.last_step or 0
        value = trial.intermediate_values[epoch] if epoch else 0.0
        now = Seen(trial.number, trial.state, epoch, value, full_epochs, "finalist" in trial.user_attrs)
        self._seen[trial.number] = now
        self._count(now, 1)
        if before is None and now.finalist:
            self.fresh_runs[self.merits.setting_of(trial)] += 1
        if now.state.is_finished():
            self._running.pop(trial.number, None)
            self.merits.note(trial)
        else:
            self._running[trial.number] = now
        if self.merits.best() is not None:
            self._promising.clear()
        elif now.epoch and now.state != TrialState.FAIL:
            heappush(self._promising, (-self._sign * now.value, now.trial, now))

    def _count(self, seen: Seen, sign: Literal[1, -1]) -> None:
        self.states[seen.state] += sign
        self.epochs += sign * seen.epoch
        self.full_epochs += sign * seen.full_epochs
        self.finalists += sign * seen.finalist
        self.finalists_epochs += sign * seen.epoch * seen.finalist
        if seen.state.is_finished() and not seen.finalist:
            self._lengths[seen.epoch] += sign

    def begun(self) -> int:
        """How many trials were begun."""
        return len(self._seen)

    def best(self) -> Setting | None:
        """The best setting that was trained to the end; None while there is none."""
        return self.merits.best()

    def most_promising(self) -> int | None:
        """The trial with the best value of those that have reported and not failed, however few their epochs.

        None once there is a best setting, for then nobody asks.
        """
        while self._promising and self._seen[self._promising[0][1]] is not self._promising[0][2]:
            heappop(self._promising)
        return self._promising[0][1] if self._promising else None

    def latest(self, number: int) -> tuple[int, float]:
        """The last reported epoch of a trial and its value."""
        return self._seen[number].epoch, self._seen[number].value

    def unfinished(self) -> list[int]:
        """The trials that were begun and have not ended, by number."""
        return sorted(self._running)

    def running(self) -> list[Seen]:
        """The trials that have not ended, the best first; those that have reported nothing last."""
        return sorted(
            self._running.values(), key=lambda one: (one.epoch == 0, -self._sign * one.value if one.epoch else 0)
        )

    def left_to_run(self) -> list[float]:
        """Epochs that each of the running trials goes on, expected."""
        return [
            one.full_epochs - one.epoch if one.finalist else self.epochs_left(one.epoch, one.full_epochs)
            for one in self._running.values()
        ]

    def epochs_left(self, epoch: int, full_epochs: int) -> float:
        """Epochs that a trial of the search goes on after `epoch`, expected: Kaplan and Meier's mean, up to its budget.

        The mean of those that ended would be too low: while a sweep is young, these are the ones that were stopped.
        """
        left, alive, reached = 0.0, 1.0, epoch
        for length in sorted(
            length for length, count in self._lengths.items() if count and epoch < length < full_epochs
        ):
            left += alive * (length - reached)
            came_there = sum(count for other, count in self._lengths.items() if other >= length)
            came_there += sum(one.epoch > length for one in self._running.values() if not one.finalist)
            alive *= 1 - self._lengths[length] / came_there
            reached = length
        return left + alive * max(0, full_epochs - reached)
