"""Mixing by a mask: every pixel has its own weight, and lam is their mean.

A mask is float32 [*, H, W] in [0, 1], each pixel's weight of the own image; [*] is [] for one mask per batch, [B] for
one per example.
"""

from torch import Tensor

from tune_mixup.mixing.base import MixedBatch, interpolate


def mix_by_mask(
    inputs: Tensor, targets: Tensor, *, mask: Tensor, lam: Tensor, partner: Tensor, other: Tensor
) -> MixedBatch:
    """`inputs` and `other` [B, C, H, W] blended by `mask` [*, H, W], targets [B, K] and the partners' by `lam` [*]."""
    pixels = mask.reshape(-1, 1, *mask.shape[-2:])
    mixed = interpolate(inputs, other, pixels)
    return MixedBatch(mixed, interpolate(targets, targets[partner], lam), lam, partner, pixels)


def mean_weight(mask: Tensor) -> Tensor:
    """The mean of each mask [*, H, W], float32 [*]: what lam must be for labels to weigh as much as pixels."""
    return mask.double().mean((-2, -1)).float()
