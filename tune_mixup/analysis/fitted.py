"""A table within a terminal: columns that say nothing or are wanted least go first, and what went is said below."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from tune_mixup.analysis.fitting import Column, draw, filled, same_in_all


def fitted(columns: Sequence[Column], width: int | None, giving_up: Sequence[str] = (), note: str = "") -> str:
    """The columns beside each other in `width` screen cells, with `note` below them; None: complete.

    Where there is no room, columns named in `giving_up` go: first those that say the same in all rows, then in that
    order.
    """
    heads = [one.head for one in columns]
    spare = [name for name in giving_up if name in heads]
    same = [name for name in same_in_all(columns) if name in spare]
    drawn = draw(columns, width, [*same, *(name for name in spare if name not in same)])
    notes = [*_left_out(drawn.left_out), *([note] if note else [])]
    return "\n".join([*drawn.lines, *([""] if notes else []), *(filled(one, width) for one in notes)])


def chosen(names: Sequence[str], text: str) -> list[str]:
    """The columns that a person lists with commas. Raises ValueError for one that is not among `names`, or twice."""
    found = [name.strip() for name in text.split(",")]
    for place, name in enumerate(found):
        if name in found[:place]:
            raise ValueError(f"--columns: {name} is given twice; keep one of the two")
        if name not in names:
            near = get_close_matches(name, names, n=1, cutoff=0.5)
            meant = f"did you mean {near[0]}? There are " if near else "must be of "
            raise ValueError(f"--columns: got {name[:80]!r}, {meant}{', '.join(names)}")
    return found


def _left_out(columns: Sequence[Column]) -> Iterator[str]:
    """What is said below a table of the columns that are not in it."""
    same = same_in_all(columns)
    if same:
        yield "The same in every row: " + ", ".join(f"{head} {cell}" for head, cell in same.items()) + "."
    gone = [one.head for one in columns if one.head not in same]
    if gone:
        yield f"No room for {', '.join(gone)}: --wide shows all columns, --columns a,b,c those that you want."
