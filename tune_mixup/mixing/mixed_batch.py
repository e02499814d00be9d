"""What a method makes of a batch.

Shapes: B batch, K classes, C channels, H x W pixels. `lam` weighs the row's *own* example everywhere.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

Blend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From own rows [B, ...], other rows and lam [] or [B] to blended rows; exactly the own ones where lam is 1."""


class MixedBatch(NamedTuple):
    """A mixed batch: inputs float [B, C, H, W], soft_targets float [B, K], lam [] or [B] in [0, 1], partner [B].

    `mask` float32 [1 or B, 1, H, W] in [0, 1]: each pixel's weight of the own image, where a method mixes by pixel.
    `hidden` depth -> float32 [] or [B]: the weight of the own features after that stage of the network, where a method
    mixes features; the partner's have the rest. `blends` depth -> how they are blended, if not by `interpolate`.
    `shares` float32 [B, B], where rows are mixed of any number of examples: how much of each example each row has. lam
    is its diagonal, and the partner has most of the rest. `unsettled` bool [B]: whose solver ended before its outcome
    had settled, where a method has one.
    """

    inputs: Tensor
    soft_targets: Tensor
    lam: Tensor
    partner: Tensor
    mask: Tensor | None = None
    hidden: Mapping[int, Tensor] = MappingProxyType({})
    blends: Mapping[int, Blend] = MappingProxyType({})
    shares: Tensor | None = None
    unsettled: Tensor | None = None
