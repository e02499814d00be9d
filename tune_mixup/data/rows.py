"""Images that stay where they are stored: the rows of a split among those of a whole data set.

Shapes: M stored images, N images of the split, C channels, H x W pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tune_mixup.data.crops import centre


@dataclass(frozen=True, eq=False)
class Rows:
    """Images of a split on the host, of which nothing is copied before it is asked for."""

    stored: Tensor
    """[M, C, H, W], contiguous, on the CPU: mapped from a file where there is one. Nobody writes into it."""
    index: Tensor | None = None
    """Which of the stored images the split has, int64 [N] on the CPU; None: all, in their order."""
    seen: tuple[int, int] | None = None
    """(h, w) of the middle of them, which is what is handed out; None: all of an image."""

    def __len__(self) -> int:
        """N."""
        return len(self.stored) if self.index is None else len(self.index)

    @property
    def shape(self) -> torch.Size:
        """(N, C, H, W) of what is handed out."""
        channels, *size = self.stored.shape[1:]
        return torch.Size((len(self), channels, *(self.seen or size)))

    @property
    def dtype(self) -> torch.dtype:
        """Of the images: uint8, or float16 where they are no pixels."""
        return self.stored.dtype

    def __getitem__(self, which: Tensor | slice) -> Tensor:
        """A copy of some images on the CPU, by their places in the split; of all stored ones, these themselves."""
        return self.cut(self.stored[which if self.index is None else self.index[which]])

    def cropped(self, size: tuple[int, int]) -> "Rows":
        """The middle h x w of all images, which are cut only as they are handed out."""
        return self if size == tuple(self.shape[2:]) else replace(self, seen=size)

    def cut(self, images: Tensor) -> Tensor:
        """What is handed out of stored images [B, C, H, W]: a view."""
        return images if self.seen is None else centre(images, self.seen)

    def is_floating_point(self) -> bool:
        """Whether they are no pixels."""
        return self.stored.is_floating_point()

    def places(self, which: Tensor) -> Tensor:
        """Where images of the split, int64 of any shape, are stored."""
        return which if self.index is None else self.index[which]

    def split(self, size: int) -> Iterator[Tensor]:
        """Copies of all images on the CPU, in parts of `size`, the last with what is left."""
        return (self[first : first + size] for first in range(0, len(self), size))


Images = Tensor | Rows
"""Images of a split [N, C, H, W]: on the device, or on the host and not yet gathered."""


def num_bytes(images: Images) -> int:
    """How much memory the images take."""
    return len(images) * images.shape[1:].numel() * images.dtype.itemsize


def is_mapped(tensor: Tensor) -> bool:
    """Whether a tensor on the CPU lies in a file that is mapped into memory, so that processes share its pages."""
    address = tensor.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, _, inode = line.split(maxsplit=5)[:5]
        first, end = (int(part, 16) for part in span.split("-"))
        if first <= address < end:
            return inode != "0"
    return False
