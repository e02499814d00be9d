"""Puzzle Mix: each block shows whichever image is salient there, and salient patches move to where they show.

Kim, Choo, Song, "Puzzle Mix: Exploiting Saliency and Local Statistics for Optimal Mixup", ICML 2020, arXiv:2009.06962;
saliency is the gradient of the clean loss, by one more pass. A grid of blocks is drawn, each block gets one of a few
weights of the own image so that the energy of equation 4 is low, and algorithm 1 moves patches. lam is the mask's mean,
and each example has its own.

`variant=paper`, the default, moves patches as algorithm 1 says. `variant=published` does as the released code, where a
patch that would not gain by moving never wins a place and places that nobody won are blank; there, at the published
strength of the transport, few patches move at all and the two are hardly ever different.

Differs from the released code in both variants:

- Labelling is by message passing on the device for the whole batch, not by alpha-beta swap of integers on the host,
  which overflow where one block has a large share of the saliency (8.4 % of it, for 16 x 16 blocks).
- Saliency is seen in evaluation mode and adds no loss of clean images (there, `clean_lam`); no adversarial noise.
- Jumps between blocks are seen on normalised pixels times 1/4, a usual standard deviation, for all channels alike.
- The sides of an image may differ; blocks and patches are then not square. Patches divide the blocks.
"""

import math
from typing import Annotated, ClassVar, Literal

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
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.grid_labelling import label_grid
from tune_mixup.mixing.masks import mean_weight, mix_by_mask
from tune_mixup.mixing.number_sets import whole_numbers
from tune_mixup.mixing.paired import Partnered
from tune_mixup.mixing.puzzle import (
    Cutting,
    PuzzleWeights,
    jumps,
    label_distance,
    largest_divisor,
    puzzle_costs,
    shares,
)
from tune_mixup.mixing.saliency import input_gradient
from tune_mixup.mixing.solving import SolvingMixer
from tune_mixup.mixing.transport import move_patches, transport_plan

GRIDS = (2, 4, 8, 16)
"""The published numbers of blocks along each side."""
SWEEPS = 5
"""Of the labelling: with more, fewer than 1 in 10 labellings change, and costs by less than 1 in 10,000."""
PIXEL_STD = 0.25
"""The standard deviation of pixels in units of their range, by which normalised ones are brought back to it."""
MOST_PATCHES = 1024
"""Of an image that are moved. Each has a price for each place, so that more would not fit into memory."""


