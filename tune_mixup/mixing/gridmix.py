"""GridMix: holes on a regular grid show the partner.

Dobrynin's GridMixup as in openmixup (`augments/gridmix.py`), which published its numbers under the name GridMix;
it is not the method of Baek et al., "GridMix: Strong regularization through local context mapping", 2021.

Differs from openmixup; `variant=openmixup` is the same as there in the first two points:

- The grid's crop is cut to the image. There, 45 % of the crops are wider or higher than it, start left of it or
  above it, and negative indices drop their first holes or wrap them around to the far side.
- lam = 1 leaves the image whole. There, a hole never has less than one pixel.
- Crops are laid along the sides of images that are not square. There, rows and columns are swapped.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from tune_mixup.mixing import even_draws
from tune_mixup.mixing.base import Alpha, InputMixer, MixedBatch, Mixer, Per, State, draw_size, sample_lam, take_rows
from tune_mixup.mixing.boxes import SIDE
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.grid import holes, lay_grid, wrapped_holes
from tune_mixup.mixing.masks import mean_weight, mix_by_mask
from tune_mixup.mixing.paired import Partnered
from tune_mixup.mixing.partners import RandomPartners
from tune_mixup.mixing.ranges import at_least

LARGEST_LAM = 1 - 2**-24
"""What `variant=openmixup` takes for 1, so that every cell has its hole: the next number below in single precision."""
Holes = Annotated[int, Field(ge=1)]
Area = Annotated[float, Field(gt=0, le=1)]
Aspect = Annotated[float, Field(ge=0.1, le=10)]


class GridMix(Partnered, InputMixer):
    """One lam ~ Beta(alpha, alpha) says how much of its cell a hole fills; lam becomes the share of pixels that stay.

    The grid fills a crop of the image of random area, aspect ratio and place.
    """

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["gridmix"] = "gridmix"
    variant: Literal["intended", "openmixup"] = "intended"
    """intended: the grid lies inside of the image; openmixup: where its code puts it, as for the published tables."""
    alpha: Alpha = 0.2
    """Both parameters of the Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    min_holes: Holes = 2
    """Fewest cells of the grid across the crop: >= 1."""
    max_holes: Annotated[Holes, at_least("min_holes")] = Field(default=6, validate_default=True)
    """Most cells of the grid across the crop: at least `min_holes`."""
    min_area: Area = 0.5
    """Smallest area of the crop, as a share of the image: above 0 to 1."""
    max_area: Annotated[Area, at_least("min_area")] = Field(default=1.0, validate_default=True)
    """Largest area of the crop, before it is cut to the image: at least `min_area`, up to 1."""
    min_aspect: Aspect = 0.5
    """Smallest height of the crop over its width: 0.1 to 10."""
    max_aspect: Annotated[Aspect, at_least("min_aspect")] = Field(default=2.0, validate_default=True)
    """Largest height of the crop over its width: at least `min_aspect`, up to 10."""
    hole_aspect: Aspect = 1.0
    """Height of a cell over its width: 0.1 to 10."""
    per: Per = "batch"
    """Whether a batch shares one grid, or each example has its own."""

    @override
    def canonical(self) -> Mixer:
        """Without holes this is plain training."""
        return Erm() if self.alpha == 0 else self.replace(partners=self.partners.canonical())

    @override
    def strength(self) -> float | None:
        """By the law of the lam that holes leave."""
        return _mean_minor_share(self.replace(partners=RandomPartners(), per="sample"))

    @override
    def nominal_strength(self) -> float | None:
        """By the laws of lam and of the crop's area."""
        from scipy.special import betainc  # here, because it takes a quarter of a second

        edges = np.linspace(0, 1, 201)
        law = np.diff(betainc(self.alpha, self.alpha, edges)) if self.alpha > 0 else np.zeros(200)
        holes_of_crop = (edges[:-1] + edges[1:]) / 2
        share = holes_of_crop[:, None] * np.linspace(self.min_area, self.max_area, 9)
        return float(law @ np.minimum(share, 1 - share).mean(axis=1))

    @override
    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Raises ValueError for images on which even the largest cells have no room for a hole."""
        super().check_data(height=height, width=width, num_classes=num_classes)
        crop_width = math.isqrt(int(height * width * self.max_area / self.min_aspect))
        if self.variant == "intended":
            crop_width = min(width, crop_width)
        cell_width = math.ceil(crop_width / self.min_holes)
        if min(cell_width, int(cell_width * self.hole_aspect)) < 2:
            raise ValueError(
                f"gridmix: a cell with a hole needs 2 x 2 pixels, which images of {height} x {width} pixels never have "
                f"with mixing.min_holes={self.min_holes} and mixing.hole_aspect={self.hole_aspect}; use larger images "
                "or fewer holes"
            )

    @override
    def mix(self, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator) -> MixedBatch:
        """Punch holes into inputs [B, C, H, W] that show the partner; targets [B, K] are blended by area."""
        device = inputs.device
        height, width = inputs.shape[-2:]
        size = draw_size(self.per, inputs)
        drawn = sample_lam(self.live("alpha", state), size, device=device, generator=generator)
        num_holes = torch.randint(self.min_holes, self.max_holes + 1, size, device=device, generator=generator)
        crop = torch.rand((4, *size), dtype=torch.float64, device=device, generator=generator).unbind()
        partner = self.draw_partner(targets, state, generator=generator)

        mask = self.mask(drawn, num_holes, crop, height=height, width=width)
        lam = mean_weight(mask)
        return mix_by_mask(inputs, targets, mask=mask, lam=lam, partner=partner, other=take_rows(inputs, partner))

    def mask(self, lam: Tensor, num_holes: Tensor, crop: Sequence[Tensor], *, height: int, width: int) -> Tensor:
        """1 where the own image stays, 0 in holes: float32 [*, H, W].

        `lam` float [*], `num_holes` int64 [*]; `crop` four uniform draws in [0, 1), float64 [*]: its area, aspect,
        place down and across.
        """
        published = self.variant == "openmixup"
        if published and self.alpha > 0:
            lam = lam.clamp_max(LARGEST_LAM)
        area, aspect, down, across = crop
        grid = lay_grid(
            lam,
            num_holes,
            self.min_area + (self.max_area - self.min_area) * area,
            self.min_aspect + (self.max_aspect - self.min_aspect) * aspect,
            down,
            across,
            hole_aspect=self.hole_aspect,
            height=height,
            width=width,
            cut_to_image=not published,
        )
        in_hole = (wrapped_holes if published else holes)(grid, height=height, width=width)
        return (~in_hole).float()


@lru_cache(maxsize=1024)  # trials of one setting are asked for theirs again and again
def _mean_minor_share(mixer: GridMix) -> float:
    first, second, *crop = even_draws.uniform(6)
    num_holes = mixer.min_holes + ((mixer.max_holes + 1 - mixer.min_holes) * second).long()
    lam = even_draws.beta(mixer.alpha, first)
    mask = mixer.mask(lam, num_holes, crop, height=SIDE, width=SIDE)
    return even_draws.mean_minor(mean_weight(mask))
