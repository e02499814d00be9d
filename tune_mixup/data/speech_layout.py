"""Recordings of words in a folder for each word: which there are for a task, and which part each is in."""

import math
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from tune_mixup.data.speech_words import (
    LISTS,
    NOISE,
    PARTS,
    SHARE,
    SILENCE,
    UNKNOWN,
    Task,
    by_hash,
    class_names,
    read_lists,
)
from tune_mixup.seeding import generator

LISTED = 10
"""How many missing words or bad files are named."""
TASK_SEED = 0
"""Of the draws that make the classes _unknown_ and _silence_, the same for every trial."""


class Recording(NamedTuple):
    """A file, the part and the class that it is in."""

    relative: str
    """Path below the folder, `word/file.wav`."""
    part: str
    class_name: str
    size: int
    mtime_ns: int


class Layout(NamedTuple):
    """What a folder holds for a task; the order of the recordings does not depend on the file system."""

    folder: Path
    class_names: tuple[str, ...]
    recordings: tuple[Recording, ...]
    noise: tuple[Recording, ...]
    """Long recordings without words."""
    rule: str
    """How the parts were told apart, in words."""


def find(folder: Path, *, task: Task) -> Layout:
    """The recordings of a task. Raises ValueError in one line for a folder that does not have them."""
    layout = "it must hold a folder for each word with its WAV files, as Speech Commands unpacks"
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ValueError(f"data.path: {folder} {what}; {layout}; or set data.root to the folder of SpeechCommands/")
    try:
        present = _words(folder)
        names = class_names(task, present)
        wanted = [name for name in names if name not in (UNKNOWN, SILENCE)]
        missing = [name for name in wanted if name not in present]
        if missing or len(wanted) < 2:
            lacks = f"lacks the words {', '.join(missing[:LISTED])}" if missing else "has fewer than two words"
            more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
            raise ValueError(f"data.task={task}: {folder} {lacks}{more}; {layout}, or set data.task=all")
        lists = read_lists(folder)
        found = [one for word in wanted for one in _in_word(folder, word, lists, word)]
        noise = tuple(_in_word(folder, NOISE, None, NOISE)) if (folder / NOISE).is_dir() else ()
        if task == 12:
            others = [one for word in present if word not in wanted for one in _in_word(folder, word, lists, UNKNOWN)]
            found += _unknown(folder, found, others)
    except OSError as error:
        raise ValueError(f"{error.filename} can't be read ({error.strerror}); repair or remove it") from error
    if SILENCE in names and not noise:
        raise ValueError(f"data.task=12: {folder} lacks {NOISE}/ with WAV files, of which {SILENCE} is made; add it")
    for name in wanted:
        if not any(one.class_name == name and one.part == "train" for one in found):
            raise ValueError(f"{folder / name} holds no WAV file for training; add some, or remove the folder")
    rule = " and ".join(LISTS.values()) if lists is not None else "the hash of the speaker's name"
    return Layout(folder, names, tuple(found), noise, f"split by {rule}")


def _words(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] not in "._")


def _in_word(folder: Path, word: str, lists: dict[str, str] | None, class_name: str) -> Iterator[Recording]:
    """The WAV files of a word; those that the lists do not name are for training."""
    with os.scandir(folder / word) as entries:
        files = [entry for entry in entries if entry.name.lower().endswith(".wav") and not entry.name.startswith(".")]
        for entry in sorted(files, key=lambda entry: entry.name):
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):  # a folder or a FIFO holds no sound
                relative = f"{word}/{entry.name}"
                part = by_hash(entry.name) if lists is None else lists.get(relative, "train")
                yield Recording(relative, part, class_name, status.st_size, status.st_mtime_ns)


def _unknown(folder: Path, found: Sequence[Recording], others: Sequence[Recording]) -> list[Recording]:
    """Of the other words' recordings, so many of each part as `SHARE` says, drawn alike from all."""
    chosen = []
    for number, part in enumerate(PARTS):
        here = [one for one in others if one.part == part]
        wanted = share(found, part)
        if len(here) < wanted:
            raise ValueError(
                f"data.task=12: {folder} has {len(here)} {part} recordings of other words than the commands, but "
                f"{UNKNOWN} needs {wanted}; add words, or set data.task=10"
            )
        order = torch.randperm(len(here), generator=generator(TASK_SEED, "split", epoch=number)).tolist()
        chosen += [here[place] for place in sorted(order[:wanted])]
    return chosen


def share(found: Sequence[Recording], part: str) -> int:
    """How many examples of the part each of the classes _unknown_ and _silence_ has."""
    return math.ceil(SHARE * sum(one.part == part and one.class_name != UNKNOWN for one in found))
