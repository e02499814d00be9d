"""The rectangle that is pasted: from a share and a centre to edges, mask and the share that is really left.

Rows and columns are counted from 0; a box is [top, bottom) x [left, right), clipped to the H x W image. Edges are
tensors, so that no value is read on the host: [] for one box, [B] for one per image, written [*] here.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Box(NamedTuple):
    """Edges, int64 [*]: rows top <= y < bottom, columns left <= x < right."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor


def box_around(row: Tensor, column: Tensor, lam: Tensor, *, height: int, width: int) -> Box:
    """The box with a share 1 - lam of the image's area around a centre pixel, cut off at the image's edges.

    `row`, `column` int64 [*]; lam float [*] in [0, 1].
    """
    return box_of_scale(row, column, (1 - lam.double()).sqrt(), height=height, width=width)


def box_of_scale(row: Tensor, column: Tensor, scale: Tensor, *, height: int, width: int) -> Box:
    """The box of `scale` times the image's sides around a centre pixel, cut off at the image's edges.

    `row`, `column` int64 [*]; scale float64 [*] in [0, 1]. Sides are rounded down; the half sides are rounded down
    again, so an odd side loses one pixel.
    """
    half_height = (height * scale).floor().long() // 2
    half_width = (width * scale).floor().long() // 2
    return Box(
        top=(row - half_height).clamp(0, height),
        bottom=(row + half_height).clamp(0, height),
        left=(column - half_width).clamp(0, width),
        right=(column + half_width).clamp(0, width),
    )


def inside(box: Box, *, height: int, width: int) -> Tensor:
    """Which pixels lie in the box: bool [*, H, W]."""
    rows = torch.arange(height, device=box.top.device)
    columns = torch.arange(width, device=box.top.device)
    in_rows = (rows >= box.top[..., None]) & (rows < box.bottom[..., None])
    in_columns = (columns >= box.left[..., None]) & (columns < box.right[..., None])
    return in_rows[..., :, None] & in_columns[..., None, :]


def share_outside(box: Box, *, height: int, width: int) -> Tensor:
    """The share of the image's area that the box leaves, float32 [*] in [0, 1]: lam after clipping."""
    area = (box.bottom - box.top) * (box.right - box.left)
    return (1 - area.double() / (height * width)).float()


SIDE = 32
"""Pixels to a side of the images that strengths are told for, which settings do not know."""
SCALES = tuple(half * 2 / SIDE for half in range(SIDE // 2 + 1))
"""The least scale of a box that has so many pixels to half a side."""


def mean_minor_share_of_boxes(alpha: float) -> float:
    """E[min(lam, 1 - lam)] of the lam that boxes leave: drawn from Beta(alpha, alpha), with the centre anywhere."""
    if alpha == 0:
        return 0.0
    from scipy.special import betainc  # here, because it takes a quarter of a second

    # As the box is made of it: 1 - lam is 1 for what is drawn within rounding of 0.
    below = betainc(alpha, alpha, [max(1 - scale**2, 2.0**-54) for scale in SCALES])
    return float(-np.diff(below, append=0.0) @ minor_shares())


@cache
def minor_shares() -> NDArray[np.float64]:
    """The mean over all centres of min(lam, 1 - lam), for each number of pixels that half a side can have."""
    row, column = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    scale = torch.tensor(SCALES, dtype=torch.float64)[:, None, None]
    lam = share_outside(box_of_scale(row, column, scale, height=SIDE, width=SIDE), height=SIDE, width=SIDE).double()
    found: NDArray[np.float64] = torch.minimum(lam, 1 - lam).mean((1, 2)).numpy()
    return found
