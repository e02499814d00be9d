"""A mixing method of your own: columns of the image from the partner, which a moving stripe decides on.

    tune-mixup train --config my.yaml --set mixing.name=my_mixer:Stripe --set mixing.alpha=0.5 --out runs/stripe
    tune-mixup sweep my_space.py --trials 8

An input mixer is its own settings and says how a batch is mixed; the forward pass and the loss are inherited.
"""

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import Alpha, InputMixer, MixedBatch, State, interpolate, mix_rows, sample_lam


class Stripe(InputMixer):
    """An upright stripe of the image comes from the partner; it may leave on the right and enter on the left."""

    alpha: Alpha = 1.0
    """Both parameters of lam's Beta distribution: 0 (no mixing), or from 0.001 up; no unit."""
    softness: float = Field(default=0.0, ge=0, le=1)
    """What the stripe keeps of the own image: 0 nothing, 1 everything; no unit."""

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        device, width = inputs.device, inputs.shape[3]
        partner = torch.randperm(len(inputs), device=device, generator=generator)
        share = 1 - sample_lam(self.alpha, device=device, generator=generator)
        start = torch.rand((), device=device, generator=generator) * width
        place = (torch.arange(width, device=device) - start) % width
        inside = (place < (share * width).round()).float()
        mask = (1 - inside * (1 - self.softness)).expand(1, 1, inputs.shape[2], width)
        lam = mask.mean()  # the labels weigh exactly as much as the pixels
        return MixedBatch(
            interpolate(inputs, inputs[partner], mask), mix_rows(partner, lam, targets), lam, partner, mask
        )
