"""Data sets that are downloaded on first use: once, however many workers start together."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError
from typing import TypeVar

from tune_mixup.activity import doing
from tune_mixup.locks import Lock
from tune_mixup.words import one_line, text_of

Opened = TypeVar("Opened")


def open_or_download(
    root: Path, name: str, *, open_files: Callable[[], Opened | None], download: Callable[[], None], expected: str
) -> Opened:
    """What `open_files` gives, after `download` where it gives None because files are missing.

    A lock file in `root` lets one process download while the others wait; `root` need not be writable when the files
    are there. `expected` says which files belong where, for the one-line ValueError when the download fails.
    """
    opened = open_files()
    if opened is not None:
        return opened
    try:
        root.mkdir(parents=True, exist_ok=True)
        with Lock(root / f".{name}.lock"):
            opened = open_files()
            if opened is None:
                with doing(f"downloading {name}"):
                    download()
                opened = open_files()
    except (OSError, RuntimeError, EOFError, HTTPException, TarError) as error:
        raise ValueError(_explain(root, name, expected, text_of(error) or type(error).__name__)) from error
    if opened is None:
        raise ValueError(_explain(root, name, expected, "what came is not complete"))
    return opened


@contextlib.contextmanager
def beside(root: Path, name: str) -> Iterator[Path]:
    """A new folder in `root` for a download, whose name nobody can foresee, deleted when the block ends.

    What killed downloads have left is deleted first; nobody else may be downloading meanwhile.
    """
    for remains in root.glob(f".{name}.*partial"):
        if not remains.is_symlink() and remains.stat().st_uid == os.getuid():
            shutil.rmtree(remains, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".partial", dir=root) as folder:
        yield Path(folder)


def _explain(root: Path, name: str, expected: str, reason: str) -> str:
    return (
        f"{name} is not in {root} and can't be downloaded ({one_line(reason, 200)}); put {expected} there,"
        " or set data.root (or TUNE_MIXUP_DATA) to a folder that has it"
    )
