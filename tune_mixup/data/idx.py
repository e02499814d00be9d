"""The IDX format of the MNIST family: a big-endian header with the shape, then unsigned bytes; also gzipped."""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_UNSIGNED_BYTE = 0x08
_REMEDY = "replace the file, or empty its folder to have all downloaded again"


def read_idx(path: Path) -> Tensor:
    """The array in `path` (gzip by its suffix .gz), uint8 of the shape in its header.

    Raises ValueError naming a file that can't be read, is of another type or is longer or shorter than its header says.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, num_dimensions = struct.unpack_from(">HBB", data)
        if zero != 0 or kind != _UNSIGNED_BYTE:
            raise ValueError("it doesn't start like an IDX file of unsigned bytes")
        shape = struct.unpack_from(f">{num_dimensions}I", data, 4)
    except (OSError, EOFError, ValueError, zlib.error, struct.error) as error:
        raise ValueError(f"{path} can't be read ({error}); {_REMEDY}") from error
    start = 4 + 4 * num_dimensions
    if len(data) - start != prod(shape):
        raise ValueError(f"{path} holds {len(data) - start} bytes, but its header promises {prod(shape)}; {_REMEDY}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())
