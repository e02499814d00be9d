"""The file behind a study: one line per operation, only ever appended to, and mended where a power cut tore its end.

Optuna replays the lines when it opens the study. Its own file backend does the same work, but leaves its lock behind
when a process is killed, takes a torn last line followed by a new one for the end of the world, waits for the disk
after every report, and does not see when a line has changed or is missing.
"""

import contextlib
import errno
import os
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from optuna.storages.journal import BaseJournalBackend
from typing_extensions import override

from tune_mixup.locks import Lock
from tune_mixup.optuna_internals import JournalOperation
from tune_mixup.record.files import storage, write_atomically
from tune_mixup.record.lines import Line, opened, said, seal

_OPERATION = re.compile(rb'"op_code":\s*(\d+)')


class _Place(NamedTuple):
    """A point between two lines of a journal."""

    number: int = 0
    """Lines before it."""
    position: int = 0
    """Bytes before it."""
    crc: int = 0
    """Of the lines before it."""
    sealed: bool = False
    """Whether one of them has a checksum, as all later ones then have."""


class Journal(BaseJournalBackend):
    """A journal at `path`; the lock beside it is released by the system when its process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock(path.with_name(f"{path.name}.lock"))
        self._read = _Place()
        """Up to where it was read."""

    @override
    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The operations from number `log_number_from` on; what a torn last line holds is left out.

        Raises ValueError when more than the end of a write is damaged or missing, and StorageFault when the file can't
        be read.
        """
        start = self._read if self._read.number == log_number_from else _Place()
        with storage(self.path):
            if os.stat(self.path).st_size <= start.position:  # Optuna asks before nearly each of its operations
                return
            with open(self.path, "rb") as file:
                file.seek(start.position)
                lines = file.read().split(b"\n")[:-1]
        end = _end(lines, start)
        num = end.number - start.number
        _check_tail(self.path, lines[num:], end)  # first: Optuna acts on what it is given
        self._read = end
        for line in lines[log_number_from - start.number : num]:  # one by one: all at once take more memory and time
            yield said(line)

    @override
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add operations, whole or not at all. Raises StorageFault when the disk is full, read-only or gone.

        They are on the disk on return, but for reports: one that a power cut takes comes back from its trial's folder,
        or is trained again with the same numbers.
        """
        only_reports = all(log["op_code"] == JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE for log in logs)
        with storage(self.path), self._lock, open(self.path, "ab", buffering=0) as file:
            before = file.tell()
            crc, content = self._crc_at(before), b""
            for log in logs:
                line, crc = seal(log, before=crc)
                content += line
            try:
                if file.write(content) < len(content):
                    raise OSError(errno.ENOSPC, "No space left on device")
                if not only_reports:
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):  # the fault above is the one to hear of
                    file.truncate(before)
                raise

    def _crc_at(self, size: int) -> int:
        """The checksum of all lines, of which others may have added some since this object has read."""
        if self._read.position != size:
            for _ in self.read_logs(self._read.number):
                pass
        return self._read.crc


class Cut(NamedTuple):
    """What `repair` has taken from the end of a journal."""

    kept: Path
    """The file that has it now."""
    lines: tuple[str, ...]
    """What whole lines it held, each in words; empty for the torn end of a write."""


def repair(path: Path) -> Cut | None:
    """Cut off what a crash has torn at the end; None when all was whole.

    Nobody else may be writing. Raises ValueError when more than the end of a write is damaged or missing: when whole
    lines follow, when a line was whole once and said something else than an epoch's value, which can be had from the
    trial's folder, and when a line before is missing. Nothing is changed then.
    """
    with storage(path):
        content = path.read_bytes()
    *lines, rest = content.split(b"\n")
    end = _end(lines, _Place())
    tail = lines[end.number :]
    _check_tail(path, tail, end)
    if not content[end.position :]:
        return None
    with storage(path):
        for line in () if tail else (rest, rest[:-1]):  # only the line's end is missing, or is another byte
            if list(_whole([line], end)):
                with open(path, "r+b") as file:
                    file.seek(end.position + len(line))
                    file.write(b"\n")
                return None
        kept = path.with_name(f"{path.name}.torn-{end.position}")
        write_atomically(kept, lambda file: file.write(content[end.position :]))  # before it is cut off
        os.truncate(path, end.position)
    return Cut(kept, tuple(_words(line) for line in tail if _was_whole(line)))


def _whole(lines: Sequence[bytes], start: _Place) -> Iterator[_Place]:
    """The place behind each operation, up to the first line that is damaged or not the next one."""
    place = start
    for content in lines:
        line = opened(content, before=place.crc)
        if not _is_operation(line) or not line.follows or (place.sealed and not line.sealed):
            return
        place = _Place(place.number + 1, place.position + len(content) + 1, line.crc, line.sealed)
        yield place


def _end(lines: Sequence[bytes], start: _Place) -> _Place:
    """The place behind the last of these operations."""
    return max(_whole(lines, start), default=start)


def _check_tail(path: Path, lines: Sequence[bytes], end: _Place) -> None:
    """Raise ValueError when lines that are not whole, or do not follow, were more than the end of a write."""
    first = end.number + 1
    for index, content in enumerate(lines):
        if _is_operation(line := opened(content, before=end.crc)) and index:
            what = f"line {first} is damaged and whole lines follow it"
        elif _is_operation(line) and not line.follows:
            what = f"a line before line {first} is missing"
        elif _was_whole(content) and _codes(content) != {JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE}:
            what = f"line {first + index} was changed since it was written ({_words(content)})"
        else:
            continue
        raise ValueError(
            f"{path}: {what}, so more is lost than the end of a write; restore the file from a copy, or cut it before "
            f"line {first} if you can do without what follows"
        )


def _is_operation(line: Line) -> bool:
    if line.sealed:  # as it was written, then, and to look for the key takes a fraction of the time of parsing
        return line.content is not None and _OPERATION.search(line.content) is not None
    values = line.values
    return values is not None and isinstance(values.get("op_code"), int)


def _was_whole(content: bytes) -> bool:
    """Whether a damaged line was written to its end: it still ends with a checksum, or like an operation."""
    line = opened(content)
    return line.sealed or _is_operation(line)


def _codes(content: bytes) -> set[int]:
    """The operations that a damaged line still names; of two lines, where the break between them is gone."""
    return {int(code) for code in _OPERATION.findall(content)}


def _words(content: bytes) -> str:
    """What a damaged line was, as far as it still says."""
    known = [code.name.lower().replace("_", " ") for code in JournalOperation if code in _codes(content)]
    return " and ".join(known) or "it no longer says what it was"
