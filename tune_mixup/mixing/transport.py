"""Moves the salient patches of an image to where its mask shows them, for a batch at once.

Kim, Choo, Song, "Puzzle Mix", ICML 2020, arXiv:2009.06962, section 4.2 and algorithm 1: every patch bids for the place
that is cheapest for it, of the bidders for a place the one that pays least wins, and the losers look elsewhere.

Differs from the paper: the number of rounds is fixed, as in the released code, and a place that nobody won by then
shows its own patch; in the released code it is blank.

Shapes: B images of R x C patches, of which an image may use fewer rows and columns than the batch has.
"""

import torch
from torch import Tensor

LOST = 1e4
"""What a place costs more for a patch that lost it: too much to bid there again."""
LOST_AS_PUBLISHED = 1.0
NOBODY = -1


def transport_plan(
    saliency: Tensor, visible: Tensor, rows: Tensor, columns: Tensor, *, eps: float, published: bool = False
) -> Tensor:
    """The patch that moves to each place, int64 [B, R C], patches counted row by row; `NOBODY` where none does.

    `saliency` float [B, R, C] is each patch's share, `visible` bool [B, R, C] says where the mask shows the image;
    `rows` and `columns` int64 [B], 2 or more, are those that the image has. `eps` is what a move across the whole
    height, or width, costs; what it gains is the patch's saliency. There are as many rounds as rows or columns,
    whichever are more.

    With `published`, only bids below 0 win, for the code takes those who do not bid for bidders of 0, and a place that
    was lost costs just 1 more.
    """
    cost = eps * _distance(rows, columns, visible) - saliency.flatten(1)[..., None] * visible.flatten(1)[:, None, :]
    patches = cost.shape[-1]
    index = torch.arange(patches, device=cost.device).expand(cost.shape[:2])
    nobody = torch.full_like(index, patches)
    free = torch.full_like(saliency.flatten(1), torch.inf)
    most = 0.0 if published else torch.inf
    winner = nobody
    for played in range(max(visible.shape[1:])):
        place = cost.argmin(-1)
        bid = cost.gather(-1, place[..., None]).squeeze(-1)
        least = free.scatter_reduce(1, place, bid, "amin").gather(1, place)
        cheapest = torch.where((bid == least) & (bid < most), index, patches)
        winner = nobody.scatter_reduce(1, place, cheapest, "amin")
        # The winners of an image's last round stay: from then on all bid as they did.
        lost = (winner.gather(1, place) != index) & (played + 1 < torch.maximum(rows, columns))[:, None]
        dearer = lost.float() * (LOST_AS_PUBLISHED if published else LOST)
        cost.scatter_add_(-1, place[..., None], dearer[..., None])  # in place: copies took most of the time
    return torch.where(winner == patches, NOBODY, winner)


def _distance(rows: Tensor, columns: Tensor, like: Tensor) -> Tensor:
    """The squared distance of any two patches, height and width counting 1 each: float32 [B, R C, R C].

    Infinite where a patch is beyond the image. Equal distances are equal numbers, whatever their parts.
    """
    height, width = like.shape[1:]
    vertical, horizontal = _squares(height, rows), _squares(width, columns)
    longest, widest = ((extent - 1).square()[:, None, None, None, None] for extent in (rows, columns))
    both = vertical[:, :, None, :, None] * widest + horizontal[:, None, :, None, :] * longest
    return (both / (longest * widest)).flatten(3).flatten(1, 2)


def _squares(length: int, extent: Tensor) -> Tensor:
    """The squared difference of any two of `length` numbers, infinite where one is `extent` [B] or more."""
    place = torch.arange(length, device=extent.device)
    inside = place < extent[:, None]
    squares = (place - place[:, None]).square().float()
    return torch.where(inside[:, :, None] & inside[:, None, :], squares, torch.inf)


def move_patches(
    images: Tensor, chosen: Tensor, plan: Tensor, heights: Tensor, widths: Tensor, *, num_columns: int, published: bool
) -> Tensor:
    """The images `chosen` int64 [B] of [*, C, H, W] with their patches moved by `plan` [B, R C], in the same layout.

    `heights` and `widths` int64 [B] are those of an image's patches, in pixels, and `num_columns` is C. Where nobody
    moves to, the image's own patch stays, or zeros stand if `published`.
    """
    row, column = (torch.arange(length, device=images.device) for length in images.shape[-2:])
    patch = (row // heights[:, None])[:, :, None] * num_columns + (column // widths[:, None])[:, None, :]
    source = plan.gather(1, patch.flatten(1)).view_as(patch)
    from_patch = torch.where(source == NOBODY, patch, source)
    from_row = from_patch // num_columns * heights[:, None, None] + (row % heights[:, None])[:, :, None]
    from_column = from_patch % num_columns * widths[:, None, None] + (column % widths[:, None])[:, None, :]
    moved = images.movedim(1, -1)[chosen[:, None, None], from_row, from_column]
    if published:
        moved = torch.where((source == NOBODY)[..., None], 0.0, moved)
    last = images.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    return moved.movedim(-1, 1).contiguous(memory_format=layout)
