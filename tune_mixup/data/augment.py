"""Random crops, flips and normalisation of whole batches on the device where the images live.

The training images are padded once; a batch of crops is then one `index_select` over all runs of W neighbouring
pixels, which copies whole rows instead of single pixels.

Shapes: N images of the split, B batch, C channels, H x W pixels.
"""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from tune_mixup.data.crops import Crop, draw_boxes, resized
from tune_mixup.data.rows import Images
from tune_mixup.schema import Schema

_PART = 1024
"""Images that are measured at a time."""
_WINDOWS = Crop()


class Augment(Schema):
    """Random changes to the training images; the default changes nothing."""

    crop_padding: int = Field(default=0, ge=0)
    """Pixels added on every side before a random crop back to H x W; less than H and W. 0: no crop."""
    flip: bool = False
    """Mirror left-right with probability 1/2."""
    padding_mode: Literal["zeros", "reflect"] = "zeros"
    """What the added pixels hold: black, or the image mirrored at its border pixels."""

    def check(self, background: Tensor | None) -> None:
        """Raises ValueError where the data lacks what is to be added: `background`, of `TrainingData`."""

    def vary(self, images: Tensor, *, background: Tensor | None, generator: Generator) -> Tensor:
        """Images [B, C, H, W] after crops and flips, changed further as a kind of data needs it; here as they are.

        `background` [M, C, H, W] is what may be added. Nothing is read on the host, nothing written into an argument.
        """
        return images


def prepare(images: Tensor, augment: Augment) -> Tensor:
    """The images uint8 [N, C, H, W] of a split with padding added: uint8 [N, C, H + 2p, W + 2p], p = crop_padding.

    Raises ValueError where the padding is not less than H and W.
    """
    padding = augment.crop_padding
    if padding == 0:
        return images
    height, width = images.shape[2:]
    if padding >= min(height, width):
        raise ValueError(
            f"data.augment.crop_padding is {padding}, but must be less than the images' {height} x {width} pixels;"
            f" use at most {min(height, width) - 1}"
        )
    if augment.padding_mode == "reflect":
        rows, columns = (_reflected(length, padding, images.device) for length in (height, width))
        return images.index_select(2, rows).index_select(3, columns)
    padded = images.new_zeros(*images.shape[:2], height + 2 * padding, width + 2 * padding)
    padded[:, :, padding:-padding, padding:-padding] = images
    return padded


def augment_batch(
    prepared: Tensor,
    index: Tensor,
    *,
    size: tuple[int, int],
    augment: Augment,
    generator: Generator,
    boxes: Crop = _WINDOWS,
) -> Tensor:
    """The images `index` int64 [B] of `prepared`, cropped and flipped, each on its own: uint8 [B, C, H, W].

    `size` is (H, W) as the network sees them, and `boxes` says what of an image that is. Everything is on one device,
    and no value is read on the host.
    """
    device = prepared.device
    if boxes.train == "resized":
        images = prepared.index_select(0, index)
        height, width = images.shape[2:]
        drawn = draw_boxes(len(index), height=height, width=width, crop=boxes, device=device, generator=generator)
        images = resized(images, drawn, size=size, crop=boxes)
    elif prepared.shape[2:] != size:
        images = crop(prepared, index, _corners(prepared, len(index), size, generator), size=size)
    else:
        images = prepared.index_select(0, index)
    if augment.flip:
        images = flip(images, torch.rand(len(index), device=device, generator=generator) < 0.5)
    return images


def _corners(prepared: Tensor, number: int, size: tuple[int, int], generator: Generator) -> Tensor:
    """Top rows and left columns int64 [B, 2] of windows of `size`, all places alike."""
    device = prepared.device
    rows, columns = (there - wanted + 1 for there, wanted in zip(prepared.shape[2:], size, strict=True))
    if rows == columns:  # as when there was only padding, whose draws must stay what they were
        return torch.randint(rows, (number, 2), device=device, generator=generator)
    drawn = (torch.randint(places, (number,), device=device, generator=generator) for places in (rows, columns))
    return torch.stack(tuple(drawn), 1)


