"""The file behind a study: one line per operation, only ever appended to, and mended where a power cut tore its end.

Optuna replays the lines when it opens the study. Its own file backend does the same work, but leaves its lock behind
when a process is killed, takes a torn last line followed by a new one for the end of the world, and waits for the disk
after every report.
"""

import contextlib
import errno
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages.journal import BaseJournalBackend
from typing_extensions import override

from tune_mixup.optuna_internals import JournalOperation
from tune_mixup.record.files import storage


class Journal(BaseJournalBackend):
    """A journal at `path`; the lock beside it is released by the system when its process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        self._read = (0, 0)
        """How many lines were read so far, and where the next one begins."""

    @override
    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The operations from number `log_number_from` on; what a torn last line holds is left out.

        Raises ValueError when a damaged line is followed by whole ones, and StorageFault when the file can't be read.
        """
        number, position = self._read if self._read[0] == log_number_from else (0, 0)
        with storage(self.path), open(self.path, "rb") as file:
            file.seek(position)
            lines = file.read().split(b"\n")[:-1]
        for place, line in enumerate(lines):
            operation = _parse(line)
            if operation is None:
                if any(_parse(later) is not None for later in lines[place + 1 :]):
                    raise ValueError(_damaged(self.path, number + 1))
                return
            number, position = number + 1, position + len(line) + 1
            self._read = (number, position)
            if number > log_number_from:
                yield operation

    @override
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add operations, whole or not at all. Raises StorageFault when the disk is full, read-only or gone.

        They are on the disk on return, but for reports: one that a power cut takes comes back from its trial's folder,
        or is trained again with the same numbers.
        """
        content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        only_reports = all(log["op_code"] == JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE for log in logs)
        with storage(self.path), self._lock, open(self.path, "ab", buffering=0) as file:
            before = file.tell()
            try:
                if file.write(content) < len(content):
                    raise OSError(errno.ENOSPC, "No space left on device")
                if not only_reports:
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):  # the fault above is the one to hear of
                    file.truncate(before)
                raise


def repair(path: Path) -> Path | None:
    """Cut off a last line that a crash has torn; returns the file that keeps what was cut, None when all was whole.

    Nobody else may be writing. Raises ValueError when a damaged line is followed by whole ones: then more is lost than
    a torn end, and nothing is changed.
    """
    with storage(path):
        content = path.read_bytes()
    whole, damaged_line = 0, None
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        if _parse(line) is None:
            damaged_line = damaged_line or number
        elif damaged_line is not None:
            raise ValueError(_damaged(path, damaged_line))
        else:
            whole += len(line) + 1
    torn = content[whole:]
    if not torn:
        return None
    kept = path.with_name(f"{path.name}.torn-{whole}")
    with storage(path):
        if damaged_line is None and _parse(torn) is not None:  # only the end of the line is missing
            with open(path, "ab") as file:
                file.write(b"\n")
            return None
        kept.write_bytes(torn)
        os.truncate(path, whole)
    return kept


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        operation = json.loads(line)
    except ValueError:
        return None
    return operation if isinstance(operation, dict) and "op_code" in operation else None


def _damaged(path: Path, line: int) -> str:
    return (
        f"{path}: line {line} is damaged and whole lines follow it, so more is lost than the end of a write; restore "
        "the file from a copy, or move that line elsewhere if you know what it said"
    )
