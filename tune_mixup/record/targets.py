"""What a command may write to where a person names a file or a folder: never what belongs to a sweep.

All of these are decided by where the path really leads, with links followed. Whatever is refused is refused before
anything is written, folders included. Whether a folder can be written to at all is tried, by an empty folder that is
made in it and removed at once: permissions do not tell of read-only and full disks, nor of /proc.
"""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tune_mixup.record.files import write_atomically
from tune_mixup.record.names import EVALUATIONS, SWEEP, is_sweep
from tune_mixup.record.trial_folder import TrialFolder

MARKS = (SWEEP, "study.journal", "trials")
"""What lies in a sweep's folder. Two of them tell it: one may be lost, and other programs have a sweep.yaml too."""

TRIED = ".tm-"
"""What the name begins with of a folder by which it is tried whether something can be made."""


def check_file(to: Path | str, *, overwrite: bool) -> Path:
    """The file that `to` leads to, which may be written. Raises ValueError in one line where it may not.

    It must lie outside of every sweep, and be a file or nothing yet; a file only with `overwrite`.
    """
    path = _resolved(to)
    mode = _mode(Path(to))
    if mode is not None and stat.S_ISDIR(mode):
        raise ValueError(f"{to} is a folder, must be a file; name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        raise ValueError(f"{to} is a pipe or a device, must be a file; give another path")
    check_inside_no_sweep(to, path)
    if mode is not None and not overwrite:
        raise ValueError(f"{to} exists; give another path, or --force (in Python: overwrite=True) to replace it")
    _refuse_unwritable(to, path.parent)
    return path


def write_file(to: Path | str, write: Callable[[BinaryIO], object], *, overwrite: bool) -> None:
    """Write the file whole or not at all, with the folders that are missing. Raises as `check_file` does, and OSError.

    An existing file stays as it is until the new one is whole.
    """
    path = check_file(to, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)


def check_trial(out: Path | str) -> None:
    """Raise ValueError unless a trial may be kept in the folder `out`, which may be new, empty or hold a trial.

    The trials of a sweep are the sweep's own.
    """
    path = _resolved(out)
    check_inside_no_sweep(out, path)
    _refuse_unwritable(out, path)
    if path.is_dir() and not TrialFolder(path).config.exists():
        others = sorted(name for name in os.listdir(path) if not name.startswith("."))
        if others:
            raise ValueError(f"{out} holds {others[0]} and is no trial's folder; give a new or an empty one")


def check_root(root: Path | str) -> None:
    """Raise ValueError unless sweeps can be made in the folder `root`: not in a sweep, and not below a file.

    Only a sweep's `evaluations` may hold sweeps: those that retrain its settings.
    """
    path = _resolved(root)
    if not (path.name == EVALUATIONS and is_sweep(path.parent)):
        check_inside_no_sweep(root, path)
    _refuse_unwritable(root, path)


def _resolved(path: Path | str) -> Path:
    if not str(path):
        raise ValueError("got an empty path; give one, and . for the current folder")
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} leads nowhere ({error}); give another path") from None


def _mode(path: Path) -> int | None:
    """What is at a path, links followed; None where nothing is. A link that leads nowhere counts as a file."""
    try:
        return path.expanduser().stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return stat.S_IFREG if path.expanduser().is_symlink() else None


def check_inside_no_sweep(given: Path | str, path: Path) -> None:
    """Raise ValueError where `path`, to which the path `given` leads, is a sweep's folder or in one."""
    for folder in (path, *path.parents):
        if sum(os.path.exists(folder / mark) for mark in MARKS) > 1:  # False where it may not be looked at
            raise ValueError(f"{given} lies in the sweep {folder}, whose files are its own; give a path outside of it")


def _refuse_unwritable(given: Path | str, folder: Path) -> None:
    """Raise ValueError where nothing can be made in `folder`, or, where it is not there, in what it will lie in."""
    above = folder
    try:
        while not _is_there(above):
            above = above.parent
        if not above.is_dir():
            raise ValueError(f"{given} can't be made, since {above} is no folder; give another path")
        _remove_tried(above)
        made = tempfile.mkdtemp(prefix=TRIED, dir=above)
        with contextlib.suppress(FileNotFoundError):  # another command has just tidied up here
            os.rmdir(made)
    except OSError as error:
        raise ValueError(f"{given} can't be written: {above}: {error.strerror}; give another path") from None


def _remove_tried(folder: Path) -> None:
    """Remove the empty folders of commands that were killed just while they tried to write."""
    with contextlib.suppress(OSError):  # whoever may write in a folder need not be allowed to list it
        for name in os.listdir(folder):
            if re.fullmatch(rf"{re.escape(TRIED)}\w{{8}}", name):
                with contextlib.suppress(OSError):  # it holds something, so it is somebody's
                    os.rmdir(folder / name)


def _is_there(path: Path) -> bool:
    """Whether something is at a path. Raises OSError where nothing can be: the name is too long."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