def crop(prepared: Tensor, index: Tensor, corners: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Windows of `size` (H, W) from the images `index` int64 [B]: [B, C, H, W].

    `corners` int64 [B, 2] holds each window's top row and left column.
    """
    channels, height, width = prepared.shape[1:]
    first = (index * channels * height + corners[:, 0]) * width + corners[:, 1]
    channel = torch.arange(channels, device=prepared.device) * (height * width)
    row = torch.arange(size[0], device=prepared.device) * width
    starts = first[:, None, None] + channel[:, None] + row
    runs = prepared.reshape(-1).unfold(0, size[1], 1)
    return runs.index_select(0, starts.reshape(-1)).reshape(len(index), channels, *size)


def flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Images [B, C, H, W], mirrored left-right where `flipped` bool [B]."""
    both = torch.cat([images, images.flip(3)])
    return both.index_select(0, torch.arange(len(images), device=images.device) + len(images) * flipped)


def normaliser(mean: Tensor, std: Tensor) -> Callable[[Tensor], Tensor]:
    """What makes (images / 255 - mean) / std of uint8 images [B, C, H, W], in float32; both are float32 [C, 1, 1].

    Of images that are floating-point numbers, which are no pixels, it makes (images - mean) / std.
    """
    scale, shift = 1 / (255 * std), mean / std

    def normalised(images: Tensor) -> Tensor:
        if images.is_floating_point():
            return (images.to(torch.float32) - mean).div_(std)
        # In place on the fresh copy: a new tensor for every step is many times slower on a CPU (fresh pages).
        return images.to(torch.float32).mul_(scale).sub_(shift)

    return normalised


def normalise(images: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What `normaliser` makes of images [B, C, H, W], in `dtype`; mean and std are float32 [C, 1, 1]."""
    return normaliser(mean, std)(images).to(dtype)


def measure(images: Images) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of all pixels of uint8 images [N, C, H, W], on the 0..1 scale: float32 [C, 1, 1].

    Those of floating-point numbers are on the scale of these. A channel that is constant gets a standard deviation of
    1, so that it can be divided by. It looks at a part of the images at a time.
    """
    if images.is_floating_point():
        mean, variance = _moments(images)
        return _as_statistics(mean, variance)
    counts = torch.stack([_counts(part) for part in images.split(_PART)]).sum(0).double()
    level = torch.arange(256, dtype=torch.float64, device=counts.device) / 255
    total = counts.sum(1)
    mean = (counts * level).sum(1) / total
    variance = (counts * (level - mean[:, None]) ** 2).sum(1) / total
    return _as_statistics(mean, variance)


def _counts(images: Tensor) -> Tensor:
    """How often each channel has each level, int64 [C, 256]."""
    return torch.stack([torch.bincount(channel.reshape(-1), minlength=256) for channel in images.unbind(1)])


def _moments(images: Images) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, float64 [C], by parts: the whole in float64 could be too much for memory."""
    count = images.shape.numel() / images.shape[1]
    mean = torch.stack([part.double().sum((0, 2, 3)) for part in images.split(_PART)]).sum(0) / count
    squares = [(part.double() - mean[:, None, None]).square().sum((0, 2, 3)) for part in images.split(_PART)]
    return mean, torch.stack(squares).sum(0) / count


def _as_statistics(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    std = torch.where(variance > 0, variance.sqrt(), 1)
    return mean.float().reshape(-1, 1, 1), std.float().reshape(-1, 1, 1)


def _reflected(length: int, padding: int, device: torch.device) -> Tensor:
    """Index of the source pixel for each padded one: p..1, 0..length-1, length-2..; the border is not repeated."""
    offset = torch.arange(-padding, length + padding, device=device).abs()
    return length - 1 - (length - 1 - offset).abs()
