"""Reading image files by many threads, part by part: what is read is on the disk, and is not read again."""

import os
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from tune_mixup.activity import doing
from tune_mixup.data.image_files import File
from tune_mixup.data.image_pixels import Form, read_pixels
from tune_mixup.data.image_rows import Image, ImageRows
from tune_mixup.words import said

_CHUNK = 16
_REASON = 120
"""Characters of why a file can't be read."""


def decode(folder: Path, files: Sequence[File], *, form: Form, beside: Path) -> ImageRows:
    """All files below a folder as images of one form; a file that can't be read stops none of the others.

    They are stored in the folder `beside`, which need not be there; what it holds of an earlier call is not decoded
    again. Raises ValueError for images of more than one size, where the form does not name one, and OSError where they
    can't be stored.
    """
    rows = ImageRows(beside, name=repr(form))
    rows.open(files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's: a file is good or bad, and a bad one is named
        _decode(folder, files, form, rows)
    return rows


def _decode(folder: Path, files: Sequence[File], form: Form, rows: ImageRows) -> None:
    missing = [file for file in files if rows.find(file) is None]
    stored, asked = len(files) - len(missing), 0
    ahead: deque[tuple[list[File], Iterator[list[Image]]]] = deque()
    num_threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(num_threads) as pool, doing(f"reading {len(files):,} images", of=len(files)) as count:
        try:
            while stored < len(files):
                while asked < len(missing) and len(ahead) < (1 if rows.shape is None else 2):
                    batch = missing[asked : asked + rows.batch]
                    chunks = [batch[start : start + _CHUNK] for start in range(0, len(batch), _CHUNK)]
                    ahead.append((batch, pool.map(partial(_read, folder, form), chunks)))
                    asked += len(batch)
                batch, read = ahead.popleft()  # while it is stored, the next is read
                images = [image for chunk in read for image in chunk]
                _check_sizes(folder, files, batch, images, rows)
                rows.add(batch, images)
                stored += len(batch)
                count(stored)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else all that was asked for would be read before it ends
            raise


def _read(folder: Path, form: Form, files: Sequence[File]) -> list[Image]:
    read = []
    for file in files:
        try:
            pixels, digest = read_pixels(folder / file.relative, form)
            read.append(Image.of(np.ascontiguousarray(pixels), digest))
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder trips over, the person needs the name of the file
            strerror = error.strerror if isinstance(error, OSError) else None
            read.append(Image.bad(strerror or said(error, _REASON) or type(error).__name__))
    return read


def _check_sizes(
    folder: Path, files: Sequence[File], batch: Sequence[File], images: Sequence[Image], rows: ImageRows
) -> None:
    """Raise ValueError that names an image of another size than those before it, and one of those."""
    shape = rows.shape  # None for the first alone
    for file, image in zip(batch, images, strict=True):
        if image.pixels is not None and shape is not None and image.pixels.shape != shape:
            other = next(one for one in files if (known := rows.find(one)) is not None and not known.why)
            raise ValueError(
                f"{folder / file.relative} is {_size(image.pixels.shape)} pixels, but {folder / other.relative} is "
                f"{_size(shape)} (height x width); set data.size, to which all are resized"
            )


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[2]}"
