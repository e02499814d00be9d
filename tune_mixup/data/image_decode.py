"""Reading image files with Pillow, many at once."""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_mixup.activity import doing
from tune_mixup.opening import open_regular
from tune_mixup.words import said

_Mode = Literal["L", "RGB"]
_CHUNK = 64
_SMALL = 64 * 64
"""Pixels up to which one thread is fastest: the time goes into Python, where threads hold each other up."""
_DEEP_MODES = ("I", "F")
"""First letters of Pillow's modes with more than 8 bits, which its conversion to 8 bits would cut off."""


def is_image(name: str) -> bool:
    """Whether Pillow can open files whose name ends like this one."""
    from PIL import Image

    return Image.registered_extensions().get(os.path.splitext(name)[1].lower()) in Image.OPEN


def decode(paths: Sequence[Path], *, channels: Literal[1, 3]) -> tuple[Tensor, list[bytes]]:
    """The images as uint8 [N, C, H, W]: grey for 1 channel, RGB for 3; of a film, the first frame.

    With them a digest of each file's content.

    Raises ValueError naming the first file that can't be read, has more than 8 bits per channel, or differs from
    the size of the first.
    """
    mode: _Mode = "L" if channels == 1 else "RGB"
    first, _ = _read(paths[0], mode)
    images = np.empty((len(paths), channels, *first.shape[-2:]), np.uint8)
    digests = [b""] * len(paths)

    def decode_chunk(start: int) -> None:
        for i in range(start, min(start + _CHUNK, len(paths))):
            pixels, digests[i] = _read(paths[i], mode)
            if pixels.shape != first.shape:
                raise ValueError(
                    f"{paths[i]} is {_size(pixels)} pixels, but {paths[0]} is {_size(first)}; all images must have"
                    " one size (height x width), so resize them before"
                )
            images[i] = pixels

    num_threads = 1 if first[0].size <= _SMALL else os.cpu_count()
    chunks = range(0, len(paths), _CHUNK)
    with ThreadPoolExecutor(num_threads) as pool, doing(f"reading {len(paths):,} images", of=len(paths)) as count:
        for start, _ in zip(chunks, pool.map(decode_chunk, chunks), strict=True):  # in order: the first fault is named
            count(start + 1)
    return torch.from_numpy(images), digests


def _read(path: Path, mode: _Mode) -> tuple[NDArray[np.uint8], bytes]:
    """Pixels [C, H, W], and the digest of the file."""
    from PIL import Image

    try:
        with open_regular(path) as file:
            content = file.read()
        with Image.open(io.BytesIO(content)) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:  # Pillow itself refuses twice as many
                raise ValueError(f"{image.width} x {image.height} pixels, more than the {most} of PIL.Image")
            if image.mode.startswith(_DEEP_MODES):
                raise ValueError(f"more than 8 bits per channel, mode {image.mode}")
            opaque = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
            pixels = np.asarray(opaque.convert(mode))
    except Exception as error:  # whatever a decoder trips over, the person needs the name of the file
        raise ValueError(
            f"{path} can't be read as an image with 8 bits per channel ({said(error)}); replace or remove it"
        ) from error
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1), digest


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[2]}"
