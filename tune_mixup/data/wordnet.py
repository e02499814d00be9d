"""Classes that are called by a number of WordNet, as ImageNet's and Tiny-ImageNet's are: `n01443537`, a goldfish."""

import re
from collections.abc import Sequence
from pathlib import Path

from tune_mixup.faults import shown
from tune_mixup.given_files import read_file, text_of

_NUMBER = re.compile(r"n\d{8}")
_LINE = re.compile(rf"({_NUMBER.pattern})\s+(.+)")
_MOST_BYTES = 100_000_000


def read_lines(path: Path) -> list[str]:
    """The lines of a file that the data set comes with, without those that are empty. Raises ValueError in one line."""
    try:
        return [line.strip() for line in text_of(read_file(path, most_bytes=_MOST_BYTES)).splitlines() if line.strip()]
    except OSError as error:
        raise ValueError(f"{path} can't be read ({error.strerror}); take it from the data set's archive") from error
    except ValueError as error:
        raise ValueError(f"{path} can't be read ({error}); take it from the data set's archive") from error


def read_numbers(path: Path) -> list[str]:
    """The numbers of classes, one in each line, in that order. Raises ValueError in one line."""
    numbers = read_lines(path)
    wrong = next((shown(number) for number in numbers if not is_number(number)), None)
    if wrong is not None or len(set(numbers)) < max(2, len(numbers)):
        found = f"names {wrong}" if wrong is not None else f"has {len(set(numbers))} classes in {len(numbers)} lines"
        raise ValueError(f"{path} {found}; it must name two classes or more, each once, as n01443537")
    return numbers


def is_number(text: str) -> bool:
    """Whether a text is written like a number of WordNet."""
    return _NUMBER.fullmatch(text) is not None


def named(numbers: Sequence[str], words: Path) -> tuple[str, ...]:
    """Each number with the first of its synonyms, `goldfish (n01443537)`, so that all are distinct.

    `words` is a file with a number and its synonyms in each line; a number that it lacks is the whole name, and so are
    all where it is not there. Raises ValueError for one that can't be read.
    """
    found = [_LINE.fullmatch(line) for line in (read_lines(words) if words.exists() else [])]
    first = {line[1]: line[2].split(",")[0].strip() for line in found if line is not None}
    return tuple(f"{first[number]} ({number})" if number in first else number for number in numbers)
