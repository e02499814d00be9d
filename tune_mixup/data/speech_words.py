"""The words of Speech Commands, the tasks made of them, and the parts that the published rules put a recording into.

Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 2018, arXiv:1804.03209.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

PARTS = ("train", "val", "test")
LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
"""The files beside the words that name the recordings of a part, one `word/file.wav` a line."""
NOISE = "_background_noise_"
"""The folder of long recordings without words."""

WORDS = (
    *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"),
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("bed", "bird", "cat", "dog", "house", "marvin", "sheila", "tree", "wow", "happy"),
    *("backward", "forward", "follow", "learn", "visual"),
)
"""The ten commands, the ten digits, ten more, and the five that came with v0.02."""
COMMANDS = WORDS[:10]
UNKNOWN, SILENCE = "_unknown_", "_silence_"
"""The two classes of the 12-word task beside the commands."""
SHARE = 0.1
"""How many examples each of these two has in a part, as a share of the commands' recordings there, rounded up."""

Task = Literal[10, 12, 30, 35, "all"]

_LARGEST_HASH = 2**27 - 1


def class_names(task: Task, present: Sequence[str]) -> tuple[str, ...]:
    """The classes of a task; those of `all` are the folders that are present, in alphabetical order."""
    match task:
        case "all":
            return tuple(sorted(present))
        case 12:
            return (*COMMANDS, UNKNOWN, SILENCE)
        case _:
            return WORDS[:task]


def by_hash(file_name: str) -> str:
    """The part of a recording by the rule that its publisher gives: train about 80 %, val and test 10 % each.

    It goes by the speaker, who stands before `_nohash_`, so that nobody speaks in two parts.
    """
    speaker = re.sub(r"_nohash_.*$", "", file_name)
    hashed = int(hashlib.sha1(speaker.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest(), 16)
    percentage = (hashed % (_LARGEST_HASH + 1)) * (100 / _LARGEST_HASH)
    return "val" if percentage < 10 else "test" if percentage < 20 else "train"


def read_lists(folder: Path) -> dict[str, str] | None:
    """The parts `val` and `test` of the recordings that the lists name; None where there are no lists.

    Raises ValueError for one list without the other, and for a recording that both name.
    """
    there = {part: folder / name for part, name in LISTS.items() if (folder / name).is_file()}
    if not there:
        return None
    if len(there) < len(LISTS):
        missing = next(name for part, name in LISTS.items() if part not in there)
        raise ValueError(
            f"{folder} lacks {missing}; add it, or remove {next(iter(there.values())).name} to have recordings split "
            "by the hash of their speaker"
        )
    named: dict[str, str] = {}
    for part, path in there.items():
        for line in path.read_text(encoding="utf-8", errors="surrogateescape").split("\n"):
            name = line.strip()
            if name and named.setdefault(name, part) != part:
                raise ValueError(f"{folder}: {' and '.join(LISTS.values())} both name {name}; remove it from one")
    return named
