"""The live table: what a sweep shows on a terminal, at any width."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tune_mixup.activity import IDLE, Activity
from tune_mixup.display import texts

if TYPE_CHECKING:
    from tune_mixup.search.standing import Progress

NARROW = 50
"""Columns below which labels stand on lines of their own."""
GAP = "   "
_STYLES = {"COMPLETE": "green", "FAIL": "red", "RUNNING": "bold"}


@dataclass(frozen=True)
class table:
    """The state of a sweep as it was `since_s` seconds ago, with its clocks carried on; rich draws it."""

    progress: "Progress"
    message: str
    """The last words of an event."""
    since_s: float
    activity: Activity = IDLE

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """As wide as there is room for."""
        title = f"sweep {self.progress.name}"
        if options.max_width >= NARROW:
            # without a frame, whose long lines a terminal that becomes narrow would break into more than its height
            drawn = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 1))
            drawn.add_column(style="dim")
            drawn.add_column(overflow="fold")
            for label, text in self.rows(options.max_width - 11):
                drawn.add_row(label, text)
            yield drawn
        else:
            yield Text(title, style="bold")
            for label, text in self.rows(options.max_width - 1):
                if text:
                    yield Text(label, style="dim")
                    yield Padding(text, (0, 0, 0, 1))

    def rows(self, width: int) -> Iterator[tuple[str, Text]]:
        """Label and text of each row; what must not break stands on one line where `width` columns are enough.

        The trials that run come last: a terminal of few lines shows what is above.
        """
        progress = self.progress
        states = [
            Text(f"{count} {state}", style=_STYLES.get(state, "") if count else "dim")
            for state, count in progress.states.items()
        ]
        yield "trials", flowed(states, width)
        yield "best", Text(texts.best(progress))
        yield "budget", Text(texts.budget(progress))
        yield "time", flowed([Text(part) for part in texts.times(progress, self.since_s)], width)
        if progress.finals:
            yield "finals", Text(progress.finals)
        if progress.control:
            yield "rungs", Text(progress.control)
        if self.activity.what:
            yield "now", Text(self.activity.words())
        yield "last", Text(self.message)
        if progress.running:
            yield "running", Text("\n").join(Text(texts.running(one)) for one in progress.running)


def flowed(pieces: Sequence[Text], width: int) -> Text:
    """The pieces beside each other, and below where `width` columns are not enough; none is broken in two."""
    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + len(GAP) + piece.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], GAP, piece)
        else:
            lines.append(piece)
    return Text("\n").join(lines)
