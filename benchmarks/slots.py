"""Trials at work side by side without training: reports come in the order of their times and are judged as they do."""

import heapq
from collections.abc import Callable, Sequence
from typing import Protocol


class Judge(Protocol):
    """A method at work on one sweep."""

    def begin(self, trial: int) -> bool:
        """Begin a trial; False where there is none for now, which is asked again once another has ended."""

    def report(self, trial: int, epoch: int) -> bool:
        """Whether a trial stops after an epoch; not asked after the last one."""

    def end(self, trial: int, epoch: int) -> None:
        """A trial has ended after `epoch` epochs."""


def run(
    judge: Judge,
    ends: Callable[[int], Sequence[float]],
    *,
    epochs: int,
    slots: int,
    trials: int | None = None,
    over: Callable[[], bool] = lambda: False,
) -> list[int]:
    """How many epochs each trial was trained for, of `epochs`.

    `ends(trial)` gives the times from the trial's begin to the end of each epoch; asked once, after `judge.begin`.
    Slots that are free begin what they can whenever a trial has ended. Nothing new begins after `trials` trials (None:
    no limit), and everything ends once `over` says so, asked after every report.
    """
    reached: list[int] = []
    times: list[Sequence[float]] = []
    running: list[tuple[float, int, float]] = []

    def begin(now: float) -> None:
        trial = len(reached)
        if trial != trials and judge.begin(trial):
            times.append(ends(trial))
            reached.append(0)
            heapq.heappush(running, (now + times[trial][0], trial, now))

    for _ in range(slots):
        begin(0.0)
    while running and not over():
        now, trial, began = heapq.heappop(running)
        reached[trial] += 1
        epoch = reached[trial]
        if epoch == epochs or judge.report(trial, epoch):
            judge.end(trial, epoch)
            for _ in range(slots - len(running)):
                begin(now)
        else:
            heapq.heappush(running, (began + times[trial][epoch], trial, began))
    return reached
