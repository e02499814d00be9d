"""Reading image files with Pillow, many at once."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_mixup.activity import doing
from tune_mixup.data.image_pixels import Form, read_pixels
from tune_mixup.words import said

_CHUNK = 64
_SMALL = 64 * 64
"""Pixels up to which one thread is fastest: the time goes into Python, where threads hold each other up."""
_NO_PICTURES = frozenset({"BUFR", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow knows by sight, but of which it can't read a pixel."""
_REASON = 120
"""Characters of why a file can't be read."""


Read = Callable[[int], tuple[NDArray[np.uint8], bytes]]
"""Gives for a place in a list the pixels uint8 [C, H, W] and what tells the content, or raises; called by threads."""


class Decoded(NamedTuple):
    """What came of a list of files."""

    images: Tensor
    """uint8 [N, C, H, W]: the N files that could be read, in their order."""
    digests: dict[int, bytes]
    """For each of these, in the same order, its place in the list and what tells its content."""
    bad: dict[int, str]
    """For each other one its place in the list and why it can't be read."""


def is_image(name: str) -> bool:
    """Whether Pillow can read files whose name ends like this one."""
    from PIL import Image

    kind = Image.registered_extensions().get(os.path.splitext(name)[1].lower())
    return kind in Image.OPEN and kind not in _NO_PICTURES


def reach() -> int:
    """How far apart in a list the images lie that are read at about the same time."""
    return _CHUNK * (os.cpu_count() or 1)


def decode(paths: Sequence[Path], *, form: Form) -> Decoded:
    """All files as images of one form; raises as `decode_each`."""
    return decode_each(paths, lambda i: read_pixels(paths[i], form), form=form)


def decode_each(names: Sequence[object], read: Read, *, form: Form) -> Decoded:
    """All images of a list that `read` gives, each at its place; one that can't be read stops none of the others.

    Raises ValueError, with the names of two, for images of more than one size, where the form does not name one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's: a file is good or bad, and a bad one is named
        return _decode(names, read, form)


def _decode(names: Sequence[object], read: Read, form: Form) -> Decoded:
    digests: dict[int, bytes] = {}
    bad: dict[int, str] = {}

    def attempt(i: int) -> NDArray[np.uint8] | None:
        try:
            pixels, digests[i] = read(i)
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder trips over, the person needs the name of the file
            strerror = error.strerror if isinstance(error, OSError) else None
            bad[i] = strerror or said(error, _REASON) or type(error).__name__
            return None
        return pixels

    known = next(((i, pixels) for i in range(len(names)) if (pixels := attempt(i)) is not None), None)
    if known is None:
        return Decoded(torch.empty(0, form.channels, *(form.size or (0, 0)), dtype=torch.uint8), {}, bad)
    first, model = known
    images = np.empty((len(names), *model.shape), np.uint8)

    def decode_chunk(start: int) -> None:
        for i in range(start, min(start + _CHUNK, len(names))):
            pixels = attempt(i)
            if pixels is None:
                continue
            if pixels.shape != model.shape:
                raise ValueError(
                    f"{names[i]} is {_size(pixels)} pixels, but {names[first]} is {_size(model)} (height x width); set"
                    " data.size, to which all are resized"
                )
            images[i] = pixels

    num_threads = 1 if form.size is None and model[0].size <= _SMALL else os.cpu_count()
    chunks = range(first, len(names), _CHUNK)
    with ThreadPoolExecutor(num_threads) as pool, doing(f"reading {len(names):,} images", of=len(names)) as count:
        try:
            for start, _ in zip(chunks, pool.map(decode_chunk, chunks), strict=True):  # in order: the first is named
                count(start + 1)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else what was asked for would all be read before it ends
            raise
    kept = sorted(digests)
    there = torch.from_numpy(images if len(kept) == len(names) else images[kept])
    return Decoded(there, {i: digests[i] for i in kept}, dict(sorted(bad.items())))


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[2]}"
