"""A crop of the image cut into cells, with a hole in each: from draws to edges to the pixels that lie in a hole.

Rows and columns are counted from 0. Everything is a tensor, so that no value is read on the host: [] for one grid, [B]
for one per image, written [*] here.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Grid(NamedTuple):
    """A crop and the cells in it, in pixels, int64 [*]; a hole is the upper left corner of a cell."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    cell_height: Tensor
    cell_width: Tensor
    hole_height: Tensor
    hole_width: Tensor


def lay_grid(
    lam: Tensor,
    num_holes: Tensor,
    area: Tensor,
    aspect: Tensor,
    down: Tensor,
    across: Tensor,
    *,
    hole_aspect: float,
    height: int,
    width: int,
    cut_to_image: bool = True,
) -> Grid:
    """The grid of `num_holes` int64 [*] cells across a crop of the H x W image.

    Float64 [*]: `area` of the crop in (0, 1], `aspect` its height over its width, `down` and `across` in [0, 1) its
    place between top and bottom, left and right. `lam` float [*] in [0, 1]: holes fill 1 - lam of their cells, at least
    one pixel and at most all but one of each side; none for lam = 1. A crop that is not `cut_to_image` may be wider or
    higher than the image and then starts at negative columns or rows.
    """
    full_width = ((height * width * area).floor() / aspect).sqrt().floor()
    crop_width = full_width.long()
    crop_height = (full_width * aspect).floor().long()
    if cut_to_image:
        crop_width, crop_height = crop_width.clamp_max(width), crop_height.clamp_max(height)
    cell_width = ((crop_width + num_holes - 1) // num_holes).clamp_min(1)
    cell_height = (cell_width * hole_aspect).floor().long().clamp_min(1)
    shrink = (1 - lam.double()).sqrt()
    return Grid(
        top=((height - crop_height) * down).trunc().long(),
        left=((width - crop_width) * across).trunc().long(),
        height=crop_height,
        width=crop_width,
        cell_height=cell_height,
        cell_width=cell_width,
        hole_height=_hole(cell_height, shrink),
        hole_width=_hole(cell_width, shrink),
    )


def _hole(cell: Tensor, shrink: Tensor) -> Tensor:
    length = (cell * shrink).floor().long().clamp_min(1)
    return torch.minimum(length, cell - 1) * (shrink > 0)


def holes(grid: Grid, *, height: int, width: int) -> Tensor:
    """Which pixels of the H x W image lie in a hole: bool [*, H, W]."""
    in_rows = _in_holes(_along(height, grid.top), grid.top, grid.height, grid.cell_height, grid.hole_height)
    in_columns = _in_holes(_along(width, grid.left), grid.left, grid.width, grid.cell_width, grid.hole_width)
    return in_rows[..., :, None] & in_columns[..., None, :]


def wrapped_holes(grid: Grid, *, height: int, width: int) -> Tensor:
    """As `holes`, but holes that begin at negative rows or columns are where Python's slices would put them."""
    in_rows = _in_wrapped_holes(height, grid.top, grid.height, grid.cell_height, grid.hole_height)
    in_columns = _in_wrapped_holes(width, grid.left, grid.width, grid.cell_width, grid.hole_width)
    return in_rows[..., :, None] & in_columns[..., None, :]


def _along(length: int, like: Tensor) -> Tensor:
    return torch.arange(length, device=like.device)


def _in_holes(place: Tensor, start: Tensor, extent: Tensor, cell: Tensor, hole: Tensor) -> Tensor:
    """Whether each `place` int64 [L] along a side lies in a hole of the crop [start, start + extent): bool [*, L]."""
    inside = place - start[..., None]
    in_crop = (inside >= 0) & (inside < extent[..., None])
    return in_crop & (inside % cell[..., None] < hole[..., None])


def _in_wrapped_holes(length: int, start: Tensor, extent: Tensor, cell: Tensor, hole: Tensor) -> Tensor:
    """Whether each place along a side lies in the slice [begin:end] of a hole, where negative ends count from behind.

    Slices with begin < 0 < end are empty unless they are longer than the side; at most one hole of a crop has such.
    """
    place = _along(length, start)

    def begin_and_end(seen: Tensor) -> tuple[Tensor, Tensor]:
        begin = start[..., None] + (seen - start[..., None]) // cell[..., None] * cell[..., None]
        return begin, torch.minimum(begin + hole[..., None], (start + extent)[..., None])

    begin, _ = begin_and_end(place)
    in_image = _in_holes(place, start, extent, cell, hole) & (begin >= 0)
    _, end = begin_and_end(place - length)
    from_behind = _in_holes(place - length, start, extent, cell, hole) & (end < 0)
    begin, end = begin_and_end(torch.full_like(place, -1))
    across_zero = (start[..., None] < 0) & (begin + length <= place) & (place < end)
    return in_image | from_behind | across_zero
