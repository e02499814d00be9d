"""Rows of a batch: whose they are, how two are blended, and how a network sees them."""

from functools import partial

import torch
from torch import Tensor, nn

from tune_mixup.mixing.mixed_batch import Blend, MixedBatch


def interpolate(own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """lam * own + (1 - lam) * other for `own`, `other` [B, ...]; exactly `own` where lam is 1.

    `lam` is [], [B], or a mask of as many dimensions as `own`.
    """
    weight = lam.to(own.dtype).reshape(lam.shape + (1,) * (own.ndim - lam.ndim if lam.ndim else 0))
    return own * weight + other * (1 - weight)


def mix_rows(partner: Tensor, lam: Tensor, rows: Tensor, *, blend: Blend = interpolate) -> Tensor:
    """`rows` [B, ...] blended with those of their partners, int64 [B]; lam as in `interpolate`."""
    return blend(rows, take_rows(rows, partner), lam)


def take_rows(rows: Tensor, index: Tensor) -> Tensor:
    """The rows `index` int64 [B] of `rows` [B, ...], in the memory layout that `rows` have, and so is the gradient.

    Indexed as they are, channels-last rows and their gradient would come back in the other layout, and each layer
    behind would have to convert them.
    """
    if rows.ndim == 4 and not rows.is_contiguous() and rows.is_contiguous(memory_format=torch.channels_last):
        return rows.permute(0, 2, 3, 1)[index].permute(0, 3, 1, 2)
    return rows[index]


def forward(model: nn.Module, mixed: MixedBatch) -> Tensor:
    """The logits [B, K] of a mixed batch, with its features mixed where it says so."""
    edits = {
        depth: partial(mix_rows, mixed.partner, lam, blend=mixed.blends.get(depth, interpolate))
        for depth, lam in mixed.hidden.items()
    }
    logits: Tensor = model(mixed.inputs, edits=edits) if edits else model(mixed.inputs)
    return logits
