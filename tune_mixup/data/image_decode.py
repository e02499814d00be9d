"""Reading images by many threads, part by part: what is read is on the disk, and is not read again."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tune_mixup.activity import doing
from tune_mixup.data.image_files import File
from tune_mixup.data.image_pixels import Form, read_pixels
from tune_mixup.data.image_rows import Image, ImageRows, Key
from tune_mixup.words import said

_CHUNK = 16
_REASON = 120
"""Characters of why an image can't be read."""

Read = Callable[[int], tuple[NDArray[np.uint8], bytes]]
"""Gives for a place in a list the pixels uint8 [C, H, W] and what tells the content, or raises; called by threads."""


class Decoded(NamedTuple):
    """What came of a list of images."""

    digests: dict[int, bytes]
    """For each one that could be read, in their order, its place in the list and what tells its content."""
    bad: dict[int, str]
    """For each other one its place in the list and why it can't be read."""
    at: dict[int, int]
    """For each good one its place in the list and which of the `rows` it is."""
    rows: ImageRows

    def images(self, places: Sequence[int]) -> Tensor:
        """Those at some places in the list, in that order: uint8 [N, C, H, W], mapped from the disk."""
        return self.rows.ordered([self.at[place] for place in places])


def num_threads() -> int:
    """How many threads decode: one for each core that this process may use."""
    return len(os.sched_getaffinity(0))


def reach() -> int:
    """How far apart in a list the images lie that are read at about the same time."""
    return _CHUNK * num_threads()


def decode(folder: Path, files: Sequence[File], *, form: Form, beside: Path) -> Decoded:
    """All files below a folder, as `decode_each` does."""
    keys = [Key(file.relative, file.size, file.mtime_ns) for file in files]

    def read(place: int) -> tuple[NDArray[np.uint8], bytes]:
        return read_pixels(folder / files[place].relative, form)

    return decode_each(keys, read, form=form, source=folder, beside=beside)


def decode_each(keys: Sequence[Key], read: Read, *, form: Form, source: Path, beside: Path, stamp: str = "") -> Decoded:
    """All images of a list that `read` gives, in one form; one that can't be read stops none of the others.

    They are stored in the folder `beside`, which need not be there; what it holds of an earlier call with the same
    form, `stamp` and key is not read again. Raises ValueError for images of more than one size, where the form does not
    name one, and OSError where they can't be stored; `source` is where a message says that they are.
    """
    rows = ImageRows(beside, name=repr((form, stamp)))
    rows.open(keys)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's: a file is good or bad, and a bad one is named
        _decode(keys, read, source, rows)
    known = [(place, found) for place, key in enumerate(keys) if (found := rows.find(key)) is not None]
    return Decoded(
        {place: found.digest for place, found in known if not found.why},
        {place: found.why for place, found in known if found.why},
        {place: found.row for place, found in known if not found.why},
        rows,
    )


def _decode(keys: Sequence[Key], read: Read, source: Path, rows: ImageRows) -> None:
    missing = [place for place, key in enumerate(keys) if rows.find(key) is None]
    stored, asked = len(keys) - len(missing), 0
    ahead: deque[tuple[list[int], Iterator[list[Image]]]] = deque()
    with ThreadPoolExecutor(num_threads()) as pool, doing(f"reading {len(keys):,} images", of=len(keys)) as count:
        try:
            while stored < len(keys):
                while asked < len(missing) and len(ahead) < (1 if rows.shape is None else 2):
                    batch = missing[asked : asked + rows.batch]
                    chunks = [batch[start : start + _CHUNK] for start in range(0, len(batch), _CHUNK)]
                    ahead.append((batch, pool.map(partial(_attempt, read), chunks)))
                    asked += len(batch)
                batch, done = ahead.popleft()  # while it is stored, the next is read
                images = [image for chunk in done for image in chunk]
                told = [keys[place] for place in batch]
                _check_sizes(keys, told, images, rows, source)
                rows.add(told, images)
                stored += len(batch)
                count(stored)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else all that was asked for would be read before it ends
            raise


def _attempt(read: Read, places: Sequence[int]) -> list[Image]:
    images = []
    for place in places:
        try:
            pixels, digest = read(place)
            images.append(Image.of(np.ascontiguousarray(pixels), digest))
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder trips over, the person needs the name of the image
            strerror = error.strerror if isinstance(error, OSError) else None
            images.append(Image.bad(strerror or said(error, _REASON) or type(error).__name__))
    return images


def _check_sizes(
    keys: Sequence[Key], batch: Sequence[Key], images: Sequence[Image], rows: ImageRows, source: Path
) -> None:
    """Raise ValueError that names an image of another size than those before it, and one of those."""
    shape = rows.shape  # None for the first alone
    for key, image in zip(batch, images, strict=True):
        if image.pixels is not None and shape is not None and image.pixels.shape != shape:
            other = next(one for one in keys if (known := rows.find(one)) is not None and not known.why)
            raise ValueError(
                f"{source}: {key.name} is {_size(image.pixels.shape)} pixels, but {other.name} is {_size(shape)} "
                "(height x width); set data.size, to which all are resized"
            )


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[2]}"
