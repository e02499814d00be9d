"""Counts over a sweep's trials, brought up to date by events: the thousandth report costs what the first one did."""

from collections import Counter
from typing import Literal, NamedTuple

from optuna.trial import FrozenTrial, TrialState


class Seen(NamedTuple):
    """A trial as it was noted last."""

    trial: int
    state: TrialState
    epoch: int
    value: float
    full_epochs: int


class Tally:
    """What a sweep's progress is made of. Call `note` whenever a trial has changed."""

    def __init__(self, direction: Literal["maximize", "minimize"]) -> None:
        self.states: Counter[TrialState] = Counter()
        self.epochs = 0
        """Epochs reported so far, over all trials."""
        self.full_epochs = 0
        """Epochs that the trials begun so far would take without early stopping."""
        self._sign = 1 if direction == "maximize" else -1
        self._seen: dict[int, Seen] = {}
        self._running: dict[int, Seen] = {}
        self._lengths: Counter[int] = Counter()
        """Epochs that trials have ended after."""
        self._best_complete: int | None = None

    def note(self, trial: FrozenTrial, full_epochs: int) -> None:
        """Take in what the study now knows of a trial whose full budget is `full_epochs`."""
        before = self._seen.get(trial.number)
        if before is not None:
            self.states[before.state] -= 1
            self.epochs -= before.epoch
            self.full_epochs -= before.full_epochs
            if before.state.is_finished():
                self._lengths[before.epoch] -= 1
        epoch = trial.last_step or 0
        value = trial.intermediate_values[epoch] if epoch else 0.0
        now = self._seen[trial.number] = Seen(trial.number, trial.state, epoch, value, full_epochs)
        self.states[now.state] += 1
        self.epochs += now.epoch
        self.full_epochs += now.full_epochs
        if now.state.is_finished():
            self._running.pop(trial.number, None)
            self._lengths[now.epoch] += 1
        else:
            self._running[trial.number] = now
        best = self._best_complete
        if now.state == TrialState.COMPLETE and (best is None or self._score(trial.number) > self._score(best)):
            self._best_complete = trial.number

    def begun(self) -> int:
        """How many trials were begun."""
        return len(self._seen)

    def best(self) -> int | None:
        """The best COMPLETE trial; while there is none, the best that has reported and has not failed."""
        if self._best_complete is not None:
            return self._best_complete
        measured = [number for number, seen in self._seen.items() if seen.epoch and seen.state != TrialState.FAIL]
        return max(measured, key=self._score, default=None)

    def latest(self, number: int) -> tuple[int, float]:
        """The last reported epoch of a trial and its value."""
        return self._seen[number].epoch, self._seen[number].value

    def running(self) -> list[Seen]:
        """The trials that have not ended, the best first; those that have reported nothing last."""
        return sorted(
            self._running.values(), key=lambda one: (one.epoch == 0, -self._sign * one.value if one.epoch else 0)
        )

    def epochs_left(self, epoch: int, full_epochs: int) -> float:
        """Epochs that a trial goes on after `epoch`, expected: Kaplan and Meier's mean, up to its budget.

        The mean of those that ended would be too low: while a sweep is young, these are the ones that were stopped.
        """
        left, alive, reached = 0.0, 1.0, epoch
        for length in sorted(
            length for length, count in self._lengths.items() if count and epoch < length < full_epochs
        ):
            left += alive * (length - reached)
            came_there = sum(count for other, count in self._lengths.items() if other >= length)
            came_there += sum(one.epoch > length for one in self._running.values())
            alive *= 1 - self._lengths[length] / came_there
            reached = length
        return left + alive * max(0, full_epochs - reached)

    def _score(self, number: int) -> float:
        return self._sign * self._seen[number].value
