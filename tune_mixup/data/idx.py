"""The IDX format of the MNIST family: a big-endian header with the shape, then unsigned bytes; also gzipped."""

import gzip
import os
import struct
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from tune_mixup.opening import open_regular

_UNSIGNED_BYTE = 0x08
_DEFLATE_AT_MOST = 1032
"""Bytes that one byte of a gzip file can stand for: 258 by each two bits, which is what the format allows."""
_REMEDY = "replace the file, or empty its folder to have all downloaded again"


def read_idx(path: Path) -> Tensor:
    """The array in `path` (gzip by its suffix .gz), uint8 of the shape in its header.

    No more is unpacked than the header promises, and one byte to see whether there is more. Raises ValueError naming a
    file that can't be read, is no regular file, is of another type or is longer or shorter than its header says.
    """
    try:
        with open_regular(path) as packed:
            size = os.fstat(packed.fileno()).st_size
            if path.suffix != ".gz":
                shape, data = _read(packed, at_most=size)
            else:
                with gzip.open(packed) as unpacked:
                    shape, data = _read(unpacked, at_most=size * _DEFLATE_AT_MOST)
    except (OSError, EOFError, ValueError, zlib.error, struct.error) as error:
        raise ValueError(f"{path} can't be read ({error}); {_REMEDY}") from error
    promised = prod(shape)
    if len(data) != promised:
        found = f"more than {promised}" if len(data) > promised else len(data)
        raise ValueError(f"{path} holds {found} bytes, but its header promises {promised}; {_REMEDY}")
    return torch.from_numpy(np.frombuffer(data, np.uint8).reshape(shape).copy())


def _read(file: gzip.GzipFile | IO[bytes], *, at_most: int) -> tuple[tuple[int, ...], bytes]:
    """Shape and data, of these one byte more than the shape says, if there are more; `at_most` bounds what can come."""
    zero, kind, num_dimensions = struct.unpack(">HBB", file.read(4))
    if zero != 0 or kind != _UNSIGNED_BYTE:
        raise ValueError("it doesn't start like an IDX file of unsigned bytes")
    shape = struct.unpack(f">{num_dimensions}I", file.read(4 * num_dimensions))
    if prod(shape) > at_most:
        raise ValueError(f"its header promises {prod(shape)} bytes, but the file can hold {at_most} at most")
    return shape, file.read(prod(shape) + 1)
