"""Decoded images in one file, made by one process while the others wait."""

import contextlib
import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from tune_mixup.data.base import Split
from tune_mixup.locks import Lock
from tune_mixup.words import said
from tune_mixup.writing import remove_unfinished, replace


class Contents(NamedTuple):
    """What was decoded of a data set."""

    class_names: tuple[str, ...]
    parts: dict[str, Split]
    """The splits that there are: train, test, val."""
    fingerprint: str
    bad: dict[str, str]
    """What could not be read, by its name, and why."""
    split_off: bool
    """Whether the test split was drawn from the images, because nobody has said which they are."""


def stamp_of(text: str) -> str:
    """What tells the state of a data set from others, of a text that says all of it."""
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def short_hash(name: bytes) -> str:
    """Twelve digits that tell a name from others, for names of files."""
    return hashlib.blake2b(name, digest_size=6).hexdigest()


def cached(files: Sequence[Path], *, stamp: str, build: Callable[[Path], Contents]) -> Contents:
    """The contents stored under `stamp` in the first of `files` that has them, else built and stored.

    `build` is given a path at which it may make a folder, to go on from when it is killed: the next one finds it. It is
    deleted when the contents are stored, or when there is a fault. A file that is damaged or has another stamp is
    replaced in one step, so that readers see the old or the new one. Raises ValueError when none of the files can be
    written.
    """
    for file in files:
        contents = _load(file, stamp)
        if contents is not None:
            return contents
    reasons = []
    for file in files:
        try:
            with _locked(file):
                contents = _load(file, stamp)  # perhaps made while this process waited
                if contents is None:
                    with _half_made(file) as beside:
                        contents = build(beside)
                        _store(file, stamp, contents)
                    contents = _load(file, stamp) or contents  # mapped from the disk, as all others have it
            return contents
        except OSError as error:
            reasons.append(f"{file.parent} ({error.strerror or said(error)})")
    raise ValueError(
        f"decoded images can't be stored in {' or '.join(reasons)}; set data.root to a folder that can be written"
    )


@contextlib.contextmanager
def _half_made(file: Path) -> Iterator[Path]:
    """Where to build what goes into `file`; it stays only when the process is stopped, not when there is a fault."""
    beside = file.with_suffix(".half")
    try:
        yield beside
    except Exception:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """The lock for making `file`, in its folder; where nothing comes of it, nothing is left there."""
    lock = Lock(file.with_suffix(".lock"))
    made = [folder for folder in (file.parent, *file.parent.parents) if not folder.exists()]
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except FileNotFoundError:  # who had it before was refused, and has taken the folder away
            continue
        break
    try:
        yield
    finally:
        if not file.exists():  # those who wait for a lock that is gone make it anew
            lock.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files may be there
                for folder in made or [file.parent]:
                    folder.rmdir()
        lock.release()


def _load(file: Path, stamp: str) -> Contents | None:
    """None for a file that is absent, damaged or of another stamp; images stay on disk until they are read."""
    try:
        stored = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        if stored["stamp"] != stamp:
            return None
        parts = {part: Split(*tensors) for part, tensors in stored["parts"].items()}
        return Contents(
            tuple(stored["class_names"]),
            parts,
            str(stored["fingerprint"]),
            dict(stored["bad"]),
            bool(stored["split_off"]),
        )
    except (OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, pickle.UnpicklingError):
        return None


def _store(file: Path, stamp: str, contents: Contents) -> None:
    stored = {
        "stamp": stamp,
        "fingerprint": contents.fingerprint,
        "class_names": list(contents.class_names),
        "bad": contents.bad,
        "split_off": contents.split_off,
        "parts": {part: tuple(tensors) for part, tensors in contents.parts.items()},
    }
    remove_unfinished(file)
    try:
        replace(file, lambda opened: torch.save(stored, opened))
    except RuntimeError as error:  # torch's word for a full disk
        raise OSError(f"{file} can't be written: {said(error)}") from error
