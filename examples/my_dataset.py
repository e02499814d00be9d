"""A data set of your own: drawn squares, discs and crosses, at any place and of any size.

    tune-mixup train --config my.yaml --set data.name=my_dataset:Shapes --set data.size=20 --out runs/shapes

A data set reads uint8 images and int64 labels, once, and the same each time. The validation split, the normalisation
and the batches are made for it. Files are found below `self.root`, which `--data-root` sets.
"""

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.base import Dataset, Shape, Split

NAMES = ("square", "disc", "cross")


class Shapes(Dataset):
    """Images of one grey channel, dark shapes on noise."""

    size: int = Field(default=16, ge=8)
    """Height and width in pixels."""
    num_train: int = Field(default=600, ge=30)
    """Images for training and validation."""
    num_test: int = Field(default=150, ge=3)
    """Images for the test."""

    @override
    def known_shape(self) -> Shape:
        return Shape(len(NAMES), self.size, self.size)

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        return self._draw(self.num_train, seed=1), NAMES

    @override
    def read_test(self) -> Split:
        return self._draw(self.num_test, seed=2)

    def _draw(self, count: int, *, seed: int) -> Split:
        """The same images for the same seed, in every process: nothing is drawn from a global generator."""
        generator = torch.Generator().manual_seed(seed)
        targets = torch.arange(count) % len(NAMES)
        centre = self.size * (0.35 + 0.3 * torch.rand(count, 2, 1, 1, generator=generator))
        radius = self.size * (0.15 + 0.15 * torch.rand(count, 1, 1, generator=generator))
        line = torch.arange(self.size, dtype=torch.float32)
        rows, columns = (line[:, None] - centre[:, 0]).abs(), (line - centre[:, 1]).abs()
        drawn = _drawn(rows, columns, radius)[targets, torch.arange(count)]
        noise = torch.rand(drawn.shape, generator=generator)
        grey = 255 * (0.4 + 0.5 * noise) * torch.where(drawn, 0.3, 1.0)
        return Split(grey.to(torch.uint8)[:, None], targets)


def _drawn(rows: Tensor, columns: Tensor, radius: Tensor) -> Tensor:
    """Where each shape is, bool [3, N, H, W]; `rows` and `columns` are distances from the centre in pixels."""
    square = torch.maximum(rows, columns) < 0.85 * radius
    disc = rows**2 + columns**2 < radius**2
    cross = (torch.minimum(rows, columns) < 0.3 * radius) & (torch.maximum(rows, columns) < 1.2 * radius)
    return torch.stack([square, disc, cross])
