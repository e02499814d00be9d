"""What a running sweep looks like: one live table on a terminal, plain lines elsewhere, JSON lines for machines.

Nothing here stops a sweep: who listens is dropped with a line in the log when it fails, and so is the stream.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from tune_mixup.record.names import trial_name
from tune_mixup.streams import Forgiving, forgiving
from tune_mixup.words import short

if TYPE_CHECKING:
    from rich.table import Table

    from tune_mixup.search.standing import Listener, Progress

QUIET_S = 10.0
"""Without a terminal, no two lines about mere progress come closer together than this."""
ENDED = ("COMPLETE", "PRUNED", "FAIL")


def display(as_json: bool, stream: TextIO | None = None) -> AbstractContextManager["Listener"]:
    """The display that suits `stream` (default: stdout); listens while the block runs."""
    stream = forgiving(sys.stdout if stream is None else stream, "stdout")
    if as_json:
        return _guarded(_json_lines(stream), stream)
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return _guarded(_live_table(stream), stream)
    return _guarded(_plain_lines(stream), stream)


@contextmanager
def showing(listener: "Listener | None") -> Iterator["Listener"]:
    """`listener`, guarded; where there is none, the display for a person."""
    if listener is not None:
        yield Guard(listener)
    else:
        with display(as_json=False) as shown:
            yield shown


class Guard:
    """A listener that is dropped when it fails: a sweep does not stop because nobody watches it.

    A KeyboardInterrupt is no failure: by it a listener may end the sweep.
    """

    def __init__(self, listener: "Listener") -> None:
        self._listener: Listener | None = listener

    def __call__(self, progress: "Progress") -> None:
        """Tell the listener, if it has not failed yet."""
        if self._listener is None:
            return
        try:
            self._listener(progress)
        except Exception as fault:
            self._listener = None
            logging.getLogger(__name__).warning(
                f"the listener of {progress.name} failed ({short(fault)}); it hears no more, and the sweep goes on"
            )


@contextmanager
def _guarded(shown: AbstractContextManager["Listener"], stream: TextIO) -> Iterator["Listener"]:
    """The display, which may fail, and whose stream may; either is told once, while the sweep goes on."""

    def listen(progress: "Progress") -> None:
        guarded(progress)
        if isinstance(stream, Forgiving):
            stream.report()

    with shown as draw:
        guarded = Guard(draw)
        yield listen


@contextmanager
def _json_lines(stream: TextIO) -> Iterator["Listener"]:
    def listen(progress: "Progress") -> None:
        print(json.dumps({"event": "progress", **asdict(progress)}), file=stream, flush=True)

    yield listen


@contextmanager
def _plain_lines(stream: TextIO) -> Iterator["Listener"]:
    """A line for the first event, for each trial that ends, and for the state of things every `QUIET_S` seconds."""
    ended, spoke_s = -1, 0.0

    def listen(progress: "Progress") -> None:
        nonlocal ended, spoke_s
        now_ended = sum(progress.states.get(state, 0) for state in ENDED)
        if now_ended == ended and progress.elapsed_s - spoke_s < QUIET_S:
            return
        news = progress.message if now_ended != ended else ""
        ended, spoke_s = now_ended, progress.elapsed_s
        print(line(progress, news), file=stream, flush=True)

    yield listen


@contextmanager
def _live_table(stream: TextIO) -> Iterator["Listener"]:
    """A table that is drawn over itself a few times a second, and stays as it was last when the block ends."""
    from rich.console import Console
    from rich.live import Live

    newest: tuple[Progress, float, str] | None = None

    def draw() -> "Table | str":
        if newest is None:
            return "starting Ray ..."
        progress, heard, message = newest
        try:
            return table(progress, message, since_s=time.monotonic() - heard)
        except Exception as fault:  # in a thread of rich's, whose end nobody would hear of
            return f"sweep {progress.name}: can't be drawn ({short(fault)})"

    def listen(progress: "Progress") -> None:
        nonlocal newest
        kept = newest[2] if newest is not None else ""  # an event without words leaves the last words standing
        newest = progress, time.monotonic(), progress.message or kept

    with Live(get_renderable=draw, console=Console(file=stream), refresh_per_second=4):
        yield listen


def table(progress: "Progress", message: str, *, since_s: float) -> "Table":
    """The state of a sweep as it was `since_s` seconds ago, with its clocks carried on."""
    from rich.table import Table
    from rich.text import Text

    states = Text("   ").join(
        Text(f"{count} {state}", style=_STYLES.get(state, "") if count else "dim")
        for state, count in progress.states.items()
    )
    drawn = Table(title=f"sweep {progress.name}", title_justify="left", show_header=False)
    drawn.add_column(style="dim")
    drawn.add_column(overflow="fold")
    drawn.add_row("trials", states)
    drawn.add_row("best", Text(_best(progress)))
    drawn.add_row("budget", _budget(progress))
    drawn.add_row("time", _times(progress, since_s))
    if progress.control:
        drawn.add_row("rungs", Text(progress.control))
    drawn.add_row("last", Text(message))
    return drawn


_STYLES = {"COMPLETE": "green", "FAIL": "red", "RUNNING": "bold"}


def line(progress: "Progress", news: str) -> str:
    """The state of a sweep in one line, with `news` at its end."""
    ended = sum(progress.states.get(state, 0) for state in ENDED)
    running = progress.states.get("RUNNING", 0)
    parts = [
        f"{clock(progress.elapsed_s)}  {ended}/{progress.trials} trials ended, {running} running",
        f"best {_best(progress)}",
        _budget(progress),
        f"ETA {clock(progress.eta_s)}",
        " ".join(news.split()),
    ]
    return " | ".join(part for part in parts if part)


def clock(seconds: float | None) -> str:
    """1:05 or 2:03:04; `unknown` for None."""
    if seconds is None:
        return "unknown"
    minutes, left = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _best(progress: "Progress") -> str:
    if progress.best_trial is None or progress.best_value is None:
        return "none yet"
    return (
        f"{progress.metric} {progress.best_value:.4g} ({trial_name(progress.best_trial)}, epoch {progress.best_epoch})"
    )


def _budget(progress: "Progress") -> str:
    share = f" ({progress.epochs / progress.full_epochs:.0%})" if progress.full_epochs else ""
    limit = "" if progress.gpu_hours is None else f" of {progress.gpu_hours:g}"
    gpu = f", {progress.gpu_hours_used:.2f}{limit} GPU-hours" if limit or progress.gpu_hours_used else ""
    return f"{progress.epochs} of {progress.full_epochs} epochs{share}{gpu}"


def _times(progress: "Progress", since_s: float) -> str:
    eta = None if progress.eta_s is None else progress.eta_s - since_s
    limit = "" if progress.time_budget_s is None else f"   limit {clock(progress.time_budget_s)}"
    return f"{clock(progress.elapsed_s + since_s)}   ETA {clock(eta)}{limit}"
