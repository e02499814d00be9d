"""CutMix: a rectangle of every image is replaced by the same rectangle of its partner.

Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
arXiv:1905.04899, equations 1 and 2; box arithmetic, clipping and `probability` as in the authors' released code.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from tune_mixup.mixing.base import Alpha, InputMixer, MixedBatch, Mixer, State, interpolate, sample_lam
from tune_mixup.mixing.boxes import box_around, inside, share_outside
from tune_mixup.mixing.erm import Erm


class CutMix(InputMixer):
    """One lam ~ Beta(alpha, alpha) and one box per batch; lam becomes the share of pixels that stay."""

    name: Literal["cutmix"] = "cutmix"
    alpha: Alpha = 1.0
    """Both parameters of the Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    probability: float = Field(default=1.0, ge=0, le=1)
    """Share of batches that are cut, 0 to 1; the others are trained on as they came."""

    def canonical(self) -> Mixer:
        """Without cutting this is plain training."""
        return Erm() if self.alpha == 0 or self.probability == 0 else self

    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Paste a box of the partner into inputs [B, C, H, W]; targets [B, K] are blended by area."""
        device = inputs.device
        height, width = inputs.shape[-2:]
        drawn = sample_lam(self.alpha, device=device, generator=generator)
        cut = torch.rand((), device=device, generator=generator) < self.probability
        row = torch.randint(height, (), device=device, generator=generator)
        column = torch.randint(width, (), device=device, generator=generator)
        partner = torch.randperm(len(inputs), device=device, generator=generator)

        box = box_around(row, column, torch.where(cut, drawn, 1.0), height=height, width=width)
        lam = share_outside(box, height=height, width=width)
        mixed = torch.where(inside(box, height=height, width=width), inputs[partner], inputs)
        return MixedBatch(mixed, interpolate(targets, targets[partner], lam), lam, partner)
