"""How a sweep ends before its promise is kept, on a signal or a fault, so that `resume` can go on: one way for all.

From then on nothing new starts; each worker finishes its epoch, saves its trial and ends. After a fault of the storage
nothing more is written to the record. A second signal, or the end of the time that a signal other than Ctrl-C leaves,
stops everything at once.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from tune_mixup.streams import tell

GRACE_S = 20.0
"""How long epochs may go on after SIGTERM or SIGHUP; hosts are taken away 30 s after it, or later."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Halt:
    """Whether and why a sweep must end. Workers are told by a file, `flag`, which reaches every host."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag
        self.reason: BaseException | None = None
        """What `sweep` will raise: KeyboardInterrupt for a signal, else the fault."""

    @property
    def interrupted(self) -> bool:
        """Whether it ends because somebody wants it to, so that what trials report is still recorded."""
        return isinstance(self.reason, KeyboardInterrupt)

    def now(self, reason: BaseException) -> None:
        """End the sweep; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            with contextlib.suppress(OSError):  # a storage that failed: the workers find out by themselves
                self.flag.touch()


class Signals:
    """What signals do: raise KeyboardInterrupt, or, while a sweep runs, halt it first."""

    def __init__(self) -> None:
        self._halt: Halt | None = None

    @contextlib.contextmanager
    def halting(self, halt: Halt) -> Iterator[None]:
        """In the block the first signal halts, the second one raises KeyboardInterrupt."""
        self._halt = halt
        try:
            with self._installed():  # again, for Ray puts a handler of its own for SIGTERM over ours
                yield
        finally:
            self._halt = None

    @contextlib.contextmanager
    def _installed(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():  # only there does Python handle signals
            yield
            return
        before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
        ours = [n for n in before if before[n] is not signal.SIG_IGN]  # nohup, and shells for background jobs
        try:
            for number in ours:
                signal.signal(number, self._receive)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number in ours:
                if (handler := before[number]) is not None:
                    signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._halt is None:
            raise KeyboardInterrupt
        if self._halt.reason is not None:
            tell("stopping at once: what is not saved yet is trained again")
            raise KeyboardInterrupt
        self._halt.now(KeyboardInterrupt())
        if number == signal.SIGINT:
            words = "interrupted: each trial ends with its epoch and is saved; press Ctrl-C again to stop at once"
        else:
            signal.setitimer(signal.ITIMER_REAL, GRACE_S)
            words = f"{signal.Signals(number).name}: epochs that end within {GRACE_S:g} s are saved"
        tell(words)


@contextlib.contextmanager
def interruptible() -> Iterator[Signals]:
    """In the block SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does, and so end Ray and the block in order."""
    signals = Signals()
    with signals._installed():
        yield signals
