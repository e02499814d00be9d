"""A data set of one's own: bars that lie, stand or lean, drawn where chance puts them.

    cd examples && tune-mixup train --space mixup --out /tmp/bars --set data.name=my_dataset:Bars \
        --set model.name=tiny_resnet --set training.epochs=3
"""

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.base import Dataset, Shape, Split

CLASSES = ("lies", "stands", "leans")


class Bars(Dataset):
    """Grey images of `size` x `size` pixels with one bright bar each; a class has as many as the others."""

    size: int = Field(default=12, ge=6)
    """Height and width in pixels."""
    per_class: int = Field(default=200, ge=10)
    """Images of each class in the training set; the test set has a fifth of them."""

    @override
    def known_shape(self) -> Shape:
        return Shape(len(CLASSES), self.size, self.size)

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        return self._drawn(self.per_class, seed=0), CLASSES

    @override
    def read_test(self) -> Split:
        return self._drawn(self.per_class // 5, seed=1)

    def _drawn(self, per_class: int, *, seed: int) -> Split:
        """Every read gives the same images: the generator is this data set's own."""
        draws = torch.Generator().manual_seed(seed)
        targets = torch.arange(len(CLASSES)).repeat_interleave(per_class)
        noise = 40 * torch.rand(len(targets), 1, self.size, self.size, generator=draws)
        places = torch.randint(1, self.size - 1, (len(targets),), generator=draws).tolist()
        bars = torch.stack([self._bar(int(label), place) for label, place in zip(targets, places, strict=True)])
        return Split((noise + 200 * bars).to(torch.uint8), targets)

    def _bar(self, label: int, place: int) -> Tensor:
        across = torch.eye(self.size)[place].expand(self.size, self.size)  # it stands
        leaning = torch.eye(self.size).roll(place, dims=1)
        return (across.T, across, leaning)[label].unsqueeze(0)
