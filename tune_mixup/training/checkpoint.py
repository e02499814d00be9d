"""A trial's saved state: written whole or not at all, with the one before kept until the next is whole."""

import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from tune_mixup.record.files import storage, write_atomically
from tune_mixup.writing import sync_folder

UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    OverflowError,
    NotImplementedError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the readers of archives and pickles raise for content that is damaged."""


def files(path: Path) -> list[Path]:
    """Every file that saving to `path` may have left: the newest state, the one before, one unfinished, one damaged."""
    return [path, *(_beside(path, word) for word in ("previous", "next", "damaged"))]


def save(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values to `path`; the file that was there becomes the previous one.

    Raises StorageFault when the disk is full, read-only or gone; what was saved before is then still whole.
    """
    fresh = _beside(path, "next")
    write_atomically(fresh, lambda file: _dump(state, file))
    with storage(path):
        if path.exists():
            os.replace(path, _beside(path, "previous"))
        os.replace(fresh, path)
        sync_folder(path.parent)


def load(
    path: Path,
    on_damage: Callable[[Path], object] = lambda path: None,
    is_ours: Callable[[Any], bool] = lambda state: True,
) -> dict[str, Any] | None:
    """The newest whole state at `path`, on the CPU; None when there is none: training then starts from the first epoch.

    A file that is truncated, damaged or not one of ours is moved aside, so that saving never replaces a whole one by
    it, `on_damage` is told, and the one before is tried. Raises StorageFault when a file can't be read at all: then it
    may yet be whole.
    """
    unmoved = _beside(path, "next")
    for candidate in _candidates(path):
        try:
            state = _read(candidate)
            if state is None:
                continue
            if is_ours(state):
                if candidate == unmoved:  # the last step of its save, for whoever keeps the newest only
                    with storage(path):
                        os.replace(unmoved, path)
                return state
        except _Damaged:
            pass
        with storage(candidate):
            os.replace(candidate, _beside(path, "damaged"))
        on_damage(candidate)
    return None


def peek(path: Path) -> tuple[dict[str, Any] | None, list[Path]]:
    """The state that `load` would give, and the damaged files that were passed over for it; none of them is touched.

    For those who do not train: they may look while another process saves. Raises StorageFault like `load`.
    """
    damaged = []
    for candidate in _candidates(path):
        try:
            state = _read(candidate)
        except _Damaged:
            damaged.append(candidate)
            continue
        if state is not None:
            return state, damaged
    return None, damaged


def keep_newest(path: Path) -> None:
    """Delete all but the newest state, as befits a trial that has ended."""
    with storage(path):
        for other in files(path)[1:]:
            other.unlink(missing_ok=True)


def _beside(path: Path, word: str) -> Path:
    return path.with_name(f"{path.stem}.{word}{path.suffix}")


def _candidates(path: Path) -> tuple[Path, ...]:
    """Where a whole state may be, the newest first; between the two steps of a save it is beside its place."""
    return path, _beside(path, "next"), _beside(path, "previous")


class _Damaged(Exception):
    """A file of a state is truncated, has another content than was written, or is no such file at all."""


def _read(path: Path) -> dict[str, Any] | None:
    """The state in a file, on the CPU; None where there is no file. Raises _Damaged, and StorageFault."""
    with storage(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:  # torch reads tensors without a look at their checksums
                raise _Damaged
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UNREADABLE:
        raise _Damaged from None
    return state


class _Writer:
    """Keeps the error of a write, for which torch raises another that does not say what the disk said."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, part: Any) -> int:
        try:
            return self.file.write(part)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def _dump(state: dict[str, Any], file: BinaryIO) -> None:
    writer = _Writer(file)
    try:
        torch.save(state, writer)  # type: ignore[arg-type]
    except RuntimeError:
        if writer.error is None:
            raise
        raise writer.error from None
