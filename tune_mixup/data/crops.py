"""Random-resized crops of whole batches on the device, and centre crops, as torchvision's transforms make them.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6, with the ranges of torchvision's
`RandomResizedCrop`. A box is resized with antialiasing, which is two multiplications by matrices of weights: rows of
the image become rows of the crop, columns become columns.

Shapes: B batch, C channels, H x W pixels of an image, h x w of a crop.
"""

import math
from typing import Annotated, Literal, Self

import torch
from pydantic import BeforeValidator, Field, model_validator
from torch import Generator, Tensor

from tune_mixup.schema import Schema

_TRIES = 10
"""How many boxes are drawn, of which the first that fits into the image is taken."""

Range = Annotated[tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], Field(strict=False)]
"""Least and most."""
Pixels = Annotated[int, Field(ge=1)]


def square(given: object) -> object:
    """One number as the height and the width."""
    return (given, given) if isinstance(given, int) else given


class Crop(Schema):
    """What the network sees of an image: in training a random part of it, else its centre; by default all of it."""

    size: Annotated[tuple[Pixels, Pixels] | None, Field(strict=False), BeforeValidator(square)] = None
    """Height and width in pixels that the network sees, or one number for a square, at most those of the images; empty:
    those of the images. Outside of training it is the centre of the image."""
    train: Literal["window", "resized"] = "window"
    """What is taken of a training image: a window of that size at a random place, padded by `augment.crop_padding`; or
    a random box of the image, resized to that size."""
    scale: Range = (0.08, 1.0)
    """Area of the box as a share of the image's, at most 1: uniform between the two."""
    ratio: Range = (3 / 4, 4 / 3)
    """Width of the box divided by its height: its logarithm is uniform between those of the two."""
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    """How the box is resized; both with antialiasing."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for key, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if low > high:
                raise ValueError(f"{key}: got {low:g} to {high:g}, must ascend; swap them")
        if self.scale[1] > 1:
            raise ValueError(f"scale: got up to {self.scale[1]:g}, but a box is at most the image; use at most 1")
        return self

    def simplest(self) -> "Crop":
        """The simplest settings that show the network the same."""
        return Crop(size=self.size) if self.train == "window" else self

    def seen(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) that the network sees of images of `height` x `width`. Raises ValueError where these are smaller."""
        if self.size is None:
            return height, width
        if self.size[0] > height or self.size[1] > width:
            raise ValueError(
                f"data.crop.size: got {self.size[0]} x {self.size[1]}, but the images have {height} x {width} pixels; "
                "use at most that, or larger images"
            )
        return self.size


def centre(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle h x w of images [B, C, H, W], a view: [B, C, h, w]. An odd rest is shared as torchvision does it."""
    top, left = (round((there - wanted) / 2) for there, wanted in zip(images.shape[2:], size, strict=True))
    return images[:, :, top : top + size[0], left : left + size[1]]


def draw_boxes(
    number: int, *, height: int, width: int, crop: Crop, device: torch.device, generator: Generator
) -> Tensor:
    """Boxes int64 [B, 4] of images of H x W: top, left, height, width. The law is torchvision's `get_params`.

    Of ten boxes the first is taken that fits; where none does, the largest in the middle whose ratio is allowed.
    """
    drawn = torch.rand(number, _TRIES, 2, device=device, generator=generator)
    place = torch.rand(number, 2, device=device, generator=generator)
    (least, most), (low, high) = crop.scale, crop.ratio
    area = height * width * (least + (most - least) * drawn[:, :, 0])
    ratio = (math.log(low) + (math.log(high) - math.log(low)) * drawn[:, :, 1]).exp()
    heights, widths = (area / ratio).sqrt().round(), (area * ratio).sqrt().round()
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    # A last column that always fits holds what is taken where no box does.
    fallback_height, fallback_width = _fallback(height, width, crop.ratio)
    heights = torch.cat([heights, torch.full_like(heights[:, :1], fallback_height)], 1)
    widths = torch.cat([widths, torch.full_like(widths[:, :1], fallback_width)], 1)
    fits = torch.cat([fits, torch.ones_like(fits[:, :1])], 1)
    first = fits.long().argmax(1, keepdim=True)
    taken = torch.cat([heights.gather(1, first), widths.gather(1, first)], 1)
    rest = torch.cat([height - taken[:, :1], width - taken[:, 1:]], 1)
    corner = torch.where(first == _TRIES, (rest / 2).floor(), torch.minimum((place * (rest + 1)).floor(), rest))
    return torch.cat([corner, taken], 1).long()


def resized(images: Tensor, boxes: Tensor, *, size: tuple[int, int], crop: Crop) -> Tensor:
    """What is in each image's box, int64 [B, 4] of top, left, height and width, in h x w pixels.

    Of images uint8 [B, C, H, W] it is uint8 [B, C, h, w], rounded; of floating-point numbers their type.
    """
    rows = _weights(boxes[:, 0], boxes[:, 2], there=images.shape[2], wanted=size[0], crop=crop)
    columns = _weights(boxes[:, 1], boxes[:, 3], there=images.shape[3], wanted=size[1], crop=crop)
    made = rows[:, None] @ images.float() @ columns[:, None].transpose(2, 3)
    return made.to(images.dtype) if images.is_floating_point() else made.round().clamp(0, 255).to(images.dtype)


def _weights(first: Tensor, count: Tensor, *, there: int, wanted: int, crop: Crop) -> Tensor:
    """How much of each of `there` pixels is in each of `wanted`, float32 [B, wanted, there]; each row's sum is 1.

    The pixels are `count` int64 [B] from `first` int64 [B] on. Their centres are at 0.5, 1.5, ...
    """
    device = first.device
    scale = (count / wanted)[:, None, None]
    centres = (torch.arange(wanted, device=device)[:, None] + 0.5) * scale + first[:, None, None]
    pixels = torch.arange(there, device=device)
    distance = (pixels + 0.5 - centres) / scale.clamp(min=1)
    inside = (pixels >= first[:, None, None]) & (pixels < (first + count)[:, None, None])
    weights = torch.where(inside, _KERNELS[crop.filter](distance.abs()), 0)
    return weights / weights.sum(2, keepdim=True)


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp(min=0)


def _cubic(distance: Tensor) -> Tensor:
    """Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, with a = -1/2 as Pillow has it."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic}


def _fallback(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Height and width of the largest box whose ratio is in the range."""
    low, high = ratio
    if width / height < low:
        return round(width / low), width
    if width / height > high:
        return height, round(height * high)
    return height, width
