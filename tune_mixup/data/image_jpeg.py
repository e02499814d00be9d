"""Plain JPEG files, decoded by torchvision: the same library and the same pixels as Pillow's, in half of the time.

Most of Pillow's time for a small file goes into Python, where threads hold each other up. Files that need care (notes
of EXIF, colours of other kinds than grey and YCbCr, faults of any kind) are left to Pillow.

Shapes: C channels, H x W pixels.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

_START = b"\xff\xd8"
_PLAIN = frozenset({0xC4, 0xDB, 0xDD, 0xE0, 0xE2, 0xED, 0xFE})
"""Tables, intervals, JFIF, colour profiles, notes of editors and comments, of which the pixels don't depend on any but
the tables."""
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive, all with Huffman codes."""
_SCAN = 0xDA


def decode_plain(content: bytes, *, most_pixels: int | None) -> NDArray[np.uint8] | None:
    """Pixels uint8 [C, H, W] of a plain JPEG, C being 1 or 3; None for any other file and for one that has a fault.

    No more pixels than `most_pixels` are decoded.
    """
    frame = _frame(content)
    if frame is None or (most_pixels is not None and frame[0] * frame[1] > most_pixels):
        return None
    from torchvision.io import decode_jpeg  # here, because the import takes seconds

    try:
        pixels: NDArray[np.uint8] = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8)).numpy()
    except RuntimeError:
        return None
    return pixels if pixels.shape[1:] == frame else None


def _frame(content: bytes) -> tuple[int, int] | None:
    """(H, W) as the header says; None where the file is no plain JPEG."""
    size = None
    for marker, part in _parts(content):
        if marker in _FRAMES and size is None and len(part) >= 6 and part[0] == 8 and part[5] in (1, 3):
            size = int.from_bytes(part[1:3], "big"), int.from_bytes(part[3:5], "big")
        elif marker == _SCAN:
            return size if size and all(size) else None
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
