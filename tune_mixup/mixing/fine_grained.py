"""Fine-grained saliency: how much brighter or darker each pixel is than its surroundings, at six sizes of these.

Montabone and Soto, "Human Detection Using a Mobile Platform and Novel Features Derived From a Visual Saliency
Mechanism", Image and Vision Computing 28, 2010, as OpenCV computes it (`StaticSaliencyFineGrained`), to the last bit
for bytes: grey levels are blurred twice, and what a pixel exceeds the mean around it by is summed over the sizes, and
so is what it lies below it. Both sums are scaled to 0..255 and added.

Means of surroundings are products with matrices of 0 and 1 rather than differences of an integral image: those are
exact in double precision whatever the size, and a running sum of floats on a GPU differs from one time to the next.
"""

import torch
from torch import Tensor

SIZES = (12, 24, 48, 28, 56, 112)
"""How far the surroundings reach, in pixels."""
BLUE, GREEN, RED = 0.114, 0.587, 0.299
"""Weights of the first, second and third of three channels: OpenCV takes them for blue, green and red."""


def fine_grained(images: Tensor) -> Tensor:
    """Maps of images of bytes: float32 [B, H, W], whole numbers 0 to 255, of uint8 [B, C, H, W].

    Three channels are weighed as OpenCV weighs them; any other number has its mean.
    """
    grey = _grey_levels(images.int())
    for _ in range(2):
        grey = (_summed_around(grey) + 8) >> 4
    return _contrast(grey, grey)


def fine_grained_of_floats(images: Tensor) -> Tensor:
    """What the same code makes of float images [B, C, H, W], as SaliencyMix's hands it: float32 [B, H, W], 0 to 255.

    Grey floats are blurred and their surroundings summed as they should be, but the pixels themselves are the first W
    *bytes* of each row of W floats, the lowest byte of each float first. Two of four are noise, and one nearly so.
    """
    grey = _grey_floats(images.float())
    for _ in range(2):
        grey = _summed_around(grey) / 16
    return _contrast(_first_bytes(grey), grey)


def stretched(images: Tensor) -> Tensor:
    """Float images [B, C, H, W] as bytes, each one's smallest value as 0 and its largest as 255: uint8."""
    pixels = images.float()
    low, high = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
    span = (high - low).clamp_min(torch.finfo(pixels.dtype).tiny)
    return ((pixels - low) / span * 255).round().to(torch.uint8)


def _grey_levels(images: Tensor) -> Tensor:
    """Grey levels 0 to 255 of levels, both int32; OpenCV's weights are whole 2 ** 15ths that sum to 1."""
    if images.shape[1] != 3:
        return (images.sum(1) + images.shape[1] // 2) // images.shape[1]
    green, red = round(GREEN * 2**15), round(RED * 2**15)
    blue = 2**15 - green - red
    return (blue * images[:, 0] + green * images[:, 1] + red * images[:, 2] + 2**14) >> 15


def _grey_floats(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images.mean(1)
    return BLUE * images[:, 0] + GREEN * images[:, 1] + RED * images[:, 2]


def _summed_around(grey: Tensor) -> Tensor:
    """16 times the blur of `grey` [B, H, W] by (1, 2, 1) / 4 along both sides, mirrored at the edge pixels' middles."""
    for dim in (1, 2):
        length = grey.shape[dim]
        place = torch.arange(length, device=grey.device)
        before, after = (place - 1).abs(), length - 1 - (place - length + 2).abs()
        if length == 1:
            before = after = place
        grey = grey.index_select(dim, before) + 2 * grey + grey.index_select(dim, after)
    return grey


def _first_bytes(values: Tensor) -> Tensor:
    """The first W bytes of each row of float32 [B, H, W], the lowest byte of each number first: int32 [B, H, W]."""
    width = values.shape[-1]
    numbers = values[..., : (width + 3) // 4].contiguous().view(torch.int32)
    shift = torch.arange(0, 32, 8, device=values.device, dtype=torch.int32)
    return ((numbers[..., None] >> shift) & 255).flatten(-2)[..., :width]


def _contrast(levels: Tensor, grey: Tensor) -> Tensor:
    """How much levels 0 to 255, int32 [B, H, W], differ from the means of `grey` [B, H, W] around them, 0 to 255."""
    height, width = grey.shape[-2:]
    rows, columns = _reach(height, grey.device), _reach(width, grey.device)
    count = rows.sum(-1)[:, :, None] * columns.sum(-1)[:, None, :]
    around = (rows @ grey.double()[:, None] @ columns.mT).float()  # [B, size, H, W]
    centre = levels[:, None].float()
    mean = (around - centre) / (count - 1).clamp_min(1).float()
    on = _scaled((centre - mean).clamp_min(0).floor().sum(1))
    off = _scaled((mean - centre).clamp_min(0).floor().sum(1))
    return (on + off).clamp_max(255)


def _reach(length: int, device: torch.device) -> Tensor:
    """For each size and place along a side, which places it reaches: 0 or 1, float64 [size, length, length].

    From size - 1 before to size behind, as far as there are any.
    """
    place = torch.arange(length, device=device)
    ahead = place - place[:, None]
    return torch.stack([(ahead > -size) & (ahead <= size) for size in SIZES]).double()


def _scaled(sums: Tensor) -> Tensor:
    """Sums [B, H, W] with the largest of each map as 255, rounded down."""
    share = sums / sums.amax((1, 2), keepdim=True).clamp_min(1)
    return (255 * share.double()).floor().float()
