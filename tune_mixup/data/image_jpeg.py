"""Plain JPEG files, by Pillow's decoder alone, without what Pillow does around it: half of the time of a small file.

That other half goes into Python, where threads hold each other up: Pillow reads every part of the header for whoever
might ask. Files that need care (notes of EXIF, other colours than grey and YCbCr, faults of any kind) are left to it.

Shapes: C channels, H x W pixels.
"""

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
    frame, place = None, len(_START)
    while content.startswith(_START) and place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker in _FRAMES and frame is None and len(content) >= place + 10:
            bits, high, higher, wide, wider, channels = content[place + 4 : place + 10]
            if bits != 8 or channels not in (1, 3):
                return None
            frame = _Frame(high << 8 | higher, wide << 8 | wider, channels)
        elif marker == _SCAN:
            return frame if frame is not None and all(frame) else None
        elif marker not in _PLAIN:
            return None
        place += 2 + (content[place + 2] << 8 | content[place + 3])
    return None
