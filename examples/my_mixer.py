"""A mixing method of one's own: stripes of the partner over the image, as wide as lam says.

    cd examples && tune-mixup train --space quickstart --out /tmp/stripes \
        --set mixing.name=my_mixer:Stripes --set data.batches=shuffled
"""

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import Alpha, InputMixer, MixedBatch, State, interpolate, mean_minor_share, sample_lam


class Stripes(InputMixer):
    """In every period of columns, the first ones show the image itself and the others its partner."""

    alpha: Alpha = 1.0
    """Both parameters of lam's Beta distribution: >= 0, no unit. 0 mixes nothing."""
    period: int = Field(default=4, ge=2)
    """Columns of one stripe of the image and one of its partner: >= 2, pixels."""

    @override
    def strength(self) -> float | None:
        """By the law of lam; the whole columns that it is rounded to are left out of account."""
        return mean_minor_share(self.alpha)

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """`lam` is the share of columns that really are the image's own, since the targets must say what is seen."""
        drawn = sample_lam(self.alpha, device=inputs.device, generator=generator)
        partner = torch.randperm(len(inputs), device=inputs.device, generator=generator)
        column = torch.arange(inputs.shape[3], device=inputs.device) % self.period
        own = (column < (drawn * self.period).round()).to(torch.float32)
        mask = own.expand(1, 1, *inputs.shape[2:])
        lam = mask.mean()
        mixed = torch.where(mask.bool(), inputs, inputs[partner])
        return MixedBatch(mixed, interpolate(targets, targets[partner], lam), lam, partner, mask)
