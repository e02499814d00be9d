"""What the labels of Puzzle Mix cost: how much of the own image each block of a grid should show.

Kim, Choo, Song, "Puzzle Mix: Exploiting Saliency and Local Statistics for Optimal Mixup", ICML 2020, arXiv:2009.06962,
equation 4, with the constants of the authors' released code.

Every image of a batch may be cut by a grid of its own, and all take the same operations: costs are laid out on a canvas
as large as the finest grid, where cells beyond the image's own grid cost nothing and have no neighbours.

Shapes: B images, G grids, N x N cells of the canvas, L labels. Where an axis has 2, 0 is the own image and 1 the
partner.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad


class Costs(NamedTuple):
    """What `label_grid` takes: unary float32 [B, N, N, L], down [B, N-1, N] and across [B, N, N-1]."""

    unary: Tensor
    down: Tensor
    across: Tensor


class Cutting(NamedTuple):
    """Numbers of cells along each side, G of them, and which of these each image has, int64 [B]."""

    grids: tuple[int, ...]
    which: Tensor

    def pick(self, values: Sequence[int]) -> Tensor:
        """Each image's own of one number per grid, int64 [B]; nothing is copied to the device."""
        picked = torch.full_like(self.which, values[0])
        for index, value in enumerate(values[1:], start=1):
            picked = torch.where(self.which == index, value, picked)
        return picked


@dataclass(frozen=True)
class PuzzleWeights:
    """What the parts of the cost weigh, as in the paper."""

    beta: float
    """Neighbours of different labels."""
    gamma: float
    """Jumps of the pixels between neighbours, relative to beta."""
    eta: float
    """Labels that are unlikely for lam."""


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is not above `most`; both are 1 or more."""
    return next(divisor for divisor in range(min(number, most), 0, -1) if number % divisor == 0)


def shares(saliency: Tensor, patches: Sequence[tuple[int, int]], cutting: Cutting, partner: Tensor) -> Tensor:
    """The share of its image's saliency that each patch has: float32 [2, B, R, C], 0 beyond the patches.

    `saliency` float32 [B, H, W] >= 0; `patches` are their height and width in pixels for each grid of `cutting`, and
    divide H and W. R x C are as many as the smallest make. A partner is cut as the own image is. Without any saliency,
    all patches of an image have the same share.
    """
    pooled = [avg_pool2d(saliency, patch) for patch in patches]
    rows, columns = (max(maps.shape[side] for maps in pooled) for side in (1, 2))
    laid = []
    for maps in pooled:
        total = maps.sum((1, 2), keepdim=True)
        share = torch.where(total > 0, maps / total, 1 / maps[0].numel())
        laid.append(pad(share, (0, columns - maps.shape[2], 0, rows - maps.shape[1])))
    index = torch.arange(len(saliency), device=saliency.device)
    stacked = torch.stack(laid)
    return torch.stack([stacked[cutting.which, rows] for rows in (index, partner)])


def jumps(images: Tensor, partner: Tensor, cutting: Cutting, *, neigh_size: int) -> tuple[Tensor, Tensor]:
    """How far pixels are apart across the borders between blocks: float32 [2, 2, B, N-1, N] and [2, 2, B, N, N-1].

    The first two axes say which image is above and which below, or left and right. `images` [B, C, H, W] are pooled by
    `neigh_size` pixels first, or by as many as divide a block; the absolute difference is then the mean over channels
    and along the border.
    """
    size = max(cutting.grids)
    vertical, horizontal, seen = [], [], {}
    for grid in cutting.grids:
        pool = tuple(largest_divisor(side // grid, neigh_size) for side in images.shape[-2:])
        if pool not in seen:
            pooled = avg_pool2d(images.float(), pool)
            seen[pool] = torch.stack([pooled, pooled[partner]])
        beyond = size - grid
        vertical.append(pad(_across_borders(seen[pool], grid), (0, beyond, 0, beyond)))
        turned = _across_borders(seen[pool].transpose(-1, -2), grid)
        horizontal.append(pad(turned.transpose(-1, -2), (0, beyond, 0, beyond)))
    index = torch.arange(len(images), device=images.device)
    down, across = (torch.stack(found)[cutting.which, :, :, index].movedim(0, 2) for found in (vertical, horizontal))
    return down, across


def _across_borders(both: Tensor, grid: int) -> Tensor:
    """From images [2, B, C, P, Q] to the jumps [2, 2, B, grid - 1, grid] across their horizontal borders."""
    step = both.shape[-2] // grid
    above, below = both[..., step - 1 : -1 : step, :], both[..., step::step, :]
    apart = (above[:, None] - below[None]).abs()
    return apart.reshape(*apart.shape[:-1], grid, -1).mean((3, -1))


def puzzle_costs(
    share: Tensor,
    down: Tensor,
    across: Tensor,
    lam: Tensor,
    cutting: Cutting,
    weights: PuzzleWeights,
    *,
    num_labels: int,
) -> Costs:
    """The costs of labels 0, which shows the own image alone, to L - 1, which shows the partner alone.

    `share` [2, B, N, N] of the saliency, `down` and `across` as of `jumps`, `lam` float [B]. A label that is impossible
    for lam, as for lam 0 and 1 most are, costs infinitely much.
    """
    cells = cutting.pick(cutting.grids)
    smoothness = (weights.beta / (16 * cells))[:, None, None]
    down, across = (weights.gamma * smoothness * found for found in (down, across))
    # Who shows the own image hides the partner's saliency. Each side of a border pays half of its jumps to both images
    # that may be beyond; with `_tension` this is the jump that is seen, and a constant.
    keep = share.flip(0)
    keep = keep + pad(down.mean(1), (0, 0, 0, 1)) + pad(down.mean(0), (0, 0, 1, 0))
    keep = keep + pad(across.mean(1), (0, 1)) + pad(across.mean(0), (1, 0))
    own, other = keep.unbind()
    odds = prior(lam, num_labels)[:, None, None] * (weights.eta / cells.square())[:, None, None, None]
    unary = torch.stack([torch.lerp(own, other, label / (num_labels - 1)) for label in range(num_labels)], -1) + odds

    inside = torch.arange(share.shape[-1], device=cells.device) < cells[:, None]
    in_grid = inside[:, :, None] & inside[:, None, :]
    return Costs(
        torch.where(in_grid[..., None], unary, 0.0),
        torch.where(in_grid[:, 1:], smoothness + _tension(down), 0.0),
        torch.where(in_grid[:, :, 1:], smoothness + _tension(across), 0.0),
    )


def _tension(found: Tensor) -> Tensor:
    """By how much jumps between two images exceed those within one, [2, 2, ...] to [...]."""
    return (found[0, 1] + found[1, 0] - found[0, 0] - found[1, 1]) / 2


def prior(lam: Tensor, num_labels: int) -> Tensor:
    """Minus the logarithm of the chance that the partner wins a label's number of L - 1 draws: float32 [B, L].

    lam float [B] is the chance of the own image in each draw.
    """
    own, draws = lam.double(), num_labels - 1
    chances = [math.comb(draws, lost) * own ** (draws - lost) * (1 - own) ** lost for lost in range(num_labels)]
    return -torch.stack(chances, -1).log().float()


def label_distance(num_labels: int, *, device: torch.device) -> Tensor:
    """The square of how much more of the own image one label shows than another: float32 [L, L]."""
    shown = torch.arange(num_labels, device=device) / (num_labels - 1)
    return (shown - shown[:, None]).square()
