"""One of two mixed batches, chosen on the device for the whole batch or for each row."""

from functools import partial

import torch
from torch import Tensor

from tune_mixup.mixing.mixed_batch import Blend, MixedBatch
from tune_mixup.mixing.rows import interpolate


def unmixed(inputs: Tensor, targets: Tensor) -> MixedBatch:
    """A batch as it came: lam = 1, everybody is their own partner."""
    own = torch.arange(len(inputs), device=inputs.device)
    return MixedBatch(inputs, targets, torch.ones((), device=inputs.device), own)


def select(chosen: Tensor, ours: MixedBatch, theirs: MixedBatch) -> MixedBatch:
    """`ours` where `chosen` bool [] or [B], else `theirs`; lam becomes [B]."""
    rows = chosen.expand(len(ours.inputs))
    images = rows[:, None, None, None]
    unmixed = torch.ones((), device=rows.device)
    depths = sorted({*ours.hidden, *theirs.hidden})
    hidden = {
        depth: torch.where(rows, ours.hidden.get(depth, unmixed), theirs.hidden.get(depth, unmixed)) for depth in depths
    }
    blends = {depth: _blend(depth, chosen, ours, theirs) for depth in sorted({*ours.blends, *theirs.blends})}
    mask = None
    if not hidden and (ours.mask is not None or theirs.mask is not None):
        mask = torch.where(images, _pixels(ours), _pixels(theirs))
    return MixedBatch(
        torch.where(images, ours.inputs, theirs.inputs),
        torch.where(rows[:, None], ours.soft_targets, theirs.soft_targets),
        torch.where(rows, ours.lam, theirs.lam),
        torch.where(rows, ours.partner, theirs.partner),
        mask,
        hidden,
        blends,
        _shares(rows, ours, theirs),
        _unsettled(rows, ours, theirs),
    )


def _unsettled(rows: Tensor, ours: MixedBatch, theirs: MixedBatch) -> Tensor | None:
    """Whose solver had not settled, [B], where one of the two has one."""
    if ours.unsettled is None and theirs.unsettled is None:
        return None
    one, other = (torch.zeros_like(rows) if each.unsettled is None else each.unsettled for each in (ours, theirs))
    return torch.where(rows, one, other)


def _shares(rows: Tensor, ours: MixedBatch, theirs: MixedBatch) -> Tensor | None:
    """How much of each example each row has, [B, B], where one of the two mixes any number of them."""
    if ours.shares is None and theirs.shares is None:
        return None
    return torch.where(rows[:, None], _of_pairs(ours), _of_pairs(theirs))


def _of_pairs(mixed: MixedBatch) -> Tensor:
    """The shares [B, B]: of the own example and the partner where a method mixes two."""
    if mixed.shares is not None:
        return mixed.shares
    lam = mixed.lam.expand(len(mixed.partner))
    return lam.diag_embed().scatter_add(1, mixed.partner[:, None], 1 - lam[:, None])


def _blend(depth: int, chosen: Tensor, ours: MixedBatch, theirs: MixedBatch) -> Blend:
    """How features are blended at a depth where one of the two blends in a way of its own."""
    one, other = (each.blends.get(depth, interpolate) for each in (ours, theirs))
    # A batch that leaves the depth alone has lam = 1 there, with which any blend does so too.
    if depth not in theirs.hidden:
        return one
    return other if depth not in ours.hidden else partial(_either, chosen, one, other)


def _either(chosen: Tensor, one: Blend, other: Blend, rows: Tensor, partners: Tensor, lam: Tensor) -> Tensor:
    """`one` where `chosen` bool [], else `other`: features are mixed by one method for the whole batch."""
    return torch.where(chosen, one(rows, partners, lam), other(rows, partners, lam))


def _pixels(mixed: MixedBatch) -> Tensor:
    """The mask float32 [B or 1, 1, H, W]; where a method has none, all pixels weigh lam."""
    if mixed.mask is not None:
        return mixed.mask
    height, width = mixed.inputs.shape[-2:]
    return mixed.lam.reshape(-1, 1, 1, 1).expand(-1, 1, height, width)
