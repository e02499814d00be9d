"""A momentum encoder: the network that is trained, averaged over its steps, as a vector of a mixer's state.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020, arXiv:1911.05722, equation 2.
Its weights never get a gradient; what goes in may.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tune_mixup.mixing.flat_weights import named_weights

FINAL_MOMENTUM = 0.999999
"""To what the momentum rises."""
WARM_UP_SHARE = 0.1
"""Of the steps over which it rises, those in which it does not rise yet."""


def encoded(model: nn.Module, weights: Tensor, images: Tensor, *, until: int | None = None) -> Tensor:
    """Logits of a network like `model` with other weights [P], or its features after stage `until`.

    In the mode that `model` is in, which is left as it is: running statistics are not written to either.
    """
    named = named_weights(model, weights, for_training=True)
    found: Tensor = functional_call(model, named, (images,), {"until": until})
    return found


def head_logits(head: nn.Module, parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
    """Logits of a head like `head` with other parameters; its running statistics are read and not written to."""
    statistics = {name: tensor.clone() for name, tensor in head.named_buffers()}
    found: Tensor = functional_call(head, {**statistics, **parameters}, (features,))
    return found


def averaged(before: Tensor, now: Tensor, momentum: float | Tensor) -> Tensor:
    """The share `momentum`, a number or float64 [], of `before` and the rest of `now`; exactly `now` where they agree.

    The small share is what is rounded, not the large one: 0.999999 in single precision is 1 % off in what is left.
    """
    rest = 1 - momentum
    return torch.lerp(before, now, rest.to(now.dtype) if isinstance(rest, Tensor) else rest)


def risen(momentum: float | Tensor, steps: Tensor, total: int) -> Tensor:
    """The momentum after `steps` float64 [] of `total` steps, from `momentum` up to `FINAL_MOMENTUM`: float64 [].

    Along half a cosine that begins at step 0, but for the warm-up, whose end it therefore leaves with a small jump.
    """
    place = (steps / total).clamp(max=1)
    rising = FINAL_MOMENTUM - (FINAL_MOMENTUM - momentum) * (torch.cos(torch.pi * place) + 1) / 2
    return torch.where(place < WARM_UP_SHARE, momentum, rising)
