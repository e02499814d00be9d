"""mixup: every example is blended with a random partner, and so is its target.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv:1710.09412, equation 1.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from tune_mixup.mixing.base import Alpha, InputMixer, MixedBatch, Mixer, State, interpolate, sample_lam
from tune_mixup.mixing.erm import Erm


class Mixup(InputMixer):
    """One lam ~ Beta(alpha, alpha) per batch; the partners are a uniform permutation of it."""

    name: Literal["mixup"] = "mixup"
    alpha: Alpha = 1.0
    """Both parameters of the Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""

    def canonical(self) -> Mixer:
        """Without mixing this is plain training."""
        return Erm() if self.alpha == 0 else self

    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Blend inputs [B, ...] and targets [B, K] with the same lam."""
        lam = sample_lam(self.alpha, device=inputs.device, generator=generator)
        partner = torch.randperm(len(inputs), device=inputs.device, generator=generator)
        mixed = interpolate(inputs, inputs[partner], lam)
        return MixedBatch(mixed, interpolate(targets, targets[partner], lam), lam, partner)
