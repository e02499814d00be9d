"""Reading a file that a person names: a regular one, not too large, as bytes or as text in its encoding."""

import codecs
import os
from pathlib import Path

from tune_mixup.opening import open_regular

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the next
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""How a text begins that says its encoding."""


def read_file(path: Path, *, most_bytes: int) -> bytes:
    """The content of a regular file.

    Raises ValueError for a larger one, of which no more than `most_bytes` is read, and OSError that names the file for
    one that is missing, a folder, a pipe or a device, without waiting for it.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        content = b"" if status.st_size > most_bytes else file.read(most_bytes + 1)
    if (size := max(status.st_size, len(content))) > most_bytes:
        raise ValueError(f"it has {size:,} bytes or more, must be at most {most_bytes:,}")
    return content


def text_of(content: bytes) -> str:
    """The text in UTF-8, or in the encoding that its first bytes say: UTF-8, -16 or -32. Raises ValueError."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding)
