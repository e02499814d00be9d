"""Reading image files by many threads, part by part: what is read is on the disk, and is not read again."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_mixup.activity import doing
from tune_mixup.data.image_files import File
from tune_mixup.data.image_pixels import Form, read_pixels
from tune_mixup.data.image_rows import ImageRows
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
    there = len(files) - len(missing)
    num_threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(num_threads) as pool, doing(f"reading {len(files):,} images", of=len(files)) as count:
        done = 0
        while batch := missing[done : done + rows.batch]:
            chunks = [batch[start : start + _CHUNK] for start in range(0, len(batch), _CHUNK)]
            images = [one for chunk in pool.map(partial(_read, folder, form), chunks) for one in chunk]
            _check_sizes(folder, files, batch, images, rows)
            rows.add(batch, images)
            done += len(batch)
            count(there + done)


def _read(
    folder: Path, form: Form, files: Sequence[File]
) -> list[tuple[NDArray[np.uint8], bytes, str] | tuple[None, bytes, str]]:
    """For each file its pixels and what tells its content, or why it can't be read."""
    read: list[tuple[NDArray[np.uint8], bytes, str] | tuple[None, bytes, str]] = []
    for file in files:
        try:
            read.append((*read_pixels(folder / file.relative, form), ""))
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder trips over, the person needs the name of the file
            strerror = error.strerror if isinstance(error, OSError) else None
            read.append((None, b"", strerror or said(error, _REASON) or type(error).__name__))
    return read


def _check_sizes(
    folder: Path,
    files: Sequence[File],
    batch: Sequence[File],
    images: Sequence[tuple[NDArray[np.uint8] | None, bytes, str]],
    rows: ImageRows,
) -> None:
    """Raise ValueError that names an image of another size than those before it, and one of those."""
    for file, (pixels, _, _) in zip(batch, images, strict=True):
        if pixels is not None and rows.shape is not None and pixels.shape != rows.shape:
            other = next(one for one in files if (known := rows.find(one)) is not None and known.digest)
            raise ValueError(
                f"{folder / file.relative} is {_size(pixels.shape)} pixels, but {folder / other.relative} is "
                f"{_size(rows.shape)} (height x width); set data.size, to which all are resized"
            )


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[2]}"
