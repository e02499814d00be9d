"""SmoothMix: the image fades into its partner by a Gaussian mask, so that no edge shows where it was pasted.

Lee et al., "SmoothMix: A Simple Yet Effective Data Augmentation to Train Robust Classifiers", CVPR Workshops 2020; law
of centre and sigma as in openmixup (`augments/smoothmix.py`), which published its numbers.

Differs from openmixup:

- The own image is in the middle of the Gaussian and its target has the Gaussian's mean as weight. There, the partner
  is in the middle and the *own* target still has that weight, so labels and pixels disagree: `variant=openmixup`.
- Centres and widths follow each side of images that are not square. There, the height stands for both.
- There is no alpha. There, one is asked for, drawn with and thrown away.
"""

from functools import lru_cache
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing import even_draws
from tune_mixup.mixing.base import InputMixer, MixedBatch, Mixer, Per, State, draw_size, take_rows
from tune_mixup.mixing.boxes import SIDE
from tune_mixup.mixing.masks import mean_weight, mix_by_mask
from tune_mixup.mixing.paired import Partnered
from tune_mixup.mixing.ranges import at_least

Sigma = Annotated[float, Field(ge=0.01, le=10)]


class SmoothMix(Partnered, InputMixer):
    """A Gaussian around a uniformly drawn pixel, sigma uniform; lam is its mean over the image."""

    name: Literal["smoothmix"] = "smoothmix"
    variant: Literal["paper", "openmixup"] = "paper"
    """paper: targets weigh as much as pixels; openmixup: their weights are swapped, as in its published tables."""
    min_sigma: Sigma = 0.25
    """Lower end of the Gaussian's standard deviation, as a share of each side of the image: 0.01 to 10."""
    max_sigma: Annotated[Sigma, at_least("min_sigma")] = Field(default=0.5, validate_default=True)
    """Upper end, at least `min_sigma`. On average a quarter of the image stays at 0.25, three fifths at 0.5."""
    per: Per = "batch"
    """Whether a batch shares one Gaussian, or each example has its own."""

    @override
    def canonical(self) -> Mixer:
        """Partners in as few settings as it takes."""
        return self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the mean over the image of a Gaussian anywhere in it."""
        return _mean_minor_share(self.min_sigma, self.max_sigma)

    @override
    def nominal_strength(self) -> float | None:
        """By nine widths, and without pixels."""
        sigma = torch.linspace(self.min_sigma, self.max_sigma, 9, dtype=torch.float64)[:, None]
        centre = (torch.arange(32, dtype=torch.float64) + 0.5) / 32
        ends = torch.erf((1 - centre) / (sigma * 2**0.5)) + torch.erf(centre / (sigma * 2**0.5))
        profile = sigma * (torch.pi / 2) ** 0.5 * ends  # the mean along one side, [sigma, centre]
        lam = profile[:, :, None] * profile[:, None, :]
        return float(torch.minimum(lam, 1 - lam).mean())

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Fade inputs [B, C, H, W] into the partner's; targets [B, K] are blended by the Gaussian's mean."""
        device = inputs.device
        height, width = inputs.shape[-2:]
        size = draw_size(self.per, inputs)
        row = torch.randint(height, size, device=device, generator=generator)
        column = torch.randint(width, size, device=device, generator=generator)
        share = torch.rand(size, device=device, generator=generator)
        partner = self.draw_partner(targets, state, generator=generator)

        sigma = self.min_sigma + (self.max_sigma - self.min_sigma) * share
        middle = gaussian(row, column, sigma, height=height, width=width)
        lam = mean_weight(middle)
        mask = middle if self.variant == "paper" else 1 - middle
        return mix_by_mask(inputs, targets, mask=mask, lam=lam, partner=partner, other=take_rows(inputs, partner))


def gaussian(row: Tensor, column: Tensor, sigma: Tensor, *, height: int, width: int) -> Tensor:
    """exp(-(dy / (sigma H))^2 / 2 - (dx / (sigma W))^2 / 2): float32 [*, H, W].

    `row`, `column` int64 [*] count from 0; `sigma` float32 [*]. dy, dx are distances to that pixel, on an even side to
    its edge towards 0, so that the middle draw means the middle of the image.
    """
    profiles = []
    for place, length in ((row, height), (column, width)):
        centre = place - (0.5 if length % 2 == 0 else 0.0)
        distance = torch.arange(length, device=place.device) - centre[..., None]
        profiles.append((-0.5 * (distance / (sigma[..., None] * length)).square()).exp())
    rows, columns = profiles
    return rows[..., :, None] * columns[..., None, :]


@lru_cache(maxsize=1024)  # trials of one setting are asked for theirs again and again
def _mean_minor_share(min_sigma: float, max_sigma: float) -> float:
    down, across, share = even_draws.uniform(3)
    side = SIDE
    sigma = (min_sigma + (max_sigma - min_sigma) * share).float()
    middle = gaussian(even_draws.pixel(down), even_draws.pixel(across), sigma, height=side, width=side)
    return even_draws.mean_minor(mean_weight(middle))
