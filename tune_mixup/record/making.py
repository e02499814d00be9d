"""A folder that is made beside its place under a name that nobody can foresee, and moved there when it is whole."""

import contextlib
import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tune_mixup.locks import Held, Lock
from tune_mixup.writing import sync_folder

_FRESH_S = 60.0
"""A folder that is younger than this may be one that its maker is about to lock."""


@contextlib.contextmanager
def made_beside(path: Path) -> Iterator[Path]:
    """The folder that becomes `path` when the block ends, and is deleted when the block raises.

    What killed processes left of making the same is deleted first. Raises OSError when `path` is taken.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_up(path)
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}.making")
    made.mkdir()  # raises when it is there, be it a link
    try:
        with _lock(made) as held:
            held.acquire(0)
            yield made
            os.rename(made, path)
            sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _sweep_up(path: Path) -> None:
    """Delete the unfinished folders of processes that have died; the system has released their locks."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.making"):
        with contextlib.suppress(OSError, Held):  # its maker is at work, or it is another user's
            found = left.lstat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > _FRESH_S and not left.is_symlink():
                with _lock(left) as held:
                    held.acquire(0)
                    shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[Lock]:
    lock = Lock(folder / "lock", folder=True)
    try:
        yield lock
    finally:
        lock.release()
