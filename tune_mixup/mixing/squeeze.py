"""A whole image made to fit a box whose size only the device knows: every pixel of the box looks up its source."""

from typing import Literal

import torch
from torch import Tensor

from tune_mixup.mixing.base import interpolate
from tune_mixup.mixing.boxes import Box

Interpolation = Literal["nearest", "bilinear"]
"""nearest: the source pixel in which the small pixel begins, as torch rounds it; bilinear: a blend of the four around
its centre."""


def squeeze_into(images: Tensor, box: Box, interpolation: Interpolation) -> Tensor:
    """Each of `images` [B, C, H, W] resized to the box (edges [] or [B]) and put there: [B, C, H, W].

    The same pixels as torch's `interpolate` of that mode, without antialiasing, for images of float32 or less. Outside
    of the box, and everywhere for a box without area, the result is some pixels of the image.
    """
    small = images
    for dim, (start, end) in ((2, (box.top, box.bottom)), (3, (box.left, box.right))):
        squeeze = _nearest if interpolation == "nearest" else _bilinear
        small = squeeze(small, dim, start[..., None], end[..., None])
    return small


def _nearest(images: Tensor, dim: int, start: Tensor, end: Tensor) -> Tensor:
    length = images.shape[dim]
    place = torch.arange(length, device=images.device) - start
    return _pick(images, dim, nearest_source(place, length, end - start))


def nearest_source(place: Tensor, length: int, size: Tensor) -> Tensor:
    """Which of `length` pixels torch's nearest `interpolate` to `size` pixels takes for each `place`, int64.

    torch rounds the ratio of the sizes, and `place` times that, to float32 (for images of float64 it does not): 96
    pixels made 74 take pixel 47 once more where 48 begins.
    """
    return (place * _ratio(length, size)).floor().long()


def _bilinear(images: Tensor, dim: int, start: Tensor, end: Tensor) -> Tensor:
    length = images.shape[dim]
    place = torch.arange(length, device=images.device) - start
    source = ((place + 0.5) * _ratio(length, end - start) - 0.5).clamp(0, length - 1)
    before = source.floor()
    first, second = (_pick(images, dim, index.long()) for index in (before, before + 1))
    weight = _along(dim, 1 - (source - before))
    return interpolate(first.float(), second.float(), weight).to(images.dtype)


def _ratio(length: int, size: Tensor) -> Tensor:
    """length / size in float32, the rounding of which is part of what torch does.

    Rounded from float64, which gives the same number: compilers may divide float32 less exactly.
    """
    return (length / size.clamp_min(1).double()).float()


def _pick(images: Tensor, dim: int, index: Tensor) -> Tensor:
    """Row or column `index` int64 [*, L] of each image, for each place along `dim`; those beyond it are clamped."""
    return images.take_along_dim(_along(dim, index.clamp(0, images.shape[dim] - 1)), dim)


def _along(dim: int, values: Tensor) -> Tensor:
    """`values` [*, L] laid along `dim` of [1 or B, 1, H, W]."""
    return values.reshape(-1, 1, 1, values.shape[-1]).transpose(3, dim)