class PuzzleMix(SolvingMixer, Partnered):
    """lam ~ Beta(alpha, alpha) says which weights are likely; the mask's mean is the lam of the labels."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["puzzlemix"] = "puzzlemix"
    variant: Literal["paper", "published"] = "paper"
    """paper: patches move by algorithm 1, and a place that nobody won keeps its own; published: as in the released
    code, where moves that gain nothing never win and such a place is blank."""
    alpha: Alpha = 1.0
    """Both parameters of lam's Beta: >= 0, no unit. 0 gives lam = 1, that is plain training."""
    beta: float = Field(default=1.2, ge=0)
    """Cost of unequal neighbours: >= 0, no unit; the mask is smoother with more."""
    gamma: float = Field(default=0.5, ge=0)
    """Cost of visible edges between blocks, relative to `beta`: >= 0, no unit."""
    eta: float = Field(default=0.2, ge=0)
    """Cost of weights that lam makes unlikely: >= 0, no unit; masks follow saliency alone with 0."""
    num_labels: int = Field(default=3, ge=2, le=16)
    """How many weights of the own image a block can have, from 0 to 1: 2 to 16."""
    grids: Annotated[tuple[int, ...], whole_numbers(2, "numbers of blocks", "2 4 8")] | None = None
    """Numbers of blocks along each side, one of which is drawn: a list, or text such as 2 4 8. They must divide both
    sides of the images. None takes those of 2, 4, 8 and 16 that do."""
    neigh_size: int = Field(default=4, ge=1)
    """Pixels that are averaged before edges between blocks are looked for; at most a block, and fewer where this does
    not divide it."""
    transport: bool = True
    """Whether salient patches move to where they are visible."""
    t_eps: float = Field(default=0.8, ge=0.01)
    """Cost of moving a patch across the whole image, in shares of its saliency: at least 0.01."""
    t_size: int = Field(default=4, ge=0)
    """Pixels along the sides of a patch that moves; at most a block, and fewer where this does not divide it. 0 moves
    whole blocks."""
    per: Per = "batch"
    """Whether a batch shares one grid and one lam to draw weights for, or each example has its own."""

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training; what has no effect is as by default."""
        if self.alpha == 0:
            return Erm()
        plain = type(self)()
        gamma = self.gamma if self.beta else 0.0
        return self.replace(
            partners=self.partners.canonical(),
            gamma=gamma,
            neigh_size=self.neigh_size if gamma else plain.neigh_size,
            variant=self.variant if self.transport else plain.variant,
            t_eps=self.t_eps if self.transport else plain.t_eps,
            t_size=self.t_size if self.transport else plain.t_size,
        )

    @override
    def strength(self) -> float | None:
        """By the law of lam as drawn, which the masks' means follow as far as saliency lets them."""
        return mean_minor_share(self.alpha)

    @override
    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Raises ValueError for images that a grid does not divide, or that would have too many patches to move."""
        super().check_data(height=height, width=width, num_classes=num_classes)
        grids = self._grids(height, width)
        most = max((height // down) * (width // across) for down, across in self._patches(height, width, grids))
        if self.transport and most > MOST_PATCHES:
            raise ValueError(
                f"puzzlemix: mixing.t_size={self.t_size} cuts images of {height} x {width} pixels into {most} patches "
                f"to move, must be {MOST_PATCHES} or fewer; set mixing.t_size=0 to move whole blocks"
            )

    def _grids(self, height: int, width: int) -> tuple[int, ...]:
        common = math.gcd(height, width)
        if self.grids is None and any(common % grid == 0 for grid in GRIDS):
            return tuple(grid for grid in GRIDS if common % grid == 0)
        wrong = [grid for grid in self.grids or GRIDS if common % grid]
        if not wrong:
            return self.grids or GRIDS
        fit = [str(grid) for grid in range(2, min(common, 32) + 1) if common % grid == 0]
        remedy = f"set mixing.grids to some of {', '.join(fit)}" if fit else "crop or pad the images"
        raise ValueError(
            f"puzzlemix: a grid of {wrong[0]} x {wrong[0]} blocks does not divide images of {height} x {width} pixels, "
            f"and each must; {remedy}"
        )

    def _patches(self, height: int, width: int, grids: tuple[int, ...]) -> list[tuple[int, int]]:
        """For each of the grids the height and width of a patch that moves, in pixels."""
        blocks = [(height // grid, width // grid) for grid in grids]
        if not self.t_size:
            return blocks
        return [(largest_divisor(down, self.t_size), largest_divisor(across, self.t_size)) for down, across in blocks]

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """Puzzle inputs [B, C, H, W] and their partners together; targets [B, K] are blended by area."""
        size, device = draw_size(self.per, inputs), inputs.device
        grids = self._grids(*inputs.shape[-2:])
        lam = sample_lam(self.live("alpha", state), size, device=device, generator=generator).expand(len(inputs))
        which = torch.randint(len(grids), size, device=device, generator=generator).expand(len(inputs))
        partner = self.draw_partner(targets, state, generator=generator)
        saliency = input_gradient(model, inputs, targets)
        return self.assemble(inputs, targets, saliency, lam=lam, cutting=Cutting(grids, which), partner=partner)

    def assemble(
        self, inputs: Tensor, targets: Tensor, saliency: Tensor, *, lam: Tensor, cutting: Cutting, partner: Tensor
    ) -> MixedBatch:
        """What the draws make of a batch and its maps [B, H, W]: lam [B] of each label's chances, and partners [B]."""
        height, width = inputs.shape[-2:]
        cells = cutting.pick(cutting.grids)[:, None]
        row = torch.arange(height, device=inputs.device) // (height // cells)
        column = torch.arange(width, device=inputs.device) // (width // cells)
        shown, settled = self._shown(inputs, saliency, lam, cutting, partner)
        mask = look_up(shown, row, column)
        own, other = inputs, take_rows(inputs, partner)
        if self.transport:
            own, other = self._moved(inputs, saliency, mask, cutting, partner)
        mixed = mix_by_mask(own, targets, mask=mask, lam=mean_weight(mask), partner=partner, other=other)
        return mixed._replace(unsettled=~settled)

    def _shown(
        self, inputs: Tensor, saliency: Tensor, lam: Tensor, cutting: Cutting, partner: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How much of the own image each block shows, float32 [B, N, N] from 0 to 1, and whether that has settled."""
        height, width = inputs.shape[-2:]
        share = shares(saliency, [(height // grid, width // grid) for grid in cutting.grids], cutting, partner)
        down, across = jumps(inputs.float() * PIXEL_STD, partner, cutting, neigh_size=self.neigh_size)
        weights = PuzzleWeights(self.beta, self.gamma, self.eta)
        costs = puzzle_costs(share, down, across, lam, cutting, weights, num_labels=self.num_labels)
        distance = label_distance(self.num_labels, device=inputs.device)
        found = label_grid(*costs, distance, sweeps=SWEEPS)
        return 1 - found.labels.float() / (self.num_labels - 1), found.settled

    def _moved(
        self, inputs: Tensor, saliency: Tensor, mask: Tensor, cutting: Cutting, partner: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The own images and the partners', like `inputs`, with salient patches where `mask` [B, H, W] shows them."""
        height, width = inputs.shape[-2:]
        patches = self._patches(height, width, cutting.grids)
        share = shares(saliency, patches, cutting, partner)
        high, wide = (cutting.pick(lengths) for lengths in zip(*patches, strict=True))
        row, column = (torch.arange(length, device=inputs.device) for length in share.shape[-2:])
        row = (row * high[:, None]).clamp_max(height - 1)
        column = (column * wide[:, None]).clamp_max(width - 1)
        visible = look_up(mask, row, column)
        published = self.variant == "published"
        plan = transport_plan(
            share.flatten(0, 1),
            torch.cat([visible > 0, visible < 1]),
            (height // high).repeat(2),
            (width // wide).repeat(2),
            eps=self.t_eps,
            published=published,
        )
        index = torch.arange(len(inputs), device=inputs.device)
        own, other = (
            move_patches(inputs, chosen, moves, high, wide, num_columns=share.shape[-1], published=published)
            for chosen, moves in zip((index, partner), plan.chunk(2), strict=True)
        )
        return own, other


def look_up(maps: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Of each map [B, R, C] the entries of its rows int64 [B, H] and columns int64 [B, W]: [B, H, W]."""
    index = torch.arange(len(maps), device=maps.device)
    return maps[index[:, None, None], row[:, :, None], column[:, None, :]]
