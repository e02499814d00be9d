"""ResizeMix: the whole partner, made smaller, is pasted into a box of the image.

Qin et al., "ResizeMix: Mixing Data with Preserved Object Information and True Labels", 2020, arXiv:2012.11101; box
arithmetic and clipping as in openmixup (`augments/resizemix.py`), which published its numbers. The partner is fitted
into what the image's edge leaves of the box, so there it is squeezed.

Differs from openmixup: lam and mask describe the pixels that were pasted on images of any shape. There, the mask has
rows and columns swapped.
"""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing.base import Alpha, InputMixer, MixedBatch, Mixer, Per, State, draw_size, sample_lam, take_rows
from tune_mixup.mixing.boxes import SCALES, SIDE, box_of_scale, inside, minor_shares, share_outside
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.masks import mix_by_mask
from tune_mixup.mixing.paired import Partnered
from tune_mixup.mixing.ranges import at_least
from tune_mixup.mixing.squeeze import Interpolation, squeeze_into

Tau = Annotated[float, Field(gt=0, le=1)]


class ResizeMix(Partnered, InputMixer):
    """tau, the box's sides over the image's, is drawn from a range; lam is the share of pixels that stay.

    With `alpha` 1, as in the paper, tau is uniform. Else it is Beta(alpha, alpha), drawn once more, uniformly, where it
    falls out of the range.
    """

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["resizemix"] = "resizemix"
    alpha: Alpha = 1.0
    """Both parameters of tau's Beta: >= 0, no unit; 1 is uniform. 0 pastes nothing, that is plain training."""
    min_tau: Tau = 0.1
    """Smallest side of the box over the image's: above 0 to 1; times both sides of the image at least 2 pixels."""
    max_tau: Annotated[Tau, at_least("min_tau")] = Field(default=0.8, validate_default=True)
    """Largest side of the box over the image's: at least `min_tau`, up to 1."""
    interpolation: Interpolation = "nearest"
    """How the partner is made smaller."""
    per: Per = "batch"
    """Whether a batch shares one box, or each example has its own."""

    @override
    def canonical(self) -> Mixer:
        """Without a box this is plain training."""
        return Erm() if self.alpha == 0 else self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of the lam that boxes leave, which the edge cuts off."""
        if self.alpha == 0:
            return 0.0
        from scipy.special import betainc  # here, because it takes a quarter of a second

        low, high = self.min_tau, self.max_tau
        edges = np.clip([*SCALES[:-1], 1 - 2**-25, 1.0], low, high)  # what is drawn beyond the last but one is 1
        drawn = np.diff(betainc(self.alpha, self.alpha, edges))
        again = np.diff(edges) / (high - low) if high > low else (np.floor(low * SIDE) // 2 == np.arange(len(drawn)))
        law = drawn + (1 - drawn.sum()) * again  # what falls out of the range is drawn once more, uniformly
        return float(law @ minor_shares())

    @override
    def nominal_strength(self) -> float | None:
        """By the law of tau, whose square is the share of the box."""
        from scipy.special import betainc  # here, because it takes a quarter of a second

        edges = np.linspace(self.min_tau, self.max_tau, 101)
        beta = np.diff(betainc(self.alpha, self.alpha, edges)) if self.alpha > 0 else np.zeros(100)
        law = beta + (1 - beta.sum()) / 100  # what falls out of the range is drawn once more, uniformly
        share = ((edges[:-1] + edges[1:]) / 2) ** 2
        return float((law * np.minimum(share, 1 - share)).sum())

    @override
    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Raises ValueError for images on which the smallest box is empty: half sides are rounded down."""
        super().check_data(height=height, width=width, num_classes=num_classes)
        side = min(height, width)
        if int(self.min_tau * side) < 2:
            enough = f"a min_tau from {math.ceil(2000 / side) / 1000} or " if side >= 2 else ""
            raise ValueError(
                f"mixing.min_tau: got {self.min_tau}, which gives empty boxes on images of {height} x {width} pixels; "
                f"a box needs sides of 2 pixels, so use {enough}larger images"
            )

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Paste the partner, made smaller, into inputs [B, C, H, W]; targets [B, K] are blended by area."""
        device = inputs.device
        height, width = inputs.shape[-2:]
        size = draw_size(self.per, inputs)
        drawn = sample_lam(self.live("alpha", state), size, device=device, generator=generator).double()
        uniform = torch.rand(size, dtype=torch.float64, device=device, generator=generator)
        row = torch.randint(height, size, device=device, generator=generator)
        column = torch.randint(width, size, device=device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)

        tau = tau_in_range(drawn, uniform, self.min_tau, self.max_tau)
        if self.alpha == 0:
            tau = torch.zeros_like(tau)
        box = box_of_scale(row, column, tau, height=height, width=width)
        mask = (~inside(box, height=height, width=width)).float()
        lam = share_outside(box, height=height, width=width)
        small = squeeze_into(take_rows(inputs, partner), box, self.interpolation)
        return mix_by_mask(inputs, targets, mask=mask, lam=lam, partner=partner, other=small)


def tau_in_range(drawn: Tensor, uniform: Tensor, low: float, high: float) -> Tensor:
    """tau float64 [*] in low..high: `drawn` where it is in that range, else by `uniform` in [0, 1)."""
    in_range = (drawn >= low) & (drawn <= high)
    return torch.where(in_range, drawn, low + (high - low) * uniform)
