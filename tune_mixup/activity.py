"""What this process is doing at the moment, said by code that knows no display, heard by whoever shows it.

    with doing("reading 60,000 images", of=60_000) as count:
        for number, file in enumerate(files, start=1):
            ...
            count(number)

Whoever shows it lets the code run inside `heard_by`. Where nobody listens, saying it costs next to nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

PACE_S = 0.25
"""Nobody hears more often than this how far an activity has come."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Something that takes a while, at one moment."""

    what: str
    """In words that go on from a clock, such as `starting Ray`; empty: nothing beside what progress is told of."""
    place: str = ""
    """Where in it, such as `epoch 3/50`, when the same activity goes on at another place."""
    done: int | None = None
    """How much of it is done; None where that is not known."""
    of: int | None = None
    """How much there is to do; None where that is not known."""
    unit: str = ""
    """What is counted, such as `step`; empty: the share that is done says enough."""
    detail: str = ""
    """What can be said beside the count, such as `loss 1.83`."""

    def words(self) -> str:
        """In one line, such as `reading 60,000 images, 41 %` or `training, epoch 3/50, step 120/782, loss 1.83`."""
        parts = [self.what, self.place]
        if self.done is not None and self.of and self.unit:
            parts.append(f"{self.unit} {self.done}/{self.of}")
        elif self.done is not None and self.of:
            parts.append(f"{100 * self.done // self.of} %")
        return ", ".join(part for part in (*parts, self.detail) if part)


IDLE = Activity(what="")


class Count:
    """Says how far an activity has come."""

    def __init__(self, activity: Activity, hear: "Hear | None") -> None:
        self._activity = activity
        self._hear = hear
        self._due = time.monotonic() + PACE_S

    def due(self) -> bool:
        """Whether somebody would hear of it now; to be asked before something is computed for `detail`."""
        return self._hear is not None and time.monotonic() >= self._due

    def __call__(self, done: int, detail: str = "") -> None:
        """`done` of it are done; heard only when it is due."""
        if self.due() and self._hear is not None:
            self._hear(replace(self._activity, done=done, detail=detail))
            self._due = time.monotonic() + PACE_S


Hear = Callable[[Activity], None]


@dataclass(frozen=True)
class _Now:
    hear: Hear
    activity: Activity


_NOW: ContextVar[_Now | None] = ContextVar("tune_mixup_activity", default=None)
"""Who listens, and what is being done: set for the length of a block, and of its thread only."""


@contextmanager
def heard_by(hear: Hear) -> Iterator[None]:
    """In the block `hear` is told of each activity as it begins, goes on and ends; then of what it was part of."""
    now = _NOW.get()
    token = _NOW.set(_Now(hear, IDLE if now is None else now.activity))
    try:
        yield
    finally:
        _NOW.reset(token)


@contextmanager
def doing(what: str, *, place: str = "", of: int | None = None, unit: str = "") -> Iterator[Count]:
    """The block does `what`; it may say how many of `of` are done by calling what it is given.

    Also a decorator of functions: `@doing("starting Ray")`.
    """
    now = _NOW.get()
    activity = Activity(what=what, place=place, done=None if of is None else 0, of=of, unit=unit)
    if now is None:
        yield Count(activity, None)
        return
    token = _NOW.set(_Now(now.hear, activity))
    try:
        now.hear(activity)
        yield Count(activity, now.hear)
    finally:
        _NOW.reset(token)
        now.hear(now.activity)


def pass_on(activity: Activity) -> None:
    """Tell of an activity of another process, whose end this one waits for; without words it has ended."""
    now = _NOW.get()
    if now is not None:
        now.hear(activity if activity.what else now.activity)
