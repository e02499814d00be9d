"""Made-up images of any number of classes: a smooth pattern for each class plus noise. For tests and benchmarks."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.base import Dataset, Shape, Split
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.seeding import generator

_GRID = 4
"""A pattern is drawn on so many cells each way and enlarged, so that a crop or a flip leaves it recognisable."""
_CHUNK = 4096
_PATTERNS, _TRAIN, _TEST = range(3)


class Synthetic(Dataset):
    """Class patterns and examples follow from `data_seed` alone; example i is of class i modulo `num_classes`."""

    name: Literal["synthetic"] = "synthetic"
    num_classes: int = Field(default=10, ge=2)
    """K."""
    size: int = Field(default=16, ge=1)
    """Height and width in pixels."""
    channels: int = Field(default=1, ge=1)
    """1 grey, 3 colour."""
    num_train: int = Field(default=1000, ge=1)
    """Examples in the training set, validation included."""
    num_test: int = Field(default=200, ge=1)
    """Examples in the test set."""
    noise: float = Field(default=0.2, ge=0)
    """Standard deviation of the pixel noise on the 0..1 scale; 0: all images of a class are equal."""
    data_seed: int = 0
    """Seed of the patterns and the noise; the seed of a trial plays no part."""

    @override
    def known_shape(self) -> Shape:
        return Shape(self.num_classes, self.size, self.size)

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        return self._make(self.num_train, _TRAIN), tuple(f"class {k}" for k in range(self.num_classes))

    @override
    def read_test(self) -> Split:
        """`num_test` examples of the same patterns with other noise."""
        return self._make(self.num_test, _TEST)

    @override
    def known_fingerprint(self) -> str:
        return of_parts([self.source()])  # which they follow from

    def _patterns(self) -> Tensor:
        """Float [K, C, H, W] in 0..1."""
        coarse = torch.rand(
            self.num_classes, self.channels, _GRID, _GRID, generator=generator(self.data_seed, "init", _PATTERNS)
        )
        return F.interpolate(coarse, size=(self.size, self.size), mode="bilinear")

    def _make(self, count: int, part: int) -> Split:
        patterns = self._patterns()
        noise_generator = generator(self.data_seed, "init", part)
        targets = torch.arange(count) % self.num_classes
        images = torch.empty(count, *patterns.shape[1:], dtype=torch.uint8)
        for start in range(0, count, _CHUNK):  # in chunks, because the noise takes four times the memory of the images
            clean = patterns[targets[start : start + _CHUNK]]
            noisy = clean + self.noise * torch.randn(clean.shape, generator=noise_generator)
            images[start : start + _CHUNK] = (noisy.clamp(0, 1) * 255).round().to(torch.uint8)
        return Split(images, targets)
