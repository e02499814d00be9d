"""Files that a crash leaves old or new, never half; and the fault of a storage that can't be written or read."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from tune_mixup.writing import replace


class StorageFault(OSError):
    """A folder that is worked in can't be written or read: the disk is full, read-only, failing or gone.

    It says nothing about the trial: what was saved before is whole, and the work can go on when the folder is back.
    """


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
    """Raise a StorageFault that names `path` for any OSError in the block."""
    try:
        yield
    except StorageFault:
        raise
    except OSError as error:
        raise StorageFault(error.errno, error.strerror or str(error), str(path)) from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that readers, crashes and power cuts see the old content or the new, never a part.

    The folder must exist: one that has vanished under a running sweep must not be made again elsewhere. Raises
    StorageFault when the disk is full, read-only or gone; the old content is then still there.
    """
    with storage(path):
        replace(path, write)


def sync(path: Path) -> None:
    """Have a file's content on the disk, whichever process of this host has written it; one that is not there may be.

    Raises OSError when the disk fails.
    """
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        os.fsync(file.fileno())
