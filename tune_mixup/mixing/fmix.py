"""FMix: the image and its partner share the pixels by a mask of random smooth shapes.

Harris et al., "FMix: Enhancing Mixed Sample Data Augmentation", 2020, arXiv:2002.12047, section 4: low-frequency noise,
whose largest values, a share lam of them, become the mask; rounding and soft edges as in the authors' released code.

Differs from the released code:

- The noise has the whole half plane of frequencies, with independent real and imaginary parts, as the paper says.
  There, an index takes the first two rows of frequencies for real and imaginary part. Its shapes vary by at most one
  period across the image, but are rough down it: `variant=official`, with which the numbers were published.
- lam is the share of the mask. There, it is the drawn share, less than a pixel away.

openmixup, whose tables have alpha 0.2, copies that code, but pairs nobody with themself: `partners.name=deranged`.
"""

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
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.masks import mix_by_mask
from tune_mixup.mixing.paired import Partnered
from tune_mixup.mixing.smooth_noise import noise_size, published_image, smooth_image


class FMix(Partnered, InputMixer):
    """lam ~ Beta(alpha, alpha), and the mask is the top share lam of the pixels of a random smooth image."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["fmix"] = "fmix"
    variant: Literal["intended", "official"] = "intended"
    """intended: smooth in all directions, as the paper says; official: as the released code draws it."""
    alpha: Alpha = 1.0
    """Both parameters of the Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    decay: float = Field(default=3.0, ge=0)
    """Power with which amplitudes fall with the frequency: >= 0. 0 is white noise; a large one leaves few blobs."""
    max_soft: float = Field(default=0.0, ge=0, le=0.5)
    """Half the width of the mask's soft edge, as a share of the pixels by rank: 0 (hard) to 0.5."""
    per: Per = "batch"
    """Whether a batch shares one mask, or each example has its own."""

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training."""
        return Erm() if self.alpha == 0 else self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of lam, which is rounded to whole pixels up as often as down."""
        return mean_minor_share(self.alpha)

    @override
    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Raises ValueError for images of one row, where the official variant lacks a second row of frequencies."""
        super().check_data(height=height, width=width, num_classes=num_classes)
        if self.variant == "official" and height < 2:
            raise ValueError(
                f"fmix: got images of {height} x {width} pixels, mixing.variant=official needs at least 2 rows; "
                "use mixing.variant=intended"
            )

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Mask inputs [B, C, H, W] and their partners; targets [B, K] are blended by area."""
        device = inputs.device
        height, width = inputs.shape[-2:]
        size = draw_size(self.per, inputs)
        drawn = sample_lam(self.live("alpha", state), size, device=device, generator=generator)
        round_up = torch.rand(size, device=device, generator=generator) < 0.5
        noise = torch.randn((*size, *noise_size(height, width)), device=device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)

        image = smooth_image if self.variant == "intended" else published_image
        pixels = image(noise, self.decay, height=height, width=width)
        mask, lam = top_share(pixels, drawn, round_up, max_soft=self.max_soft)
        return mix_by_mask(inputs, targets, mask=mask, lam=lam, partner=partner, other=take_rows(inputs, partner))


def top_share(image: Tensor, lam: Tensor, round_up: Tensor, *, max_soft: float) -> tuple[Tensor, Tensor]:
    """The mask float32 [*, H, W] of the brightest pixels of `image` [*, H, W], and its mean float32 [*].

    There are lam H W of them, rounded up where `round_up` bool [*], else down; `lam` float [*] in [0, 1]. A soft edge
    replaces the step from 1 to 0 by a straight line over twice min(max_soft, lam, 1 - lam) of the pixels by rank.
    """
    height, width = image.shape[-2:]
    area = height * width
    below, above = (lam.double() * area).floor(), (lam.double() * area).ceil()
    count = torch.where(round_up, above, below)
    soft = torch.minimum(below, area - above).clamp_max(int(max_soft * area))
    ramp = (2 * soft - 1).clamp_min(1)  # one step less than its pixels, of which the first is 1 and the last 0
    middle = count - 0.5
    mask = ((middle[..., None] - ranks(image.flatten(-2))) / ramp[..., None] + 0.5).clamp(0, 1)
    return mask.float().reshape(image.shape), (count / area).float()


def ranks(values: Tensor) -> Tensor:
    """The place of each of `values` [*, N] in falling order, from 0, int64 [*, N]; equal ones as they stand."""
    order = values.argsort(dim=-1, descending=True, stable=True)
    places = torch.arange(values.shape[-1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter(-1, order, places)
