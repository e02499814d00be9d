"""A terminal: one picture that is drawn over itself a few times a second, and stays as it was last."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text
from typing_extensions import override

from tune_mixup.activity import IDLE, Activity
from tune_mixup.display.table import table
from tune_mixup.display.texts import clock
from tune_mixup.display.watcher import Watcher
from tune_mixup.words import short

if TYPE_CHECKING:
    from tune_mixup.search.standing import Progress

PER_SECOND = 4


class Picture(Watcher):
    """What was heard last, as rich draws it: the sweep's table, and before there is one what is being done."""

    def __init__(self) -> None:
        super().__init__()
        self._newest: tuple[Progress, float, str] | None = None
        self._activity = IDLE

    @override
    def __call__(self, progress: "Progress") -> None:
        kept = self._newest[2] if self._newest is not None else ""  # an event without words leaves the last words
        self._newest = progress, time.monotonic(), progress.message or kept

    @override
    def doing(self, activity: Activity) -> None:
        self._activity = activity

    @property
    def has_progress(self) -> bool:
        """Whether it is more than a line about what is being done."""
        return self._newest is not None

    def draw(self) -> RenderableType:
        """How it stands now."""
        if self._newest is None:
            return Text(f"{clock(time.monotonic() - self.began)}  {self._activity.words()}".rstrip())
        progress, heard, message = self._newest
        return table(progress, message, since_s=time.monotonic() - heard, activity=self._activity)


class Lengths:
    """Draws something without blanks at the ends of lines, and knows how long the lines were."""

    def __init__(self, draw: Callable[[], RenderableType]) -> None:
        self._draw = draw
        self._lengths: list[int] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """At most as many lines as the terminal has."""
        lines = self.lines(console, options)
        self._lengths = [Segment.get_line_length(line) for line in lines]
        for number, line in enumerate(lines):
            yield from line
            if number < len(lines) - 1:
                yield Segment.line()

    def lines(self, console: Console, options: ConsoleOptions) -> list[list[Segment]]:
        """What is to be seen now."""
        try:
            lines = console.render_lines(self._draw(), options, pad=False)
        except Exception as fault:  # in a thread of rich's, whose end nobody would hear of
            lines = console.render_lines(Text(f"this can't be drawn ({short(fault)})"), options, pad=False)
        return [_without_end_blanks(line) for line in lines[: options.size.height]]

    def rows(self, width: int) -> int:
        """Rows that the lines take on a terminal of `width` columns, which breaks those that are longer."""
        return sum(max(1, -(-length // max(1, width))) for length in self._lengths)


class Screen(Live):
    """Rich's live display, on a terminal whose width may change.

    Terminals break lines that have become too long in two, and join them again. Rich goes up by the lines that it has
    drawn, and so would leave fragments behind.
    """

    def __init__(self, draw: Callable[[], RenderableType], stream: TextIO) -> None:
        self._drawn = Lengths(draw)
        self._seen: object = None
        super().__init__(
            get_renderable=lambda: self._drawn, console=Console(file=stream), refresh_per_second=PER_SECOND
        )

    @override
    def refresh(self) -> None:
        """Draw what is not to be seen yet.

        A terminal's program may tell of a new width only a while after it has broken the lines (tmux: a quarter of a
        second), and what is drawn in between leaves fragments: so nothing is drawn that changes nothing.
        """
        now = self.console.size, self._drawn.lines(self.console, self.console.options)
        if now != self._seen:
            self._seen = now
            super().refresh()

    @override
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """The picture as it was drawn last is wiped away first."""
        first, *others = super().process_renderables(renderables)
        return [self._wipe() if isinstance(first, Control) else first, *others]

    def _wipe(self) -> Control:
        rows = self._drawn.rows(self.console.width)
        if not rows:
            return Control()
        up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * (rows - 1)
        return Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up)


def _without_end_blanks(line: list[Segment]) -> list[Segment]:
    """Blanks at the end of a line would count where a terminal breaks it."""
    kept = list(line)
    while kept and not kept[-1].text.rstrip():
        kept.pop()
    return [*kept[:-1], Segment(kept[-1].text.rstrip(), kept[-1].style)] if kept else []


@contextmanager
def live(stream: TextIO) -> Iterator[Watcher]:
    """A picture on the terminal `stream`; what is printed meanwhile goes above it.

    A sweep's table stays when the block ends; a line about what was being done goes.
    """
    picture = Picture()
    with Screen(picture.draw, stream) as screen:
        try:
            yield picture
        finally:
            screen.transient = not picture.has_progress
