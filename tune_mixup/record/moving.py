"""Deleting, renaming and copying a whole sweep: each shows in the sweeps' folder by one step that nothing can halve.

A sweep is called like its folder, so that renaming it is renaming the folder. A copy is made under a hidden name and
moved into place. What is deleted first gets a hidden name, under which a later deletion finds what a kill has left.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from tune_mixup.record.files import sync
from tune_mixup.record.folder import SweepFolder
from tune_mixup.record.making import made_beside
from tune_mixup.record.names import SCRATCH, check_name, is_sweep
from tune_mixup.record.targets import check_inside_no_sweep
from tune_mixup.writing import sync_folder

_TRASH = re.compile(r"\..+\.[0-9a-f]{16}\.deleted", re.DOTALL)
"""What `delete_sweep` calls a sweep that it deletes; any other hidden folder is somebody's own."""
_LEFT_OUT = shutil.ignore_patterns("lock", "*.lock", "stopping", f"{SCRATCH}*", ".*")
"""What belongs to the process that works on a sweep, and no copy of it has."""


def delete_sweep(path: Path) -> None:
    """Delete the sweep at `path` with all its files, and what killed processes have left of deleting others there.

    Raises ValueError while a process works on it, also on the retraining of its settings, and for a link.
    """
    with _own(path) as folder:
        trash = folder.path.with_name(f".{folder.name}.{secrets.token_hex(8)}.deleted")
        os.rename(folder.path, trash)
        sync_folder(trash.parent)
        _remove(trash)
        for left in remains(trash.parent):
            _remove(left)


def remains(root: Path) -> list[Path]:
    """What is left in a folder of sweeps of deletions that were killed."""
    hidden = (path for path in root.glob(".*.deleted") if _TRASH.fullmatch(path.name))
    return sorted(path for path in hidden if path.is_dir() and not path.is_symlink())


def rename_sweep(path: Path, name: str) -> Path:
    """Call the sweep at `path` by another name; its new folder.

    Raises ValueError as `delete_sweep` does, and for a name that is taken.
    """
    check_name(name)
    with _own(path) as folder:
        SweepFolder.check_free(folder.path.parent, name)
        target = folder.path.with_name(name)
        try:
            os.rename(folder.path, target)
        except OSError:
            SweepFolder.check_free(folder.path.parent, name)  # somebody was faster
            raise
        sync_folder(target.parent)
        return target


def copy_sweep(path: Path, root: Path, name: str) -> Path:
    """Make a sweep `name` under `root` that has all that the sweep at `path` has; the copy's folder.

    Each goes on without the other. Raises ValueError while a process works on the original, and for a taken name;
    nothing is made then.
    """
    check_name(name)
    SweepFolder.check_free(root, name)
    target = root.expanduser().resolve() / name
    with _unused(SweepFolder(path.expanduser().resolve())) as folder:
        try:
            with made_beside(target) as made:
                _copy_tree(folder.path, made)
        except OSError:
            SweepFolder.check_free(root, name)
            raise
    return target


@contextlib.contextmanager
def _own(path: Path) -> Iterator[SweepFolder]:
    """The sweep at `path` while nobody works on it. Raises ValueError for a link, and for a part of another sweep."""
    path = path.expanduser()
    if path.is_symlink():
        raise ValueError(f"{path} is a link; name the folder that it leads to, {path.resolve()}")
    path = path.resolve()
    check_inside_no_sweep(path, path.parent)
    with _unused(SweepFolder(path)) as folder:
        yield folder


@contextlib.contextmanager
def _unused(folder: SweepFolder) -> Iterator[SweepFolder]:
    """Hold the locks of a sweep and of those that retrain its settings. Raises ValueError when one is worked on."""
    below = sorted(folder.evaluations.iterdir()) if folder.evaluations.is_dir() else []
    with contextlib.ExitStack() as held:
        for one in (folder, *(SweepFolder(path) for path in below if is_sweep(path))):
            held.enter_context(one.alone())
        yield folder


def _copy_tree(source: Path, target: Path) -> None:
    """Copy a folder's files into one that is there. Raises OSError in one line for the first that can't be."""
    try:
        shutil.copytree(source, target, ignore=_LEFT_OUT, copy_function=_copy, symlinks=True, dirs_exist_ok=True)
    except shutil.Error as error:
        file, _, why = error.args[0][0]
        raise OSError(f"{file} can't be copied: {why}") from None
    for folder, _, _ in os.walk(target):
        sync_folder(Path(folder))


def _copy(source: str, target: str) -> str:
    shutil.copy2(source, target)
    sync(Path(target))  # before the copy gets its name
    return target


def _remove(folder: Path) -> None:
    """Delete a folder. Raises OSError that names what can't be deleted."""
    with contextlib.suppress(FileNotFoundError):  # somebody else deletes it too
        shutil.rmtree(folder)
