"""Tables that fit a screen: which columns are shown, how wide, and where their texts are broken into lines."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

HEAD = 13
"""Characters of a header's line, where there is room."""
MOST_OF_A_WORD = 24
"""A longer word of a text may be broken."""
LEAST_OF_A_TEXT = 16
"""Texts are not made narrower than this to spare another column."""
NARROWEST = 6
"""Nor than this at all."""
GAP = "  "
_PART = re.compile(r"[^._=/,-]*[._=/,-]+|[^._=/,-]+")
_NUMBERS = re.compile(r"(?:[-+0-9.e()%*, ]|inf|nan)*")


@dataclass(frozen=True)
class Column:
    """A header, which no other column has, and its cells, one line each. Numbers stand at the right, never broken."""

    head: str
    cells: tuple[str, ...]

    @cached_property
    def is_number(self) -> bool:
        """Whether all cells are numbers, or numbers with marks."""
        return all(_NUMBERS.fullmatch(cell) for cell in self.cells)

    @cached_property
    def widest(self) -> int:
        """Screen cells of the widest cell."""
        return max(map(cell_len, self.cells), default=0)

    @cached_property
    def natural(self) -> int:
        """Its width where there is room."""
        return max(self.widest, *map(cell_len, wrap(self.head, HEAD, tear=False)))

    @cached_property
    def tight(self) -> int:
        """Its width where there is little: headers are broken wherever they may be, texts between words."""
        head = max(map(cell_len, wrap(self.head, 1, tear=False)))
        if self.is_number:
            return max(head, self.widest)
        words = (cell_len(word) for cell in self.cells for word in cell.split())
        word = min(MOST_OF_A_WORD, max(words, default=0))
        return max(head, word, min(LEAST_OF_A_TEXT, self.widest))


class Drawn(NamedTuple):
    """A table as lines, and the columns that there was no room for."""

    lines: list[str]
    left_out: list[Column]


def draw(columns: Sequence[Column], width: int | None, giving_up: Sequence[str] = ()) -> Drawn:
    """The columns beside each other in at most `width` screen cells; None: as wide as they are.

    The columns whose headers `giving_up` names are left out in that order, as far as they must be. Where what must stay
    is still too wide its texts are broken, inside of words too, and numbers stick out in the end.
    """
    gone: list[str] = []
    for head in giving_up:
        if _fits(_without(columns, gone), width):
            break
        gone.append(head)
    for head in reversed(gone):  # a narrow one may fit where a wide one did not
        rest = [other for other in gone if other != head]
        if _fits(_without(columns, rest), width):
            gone = rest
    shown = _without(columns, gone)
    widths = _widths(shown, width)
    lines = [*_row([wrap(one.head, w, tear=False) for one, w in zip(shown, widths, strict=True)], shown, widths)]
    lines.append(GAP.join("-" * w for w in widths))
    for cells in zip(*(one.cells for one in shown), strict=True):
        lines += _row([wrap(cell, w) for cell, w in zip(cells, widths, strict=True)], shown, widths)
    return Drawn(lines, [one for one in columns if one.head in gone])


def wrap(text: str, width: int, *, tear: bool = True) -> list[str]:
    """A text in lines of at most `width` screen cells: between words, else behind punctuation, else anywhere.

    With `tear=False` only between words and behind punctuation; what then is still too long sticks out.
    """
    lines = [""]
    for word in text.split(" "):
        for place, part in enumerate(_parts(word, width, tear)):
            joint = "" if place or not lines[-1] else " "
            if lines[-1] and cell_len(lines[-1]) + len(joint) + cell_len(part) > width:
                lines.append(part)
            else:
                lines[-1] += joint + part
    return lines


def filled(text: str, width: int | None) -> str:
    """Lines of prose broken to a width; what a line is indented by, the lines made of it are indented by two more."""
    if width is None:
        return text
    return "\n".join(line for one in text.split("\n") for line in _filled(one, width))


def hung(lead: str, text: str, width: int | None) -> Iterator[str]:
    """Lines of a text behind what leads to it, each beginning where the first does, if that leaves room for words."""
    words = text.lstrip(" ")
    lead += " " * (len(text) - len(words))
    if width is None or cell_len(lead) + cell_len(words) <= width:
        yield f"{lead}{words}".rstrip()
    elif width - cell_len(lead) < MOST_OF_A_WORD:
        yield from _filled(f"{lead}{words}", width)
    else:
        for place, line in enumerate(wrap(words, width - cell_len(lead))):
            yield f"{' ' * cell_len(lead) if place else lead}{line}".rstrip()


def same_in_all(columns: Sequence[Column]) -> Mapping[str, str]:
    """The header and the cell of each column that says the same in all of several rows."""
    return {one.head: one.cells[0] for one in columns if len(one.cells) > 1 and len(set(one.cells)) == 1}


def _filled(line: str, width: int) -> Iterator[str]:
    words = line.lstrip(" ")
    indent = " " * min(len(line) - len(words), width // 2)
    hanging = indent + "  " if indent else ""
    first, *rest = wrap(words, max(1, width - len(indent)))
    yield indent + first
    if rest:
        yield from (hanging + one for one in wrap(" ".join(rest), max(1, width - len(hanging))))


def _parts(word: str, width: int, tear: bool) -> Iterator[str]:
    if cell_len(word) <= width:
        yield word
        return
    for part in _PART.findall(word):
        yield from chop_cells(part, width) if tear and cell_len(part) > width else [part]


def _without(columns: Sequence[Column], heads: Sequence[str]) -> list[Column]:
    return [one for one in columns if one.head not in heads]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _fits(columns: Sequence[Column], width: int | None) -> bool:
    return width is None or _total([one.tight for one in columns]) <= width


def _widths(columns: Sequence[Column], width: int | None) -> list[int]:
    """Natural widths; as far as they are too much, first headers of numbers give way, then texts."""
    widths = [one.natural for one in columns]
    least = [one.tight for one in columns]
    if width is None:
        return widths
    if _total(least) > width:
        least = [one.tight if one.is_number else min(one.tight, NARROWEST) for one in columns]
    numbers = [place for place, one in enumerate(columns) if one.is_number]
    texts = [place for place, one in enumerate(columns) if not one.is_number]
    for places in (numbers, texts):
        while places and _total(widths) > width:
            place = max(places, key=lambda place: widths[place] - least[place])
            if widths[place] <= least[place]:
                break
            widths[place] -= 1
    return widths


def _row(cells: Sequence[list[str]], columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
    for line in range(max(map(len, cells), default=0)):
        parts = [cell[line] if line < len(cell) else "" for cell in cells]
        yield GAP.join(_pad(*one) for one in zip(parts, columns, widths, strict=True)).rstrip()


def _pad(text: str, column: Column, width: int) -> str:
    space = " " * max(0, width - cell_len(text))
    return space + text if column.is_number else text + space
