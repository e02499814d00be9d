"""Who watches: a listener that may fail without stopping anything, and one that hears of activities too."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from typing_extensions import override

from tune_mixup.words import short

if TYPE_CHECKING:
    from tune_mixup.activity import Activity
    from tune_mixup.search.standing import Listener, Progress


class Watcher(ABC):
    """A listener that hears of activities beside progress. Any other callable, as a listener, hears of progress."""

    def __init__(self, began: float | None = None) -> None:
        """`began` is the moment of `time.monotonic` from which its clock counts; default: now."""
        self.began = time.monotonic() if began is None else began

    @abstractmethod
    def __call__(self, progress: "Progress") -> None:
        """The sweep stands here."""

    @abstractmethod
    def doing(self, activity: "Activity") -> None:
        """This is being done now; an activity without words: what was done has ended."""


class Guard(Watcher):
    """A listener that is dropped when it fails: a sweep does not stop because nobody watches it.

    A KeyboardInterrupt is no failure: by it a listener may end the sweep.
    """

    def __init__(self, listener: "Listener", after: Callable[[], None] = lambda: None) -> None:
        """`after` is called after each event."""
        super().__init__(listener.began if isinstance(listener, Watcher) else None)
        self._listener: Listener | None = listener
        self._after = after

    @override
    def __call__(self, progress: "Progress") -> None:
        """Tell the listener, if it has not failed yet."""
        listener = self._listener
        if listener is not None:
            self._try(lambda: listener(progress), f"the listener of {progress.name}")

    @override
    def doing(self, activity: "Activity") -> None:
        """Tell a listener that hears of activities, if it has not failed yet."""
        listener = self._listener
        if isinstance(listener, Watcher):
            self._try(lambda: listener.doing(activity), "the listener")

    def _try(self, tell: Callable[[], None], who: str) -> None:
        try:
            tell()
        except Exception as fault:
            self._listener = None
            logging.getLogger(__name__).warning(
                f"{who} failed ({short(fault)}); it hears no more, and the sweep goes on"
            )
        self._after()
