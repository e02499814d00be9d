"""Without a terminal: plain lines for people, JSON lines for machines, neither more often than somebody can use."""

import json
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from typing_extensions import override

from tune_mixup.activity import IDLE, Activity
from tune_mixup.display.texts import clock, ended, line
from tune_mixup.display.watcher import Watcher

if TYPE_CHECKING:
    from tune_mixup.search.standing import Progress

QUIET_S = 10.0
"""No two lines about mere progress, or about activities, come closer together than this, nor is there one before.
What is wrong with a command is known sooner, and then is all that is said."""
TICK_S = 0.2


class Lines(Watcher):
    """One line for each event that is worth it; activities are looked at by a thread, a few times a second."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lock = threading.Lock()
        self._activity = IDLE
        self._spoke = self.began

    @override
    def __call__(self, progress: "Progress") -> None:
        with self._lock:
            words = self.of_progress(progress)
            if words is not None:
                self._print(words)

    @override
    def doing(self, activity: Activity) -> None:
        self._activity = activity

    def look(self) -> None:
        """Print a line about what is being done, if it is time for one."""
        activity, now = self._activity, time.monotonic()
        if activity.what and now - self._spoke >= QUIET_S:
            with self._lock:
                self._print(self.of_activity(activity, now - self.began))

    @abstractmethod
    def of_progress(self, progress: "Progress") -> str | None:
        """The line about an event; None for an event that gets none."""

    @abstractmethod
    def of_activity(self, activity: Activity, elapsed_s: float) -> str:
        """The line about an activity, `elapsed_s` seconds after the display began."""

    def _print(self, words: str) -> None:
        print(words, file=self._stream, flush=True)
        self._spoke = time.monotonic()


class PlainLines(Lines):
    """A line for the first event, for each trial that ends, and for the state of things every `QUIET_S` seconds."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._ended, self._progress_s = -1, 0.0

    @override
    def of_progress(self, progress: "Progress") -> str | None:
        now_ended = ended(progress)
        if now_ended == self._ended and progress.elapsed_s - self._progress_s < QUIET_S:
            return None
        news = progress.message if now_ended != self._ended else ""
        self._ended, self._progress_s = now_ended, progress.elapsed_s
        return line(progress, news)

    @override
    def of_activity(self, activity: Activity, elapsed_s: float) -> str:
        return f"{clock(elapsed_s)}  {activity.words()}"


class JsonLines(Lines):
    """Each event as an object: `progress` with the fields of `Progress`, `activity` with those of `Activity`."""

    @override
    def of_progress(self, progress: "Progress") -> str:
        return json.dumps({"event": "progress", **asdict(progress)})

    @override
    def of_activity(self, activity: Activity, elapsed_s: float) -> str:
        return json.dumps({"event": "activity", "elapsed_s": round(elapsed_s, 3), **asdict(activity)})


@contextmanager
def ticking(look: Callable[[], None], every_s: float = TICK_S) -> Iterator[None]:
    """In the block a thread calls `look` again and again."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(every_s):
            look()

    thread = threading.Thread(target=work, daemon=True, name="tune_mixup display")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
