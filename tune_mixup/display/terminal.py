"""A terminal: a line about what is being done, then a picture that is drawn over itself, and stays as it was last."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderableType
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
MESSAGES = 3
"""How many of the messages that were printed last are shown above the picture."""


class Picture(Watcher):
    """What was heard last, as rich draws it: the sweep's table, and before there is one what is being done."""

    def __init__(self, on_progress: Callable[[], None]) -> None:
        """`on_progress` is called at the first event."""
        super().__init__()
        self._newest: tuple[Progress, float, str] | None = None
        self._activity = IDLE
        self._on_progress = on_progress

    @override
    def __call__(self, progress: "Progress") -> None:
        kept, first = ("", True) if self._newest is None else (self._newest[2], False)
        self._newest = progress, time.monotonic(), progress.message or kept  # without words it leaves the last words
        if first:
            self._on_progress()

    @override
    def doing(self, activity: Activity) -> None:
        self._activity = activity

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
        try:
            lines = console.render_lines(self._draw(), options, pad=False)
        except Exception as fault:  # in a thread of rich's, whose end nobody would hear of
            lines = console.render_lines(Text(f"this can't be drawn ({short(fault)})"), options, pad=False)
        lines = [_without_end_blanks(line) for line in lines[: options.size.height]]
        self._lengths = [Segment.get_line_length(line) for line in lines]
        for number, line in enumerate(lines):
            yield from line
            if number < len(lines) - 1:
                yield Segment.line()

    def rows(self, width: int) -> int:
        """Rows that the lines take on a terminal of `width` columns, which breaks those that are longer."""
        return sum(max(1, -(-length // max(1, width))) for length in self._lengths)


class Line(Live):
    """A line or two below what is printed, on a terminal whose width may change; nothing of it stays.

    Terminals break lines that have become too long in two, and join them again. Rich goes up by the lines that it has
    drawn, and so would leave fragments behind.
    """

    def __init__(self, draw: Callable[[], RenderableType], console: Console) -> None:
        self._drawn = Lengths(draw)
        super().__init__(
            get_renderable=lambda: self._drawn, console=console, refresh_per_second=PER_SECOND, transient=True
        )

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


class Page(Live):
    """The terminal's other screen, as editors use it. In the end the first has all that was printed, and the picture.

    What is drawn over itself on the first screen leaves fragments when a terminal gets narrower: it breaks the lines in
    two, and some (tmux) move the upper ones to where no program reaches them.
    """

    def __init__(self, draw: Callable[[], RenderableType], console: Console) -> None:
        self._drawn = Lengths(draw)
        self._printed: list[ConsoleRenderable] = []
        super().__init__(get_renderable=self._whole, console=console, screen=True, refresh_per_second=PER_SECOND)

    @override
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What is printed is kept, for it would be drawn over."""
        self._printed += [one for one in renderables if not isinstance(one, Control)]
        return super().process_renderables([])

    @override
    def stop(self) -> None:
        """Does nothing before the start."""
        if self.is_started:
            super().stop()
            for printed in self._printed:
                self.console.print(printed)
            self.console.print(self._drawn)
            self.console.line()

    def _whole(self) -> RenderableType:
        return Group(*self._printed[-MESSAGES:], self._drawn)


def _without_end_blanks(line: list[Segment]) -> list[Segment]:
    """Blanks at the end of a line would count where a terminal breaks it."""
    kept = list(line)
    while kept and not kept[-1].text.rstrip():
        kept.pop()
    return [*kept[:-1], Segment(kept[-1].text.rstrip(), kept[-1].style)] if kept else []


@contextmanager
def live(stream: TextIO) -> Iterator[Watcher]:
    """A picture on the terminal `stream`; what is printed meanwhile stands above it.

    A sweep's table stays when the block ends; a line about what was being done goes.
    """
    console = Console(file=stream)
    with ExitStack() as first:

        def turn() -> None:
            first.close()
            page.start(refresh=True)

        picture = Picture(turn)
        page = Page(picture.draw, console)
        first.enter_context(Line(picture.draw, console))
        try:
            yield picture
        finally:
            page.stop()
