"""An end to code of somebody else's that runs for too long, where signals can be used: in the main thread."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType


class TookTooLong(BaseException):
    """A block has used up its time. No Exception, so that code which handles every error does not go on."""


@contextlib.contextmanager
def limited(limit_s: float, *, remind_s: float, remind: Callable[[], object]) -> Iterator[None]:
    """Call `remind` when the block has run for `remind_s`, and raise TookTooLong in it after `limit_s` seconds.

    In another thread than the main one the block has no limit. A call into C that never looks at Python's signals is
    not interrupted. A timer that ran before goes on afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    began = time.monotonic()
    reminded = done = False

    def ring(signum: int, frame: FrameType | None) -> None:
        nonlocal reminded
        if done:
            return
        if not reminded and time.monotonic() - began < limit_s:
            reminded = True
            signal.setitimer(signal.ITIMER_REAL, max(limit_s - remind_s, 0.001), 1.0)
            remind()
        else:
            raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, min(remind_s, limit_s), 1.0)  # again where it is caught
    try:
        yield
    finally:
        done = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - began), 0.001), every_s)
