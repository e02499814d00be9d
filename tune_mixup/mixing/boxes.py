"""The rectangle that is pasted: from a share and a centre to edges, mask and the share that is really left.

Rows and columns are counted from 0; a box is [top, bottom) x [left, right), clipped to the H x W image. Edges are
tensors, so that no value is read on the host: [] for one box, [B] for one per image, written [*] here.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from tune_mixup.mixing import even_draws


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


@lru_cache(maxsize=1024)  # trials of one setting are asked for theirs again and again
def mean_minor_share_of_boxes(alpha: float) -> float:
    """E[min(lam, 1 - lam)] of the lam that boxes leave: drawn from Beta(alpha, alpha), with the centre anywhere."""
    share, down, across = even_draws.uniform(3)
    side = even_draws.SIDE
    row, column = even_draws.pixel(down), even_draws.pixel(across)
    box = box_around(row, column, even_draws.beta(alpha, share), height=side, width=side)
    return even_draws.mean_minor(share_outside(box, height=side, width=side))
