"""CutMix: a rectangle of every image is replaced by the same rectangle of its partner.

Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
arXiv:1905.04899, equations 1 and 2; box arithmetic, clipping and `applied` as in the authors' released code.

Differs from the released code in the default only: there, half of the batches are cut on CIFAR, `applied=0.5`.
Differs from openmixup: some meet themselves; there, nobody does, `partners.name=deranged`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import (
    Alpha,
    InputMixer,
    MixedBatch,
    Mixer,
    Per,
    State,
    draw_size,
    mean_minor_share,
    sample_lam,
    take_rows,
)
from tune_mixup.mixing.boxes import box_around, inside, mean_minor_share_of_boxes, share_outside
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.masks import mix_by_mask
from tune_mixup.mixing.paired import Partnered


class CutMix(Partnered, InputMixer):
    """A box of a share 1 - lam of the image, lam ~ Beta(alpha, alpha); lam becomes the share of pixels that stay."""

    draws_applied: ClassVar[bool] = True
    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({"applied": "probability"})
    name: Literal["cutmix"] = "cutmix"
    alpha: Alpha = 1.0
    """Both parameters of the Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    applied: float = Field(default=1.0, ge=0, le=1)
    """Share of batches, or of examples, that are cut, 0 to 1; the others are trained on as they came."""
    per: Per = "batch"
    """Whether a batch shares one box, or each example has its own."""

    @override
    def canonical(self) -> Mixer:
        """Without cutting this is plain training."""
        if self.alpha == 0:
            return Erm()
        return self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of the lam that boxes leave, which the edge cuts off."""
        return mean_minor_share_of_boxes(self.alpha)

    @override
    def nominal_strength(self) -> float | None:
        """By the law of lam as drawn."""
        return mean_minor_share(self.alpha)

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Paste a box of the partner into inputs [B, C, H, W]; targets [B, K] are blended by area."""
        device = inputs.device
        height, width = inputs.shape[-2:]
        size = draw_size(self.per, inputs)
        drawn = sample_lam(self.live("alpha", state), size, device=device, generator=generator)
        cut = self.draw_applied(size, device=device, generator=generator)
        row = torch.randint(height, size, device=device, generator=generator)
        column = torch.randint(width, size, device=device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)

        box = box_around(row, column, torch.where(cut, drawn, 1.0), height=height, width=width)
        mask = (~inside(box, height=height, width=width)).float()
        lam = share_outside(box, height=height, width=width)
        return mix_by_mask(inputs, targets, mask=mask, lam=lam, partner=partner, other=take_rows(inputs, partner))
