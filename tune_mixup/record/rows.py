"""Files of rows: a line of JSON each, with a checksum, so that a damaged one costs itself and no other."""

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from tune_mixup.record.files import storage, write_atomically
from tune_mixup.record.lines import is_whole, opened, seal

Row = dict[str, Any]


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row. Raises StorageFault when that can't be written. It is on the disk once somebody syncs the file."""
    line, _ = seal(row)
    with storage(path), open(path, "ab") as file:
        file.write(line)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace all rows."""
    content = b"".join(seal(row)[0] for row in rows)
    write_atomically(path, lambda file: file.write(content))


def read_rows(path: Path, *, numbers: Collection[str]) -> list[Row]:
    """The rows that are as they were written and have a finite number under each key of `numbers`; [] without a file.

    A last line without its end is left out: it may still be being written.
    """
    if not path.exists():
        return []
    with storage(path):
        lines = path.read_bytes().split(b"\n")[:-1]
    rows = [opened(line).values for line in lines]
    return [row for row in rows if row is not None and all(_is_number(row.get(key)) for key in numbers)]


def count_rows(path: Path) -> int | None:
    """How many rows there are, all of them as they were written; None where one is not, or has no checksum.

    What they say is not looked at, which takes a fraction of the time.
    """
    if not path.exists():
        return 0
    with storage(path):
        *lines, rest = path.read_bytes().split(b"\n")
    return None if rest or not all(map(is_whole, lines)) else len(lines)


def end_last_row(path: Path) -> None:
    """Give a last line that a crash has torn its end, so that the next row begins a line of its own."""
    with storage(path):
        if not path.exists() or not (content := path.read_bytes()) or content.endswith(b"\n"):
            return
        with open(path, "ab") as file:
            file.write(b"\n")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
