"""SaliencyMix: CutMix with the box around the partner's most salient pixel, so that it shows what its label says.

Uddin et al., "SaliencyMix: A Saliency Guided Data Augmentation Strategy for Better Regularization", ICLR 2021,
arXiv:2006.01791, section 3; box arithmetic and clipping as in the authors' released code, which is CutMix's.

Differs from the released code, and from openmixup's copy of it:

- Each example has a box of its own, around its own partner's peak. There, the box around the peak of *one* image, the
  partner of the batch's first, is cut out of all.
- Saliency is the spectral residual, the gradient of the model's loss, or OpenCV's fine-grained saliency. There, it is
  the latter, of normalised floats whose bytes OpenCV takes for pixels: `saliency=float_bytes`. Such a map is noise, and
  its peak, the first of several in the order of rows, is nearer to the edge than that of any saliency, so that more of
  the box is cut off. The published numbers are those of CutMix with one box per batch around such places.
- Every batch is cut. There, half of them on CIFAR: `applied`.

`variant=official` is the released code in the first two points.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.mixing.base import (
    Alpha,
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
from tune_mixup.mixing.saliency import SALIENCY, SaliencyName, peak


class SaliencyMix(Partnered):
    """A box of a share 1 - lam of the image, lam ~ Beta(alpha, alpha); lam becomes the share of pixels that stay."""

    draws_applied: ClassVar[bool] = True
    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({"applied": "probability"})
    name: Literal["saliencymix"] = "saliencymix"
    variant: Literal["paper", "official"] = "paper"
    """paper: each example's box lies around its partner's peak; official: one box for all around a peak of noise, as in
    the released code."""
    alpha: Alpha = 1.0
    """Both parameters of lam's Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    applied: float = Field(default=1.0, ge=0, le=1)
    """Share of batches, or of examples, that are cut, 0 to 1; the others are trained on as they came."""
    saliency: SaliencyName | None = None
    """What counts as salient: spectral_residual and fine_grained look at the image alone; gradient asks the model, by
    one more forward and backward pass; float_bytes is the noise of the released code; or what else `SALIENCY` in the
    module `saliency` names. Empty: spectral_residual, and float_bytes for variant official."""
    per: Per = "batch"
    """Whether a batch shares one lam, or each example has its own."""

    @override
    def canonical(self) -> Mixer:
        """Without cutting this is plain training."""
        if self.alpha == 0:
            return Erm()
        return self.replace(partners=self.partners.canonical(), saliency=self.measure)

    @property
    def measure(self) -> str:
        """What counts as salient, as a key of `SALIENCY`."""
        if self.saliency is not None:
            return self.saliency
        return "spectral_residual" if self.variant == "paper" else "float_bytes"

    @override
    def strength(self) -> float | None:
        """That of CutMix: where peaks lie, only the data tell."""
        return mean_minor_share_of_boxes(self.alpha)

    @override
    def nominal_strength(self) -> float | None:
        """By the law of lam as drawn."""
        return mean_minor_share(self.alpha)

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """Paste the partner's box into inputs [B, C, H, W]; targets [B, K] are blended by area."""
        size = draw_size(self.per, inputs)
        drawn = sample_lam(self.live("alpha", state), size, device=inputs.device, generator=generator)
        cut = self.draw_applied(size, device=inputs.device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)

        looked_at = partner if self.variant == "paper" else partner[:1]
        maps = SALIENCY[self.measure](model, inputs[looked_at], targets[looked_at])
        return paste_peaks(inputs, targets, maps, lam=torch.where(cut, drawn, 1.0), partner=partner)


def paste_peaks(inputs: Tensor, targets: Tensor, maps: Tensor, *, lam: Tensor, partner: Tensor) -> MixedBatch:
    """Boxes of the partners of inputs [B, C, H, W], a share 1 - lam ([] or [B]) of the area, around the maps' peaks.

    `maps` float [B, H, W] are the partners', by any measure of saliency; [1, H, W] puts all boxes in one place.
    """
    height, width = inputs.shape[-2:]
    row, column = (place.squeeze(0) for place in peak(maps))
    box = box_around(row, column, lam, height=height, width=width)
    mask = (~inside(box, height=height, width=width)).float()
    left = share_outside(box, height=height, width=width)
    return mix_by_mask(inputs, targets, mask=mask, lam=left, partner=partner, other=take_rows(inputs, partner))
