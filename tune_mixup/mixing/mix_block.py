"""The maths of a MixBlock, which says by the features of two images what each pixel of their mixture shows.

Liu et al., "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", ECCV 2022, arXiv:2103.13027, section 4.1.

Shapes: B batch, P = h w places of a map, D channels of the attention, H x W pixels. Everything is float32.
"""

import torch
from torch import Tensor


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(q k' / sqrt D) v, which is [B, P], for `queries` and `keys` [B, P, D] and `values` [B, P]."""
    likeness = queries @ keys.mT * queries.shape[-1] ** -0.5
    gathered: Tensor = likeness.softmax(-1) @ values[:, :, None]
    return gathered.squeeze(-1)


def enlarge(maps: Tensor, *, height: int, width: int, smooth: bool) -> Tensor:
    """`maps` [B, h, w] on H x W pixels: each pixel has its place's value or, `smooth`, blends that of the nearest ones.

    As torch's interpolate with `nearest`, or with `bilinear` whose corners are not aligned. Written as products, whose
    gradients are repeatable on a GPU, where those of torch's are not.
    """
    rows, columns = (
        _weights(pixels, places, smooth=smooth, like=maps)
        for pixels, places in zip((height, width), maps.shape[-2:], strict=True)
    )
    enlarged: Tensor = rows @ maps @ columns.mT
    return enlarged


def _weights(pixels: int, places: int, *, smooth: bool, like: Tensor) -> Tensor:
    """How much of each place each pixel of a side has: [pixels, places], rows sum to 1."""
    pixel = torch.arange(pixels, device=like.device)[:, None]
    place = torch.arange(places, device=like.device)
    if not smooth:
        return (pixel * places // pixels == place).to(like.dtype)
    middle = ((pixel.to(like.dtype) + 0.5) * (places / pixels) - 0.5).clamp(0, places - 1)
    return (1 - (middle - place).abs()).clamp_min(0)


def mask_loss(partner_mask: Tensor, lam: Tensor, *, margin: float | Tensor) -> Tensor:
    """How far the mean of `partner_mask` [B, H, W] over the batch is from 1 - lam, above the margin: []."""
    return ((1 - partner_mask.mean() - lam).abs() - margin).clamp_min(0)


def rescaled(lam: Tensor, residual: float) -> Tensor:
    """lam as SAMix feeds it to the block: 0, 1/2 and 1 stay, and all else moves towards 1/2, less with more `residual`.

    (4/3 lam^3 - 2 lam^2 + k lam) / (k - 2/3) with k = 1 + residual.
    """
    k = 1 + residual
    return (4 / 3 * lam**3 - 2 * lam**2 + k * lam) / (k - 2 / 3)
