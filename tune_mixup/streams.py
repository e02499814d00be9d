"""Output whose reader may go away: a closed pipe, a full disk, a terminal of few characters, or no stream at all.

What is computed must not stop because nobody can read about it. The first fault drops the stream, with one line in the
log, which Python shows on stderr where no log is set up.
"""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from typing_extensions import override

from tune_mixup.words import short


class Forgiving(io.TextIOBase):
    """Writes to a stream until that fails, then nowhere; what the stream has no characters for is escaped."""

    def __init__(self, stream: TextIO, name: str, *, log: bool = True) -> None:
        self.stream = stream
        self.fault: Exception | None = None
        """Why nothing is written any more."""
        self._name = name
        self._log = log

    @override
    def write(self, text: str, /) -> int:
        if self.fault is None:
            try:
                self._write(text)
            except TypeError:  # no text: a mistake of the caller
                raise
            except Exception as fault:
                self._drop(fault)
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError as fault:
            self.stream.write(text.encode(fault.encoding, "backslashreplace").decode(fault.encoding))

    @override
    def flush(self) -> None:
        if self.fault is None:
            try:
                self.stream.flush()
            except Exception as fault:
                self._drop(fault)

    def finish(self) -> bool:
        """Flush what is left; whether all has arrived."""
        self.flush()
        return self.fault is None

    def report(self) -> None:
        """Log why nothing is written any more, once."""
        if self.fault is not None and self._log:
            self._log = False
            logging.getLogger(__name__).warning(
                f"{self._name} can't be written ({short(self.fault)}); nothing more is shown there; the work goes on"
            )

    def _drop(self, fault: Exception) -> None:
        self.fault = fault
        if not isinstance(fault, BrokenPipeError):  # a reader who has seen enough (`| head`) is no news by itself
            self.report()

    @override
    def isatty(self) -> bool:
        try:
            return self.fault is None and self.stream.isatty()
        except ValueError:  # it is closed
            return False

    @override
    def fileno(self) -> int:
        return self.stream.fileno()

    @override
    def writable(self) -> bool:
        return True

    @property
    @override
    def encoding(self) -> str:  # type: ignore[override]  # an attribute in typeshed, a property in CPython
        return getattr(self.stream, "encoding", None) or "utf-8"

    @override
    def close(self) -> None:
        """Nothing: the stream is not ours to close."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def forgiving(stream: TextIO | None, name: str) -> TextIO:
    """`stream` as one whose faults stop nobody; where there is none, one that swallows everything."""
    if isinstance(stream, Forgiving):
        return cast(TextIO, stream)
    if stream is None:
        logging.getLogger(__name__).warning(f"there is no {name}, so nothing is shown there")
        return _Nowhere()
    return cast(TextIO, Forgiving(stream, name))


class _Nowhere(io.StringIO):
    """Takes text and forgets it."""

    @override
    def write(self, text: str, /) -> int:
        return len(text)


@contextlib.contextmanager
def forgiving_output() -> Iterator[Forgiving | None]:
    """In the block stdout and stderr stop nobody; yields stdout, whose `fault` says what was lost, or None for none."""
    out, err = sys.stdout, sys.stderr
    shown = None if out is None else Forgiving(out, "stdout")
    said = None if err is None else Forgiving(err, "stderr", log=False)
    sys.stdout, sys.stderr = cast(TextIO, shown), cast(TextIO, said)
    try:
        yield shown
    finally:
        sys.stdout, sys.stderr = out, err


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """In the block sys.stdout and sys.stderr are files, the null device where there is none or it is closed.

    For libraries that ask for their descriptors, as Ray does when it starts.
    """
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout, sys.stderr = (nowhere if one is None or one.closed else one for one in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def tell(words: str) -> None:
    """A line on stderr, where there is one that can be written; for signal handlers and last words, never raises."""
    with contextlib.suppress(Exception):
        print(f"tune-mixup: {words}", file=sys.stderr, flush=True)


def fill_closed() -> None:
    """Open the null device as those of descriptors 0, 1 and 2 that are closed (`>&-`, daemons).

    The next file that is opened would otherwise become the standard output of this process and of all that it starts,
    and what they print would land in it.
    """
    for standard in (0, 1, 2):
        try:
            os.fstat(standard)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def give_up(stream: TextIO | None) -> None:
    """Let what is left in a stream's buffer go nowhere, so that the end of the process does not fail on it."""
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
