"""What a running command looks like: a live picture on a terminal, plain lines elsewhere, JSON lines for machines.

Nothing here stops a sweep: who listens is dropped with a line in the log when it fails, and so is the stream.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, TextIO

from tune_mixup.activity import heard_by
from tune_mixup.display.lines import JsonLines, Lines, PlainLines, ticking
from tune_mixup.display.watcher import Guard as Guard
from tune_mixup.display.watcher import Watcher as Watcher
from tune_mixup.streams import Forgiving, forgiving

if TYPE_CHECKING:
    from tune_mixup.search.standing import Listener


@contextmanager
def display(as_json: bool, stream: TextIO | None = None) -> Iterator[Watcher]:
    """The display that suits `stream` (default: stdout); it hears of activities and listens while the block runs."""
    stream = forgiving(sys.stdout if stream is None else stream, "stdout")
    with _suiting(as_json, stream) as shown, _heard(shown, stream) as guarded:
        yield guarded


@contextmanager
def showing_activity() -> Iterator[None]:
    """Show on stderr what is being done, for a command whose output is a result; elsewhere than on a terminal seldom.

    Nothing of it stays on a terminal.
    """
    stream = forgiving(sys.stderr, "stderr")
    shown = _live(stream) if can_draw(stream) else _lines(PlainLines(stream))
    with shown as watcher, _heard(watcher, stream):
        yield


@contextmanager
def showing(listener: "Listener | None") -> Iterator[Watcher]:
    """`listener`, guarded; where there is none, the display for a person."""
    if listener is None:
        with display(as_json=False) as shown:
            yield shown
    else:
        guarded = Guard(listener)
        if isinstance(listener, Watcher):
            with heard_by(guarded.doing):
                yield guarded
        else:
            yield guarded


@contextmanager
def _heard(shown: Watcher, stream: TextIO) -> Iterator[Watcher]:
    """The display, which may fail, and whose stream may; either is told once, while the work goes on."""

    def report() -> None:
        if isinstance(stream, Forgiving):
            stream.report()

    guarded = Guard(shown, after=report)
    with heard_by(guarded.doing):
        yield guarded


def _suiting(as_json: bool, stream: TextIO) -> AbstractContextManager[Watcher]:
    if as_json:
        return _lines(JsonLines(stream))
    return _live(stream) if can_draw(stream) else _lines(PlainLines(stream))


def can_draw(stream: TextIO) -> bool:
    """Whether it is a terminal on which something can be drawn over itself."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def _lines(lines: Lines) -> Iterator[Watcher]:
    with ticking(lines.look):
        yield lines


@contextmanager
def _live(stream: TextIO) -> Iterator[Watcher]:
    from tune_mixup.display.terminal import live  # here, because rich takes a tenth of a second

    with live(stream) as shown:
        yield shown
