"""Plain JPEG files, by Pillow's decoder alone, without what Pillow does around it: half of the time of a small file.

That other half goes into Python, where threads hold each other up: Pillow reads every part of the header for whoever
might ask. Files that need care (notes of EXIF, other colours than grey and YCbCr, faults of any kind) are left to it.

Shapes: C channels, H x W pixels.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

_START = b"\xff\xd8"
_PLAIN = frozenset({0xC4, 0xDB, 0xDD, 0xE0, 0xE2, 0xED, 0xFE})
"""Tables, intervals, JFIF, colour profiles, notes of editors and comments, of which the pixels don't depend on any but
the tables."""
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive, all with Huffman codes."""
_SCAN = 0xDA


def decode_plain(content: bytes, *, most_pixels: int | None) -> "Image.Image | None":
    """The grey or RGB image of a plain JPEG; None for any other file and for one that has a fault.

    No more pixels than `most_pixels` are decoded.
    """
    frame = _frame(content)
    if frame is None or (most_pixels is not None and frame.height * frame.width > most_pixels):
        return None
    from PIL import Image

    mode = "L" if frame.channels == 1 else "RGB"
    try:
        return Image.frombytes(mode, (frame.width, frame.height), content, "jpeg", mode, "")
    except ValueError:
        return None


class _Frame(NamedTuple):
    height: int
    width: int
    channels: int


def _frame(content: bytes) -> _Frame | None:
    """What the header says; None where the file is no plain JPEG."""
    frame = None
    for marker, part in _parts(content):
        if marker in _FRAMES and frame is None and len(part) >= 6 and part[0] == 8 and part[5] in (1, 3):
            frame = _Frame(int.from_bytes(part[1:3], "big"), int.from_bytes(part[3:5], "big"), part[5])
        elif marker == _SCAN:
            return frame if frame and all(frame) else None
        elif marker not in _PLAIN:
            return None
    return None


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The marker and the content of each part of the header."""
    place = len(_START)
    while content.startswith(_START) and content[place : place + 1] == b"\xff" and place + 4 <= len(content):
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        yield content[place + 1], content[place + 4 : place + 2 + length]
        place += 2 + length
