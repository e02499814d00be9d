"""Where a training step finds the images of its batch: all of them on the device, or the batch that was copied there.

Shapes: N training images, B batch, C channels, H x W pixels, p padding.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.ahead import Ahead
from tune_mixup.data.augment import Augment, prepare
from tune_mixup.data.loading import TrainingData
from tune_mixup.data.rows import Rows


class Feed(ABC):
    """The images of a step."""

    @abstractmethod
    def begin_epoch(self, batches: Tensor) -> None:
        """Get ready for an epoch of `batches`, int64 [num_batches, B] on the device."""

    @abstractmethod
    def advance(self) -> None:
        """Lay out what the next step needs; outside of a captured step."""

    @abstractmethod
    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Padded images [*, C, H + 2p, W + 2p] and which of them are the batch `index`, int64 [B], all on the device.

        It may be captured: what it reads stays in its place.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of what is needed for training only."""


@final
class Resident(Feed):
    """All images on the device, padded once."""

    def __init__(self, prepared: Tensor) -> None:
        self._prepared = prepared

    @override
    def begin_epoch(self, batches: Tensor) -> None:
        pass

    @override
    def advance(self) -> None:
        pass

    @override
    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self._prepared, index

    @override
    def close(self) -> None:
        pass


@final
class Streamed(Feed):
    """Images on the host, of which a batch at a time is copied to the device and padded there.

    Once an epoch the host reads which images are in its batches, and waits for the device to have drawn them.
    """

    def __init__(self, images: Rows, augment: Augment, device: torch.device, *, batch_size: int) -> None:
        self._augment = augment
        self._ahead = Ahead(images, batch_size=batch_size, device=device)
        self._batch = torch.zeros(batch_size, *images.shape[1:], dtype=images.dtype, device=device)
        self._rows = torch.arange(batch_size, device=device)
        prepare(self._batch, augment)  # raises for a padding that is too large, before anything is captured

    @override
    def begin_epoch(self, batches: Tensor) -> None:
        self._ahead.begin(batches.cpu().unbind())

    @override
    def advance(self) -> None:
        self._batch.copy_(self._ahead.next())

    @override
    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return prepare(self._batch, self._augment), self._rows

    @override
    def close(self) -> None:
        self._ahead.close()


def feed_for(data: TrainingData, augment: Augment, device: torch.device, *, batch_size: int) -> Feed:
    """What feeds a step with batches of the training split. Raises ValueError for what the data can't give."""
    images = data.train.images
    if isinstance(images, Rows):
        augment.check(data.background)
        return Streamed(images, augment, device, batch_size=batch_size)
    return Resident(data.prepared(augment))
