"""Files that are written whole or not at all, under names that nobody can foresee while they are unfinished.

A folder may be shared: who can foresee the name of an unfinished file could put a link there beforehand, and have
another file overwritten through it.
"""

import contextlib
import errno
import glob
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""What file systems say that can't sync a folder (network, FUSE), and folders that may be written but not read."""


def unfinished(path: Path) -> Path:
    """A name beside `path` for what will replace it: hidden, ends with .tmp, and different each time."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def create(path: Path) -> BinaryIO:
    """A new file, opened for writing. Raises FileExistsError when anything is at `path`, be it a link to nowhere."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that readers, crashes and power cuts leave the old content or the new, never a part.

    On return the content and its name are on the disk. A link at `path` is replaced, and not followed. Raises OSError,
    and what `write` raises; the old content is then still there.
    """
    new = unfinished(path)
    try:
        with create(new) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the fault above is the one to hear of
            new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_unfinished(path: Path) -> None:
    """Delete what killed processes left of `replace(path, ...)`. Nobody else may be writing there meanwhile."""
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        remains.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk: without that, a power cut may bring back what a file was before."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(opened)
