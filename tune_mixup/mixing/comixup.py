"""Co-Mixup: a batch becomes as many images, each put together of what is salient in several, and unlike one another.

Kim, Choo, Jeong, Song, "Co-Mixup: Saliency Guided Joint Mixup with Supermodular Diversity", ICLR 2021,
arXiv:2102.03065. Saliency is the gradient of the clean loss, by one more pass; the batch is cut into parts, and for
each part the objective of equation 4 is made low (module `comix`). Labels weigh as cells do. A row's own example is the
one that its output began with: lam is what is left of it, and may be 0.

Differs from the released code:

- Outputs begin with two images each and are improved together, on the device, by steps that never raise the objective,
  the threshold included. There, they begin at random and are labelled one after the other, by alpha-beta swap on the
  host and each given the others, which may raise it.
- Labels of halves cost what the objective says, 1/4 of an edge beside either image and 3/4 beside others, and any
  output may have them from the first round on. There, 1 beside others, 0.0005 less for a cell, and only halves of
  images that the output has.
- Outputs of the same images are not told apart by an extra cost in the last round.
- The threshold is for the image that is shown. There, with `threshold=hard`, an error of precedence asks for those
  that its cells count for; at the published omega this changes a price by less than 1 in 400.
- `clean_lam` weighs the loss of the trial, whichever it is. There, 2 / K times the cross-entropy beside softmax_bce,
  which is the same within a factor of 2. It is 0 by default, as no other method here trains on clean images: then
  saliency is seen in evaluation mode, and the method can be a member of a mixture. The published numbers are with 1.
- The sides of an image may differ; cells are then not square.
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from tune_mixup.loss import Loss
from tune_mixup.mixing.base import Alpha, MixedBatch, Mixer, State, StepOutput, interpolate
from tune_mixup.mixing.comix import ComixWeights, Objective, Solved, affinities, cell_costs, solve
from tune_mixup.mixing.erm import Erm
from tune_mixup.mixing.gradients import loss_and_gradients
from tune_mixup.mixing.puzzle import largest_divisor
from tune_mixup.mixing.saliency import input_gradient
from tune_mixup.mixing.solving import SolvingMixer
from tune_mixup.torch_internals import standard_gamma

GRID = 4
"""The published number of cells along each side."""
WINDOW = 8
"""Pixels along the sides of the place that an image's saliency is largest in."""
MINOR_SHARE = 0.36
"""E[min(lam, 1 - lam)] on images of Fashion-MNIST, by a network trained on it for one to three epochs: 0.34 to 0.37."""


class CoMixup(SolvingMixer):
    """Each output shows an image, or halves of two, in each cell of a grid; lam is its own image's share."""

    in_state: ClassVar[frozenset[str]] = frozenset({"alpha"})
    name: Literal["comixup"] = "comixup"
    alpha: Alpha = 2.0
    """All parameters of the Dirichlet that the chances of a part's images are drawn from: >= 0, no unit. 0 is plain
    training."""
    part_size: int = Field(default=20, ge=2, le=100)
    """Examples that are mixed with each other: 2 to 100. A batch of fewer is one part; what fills no part is a smaller
    one."""
    grid: int | None = Field(default=None, ge=2, le=32)
    """Cells along each side, 2 to 32; must divide both sides of the images. Empty: 4, or the most below that do."""
    beta: float = Field(default=0.32, ge=0)
    """Cost of unequal neighbours: >= 0, no unit; cells of one image hang together more with more."""
    gamma: float = Field(default=1.0, ge=0)
    """Cost of showing what other outputs show: >= 0, no unit."""
    tau: float = Field(default=0.83, ge=0)
    """How much of an image the other outputs may have before it costs anything: >= 0, in images."""
    threshold: Literal["hard", "soft"] = "hard"
    """hard: above `tau` all that the others have costs; soft: only what is above it."""
    eta: float = Field(default=0.05, ge=0)
    """Cost of images of small chance: >= 0, no unit."""
    omega: float = Field(default=0.001, ge=0, le=1)
    """How far images count as each other if their peaks are far apart: 0 to 1; with 0 each is itself only."""
    rounds: int = Field(default=4, ge=0, le=50)
    """How often all outputs are solved anew: 0 to 50."""
    clean_lam: float = Field(default=0.0, ge=0)
    """Weight of the loss of the clean images, which are then seen in training mode: >= 0, no unit; published: 1."""

    @property
    @override
    def trains_beside(self) -> str:
        """The weight of the clean images, where they have any."""
        return "clean_lam" if self.clean_lam else ""

    @property
    @override
    def step_applies(self) -> bool:
        """Not with clean images: a batch that is not mixed must do without their loss as well."""
        return not self.clean_lam

    @override
    def canonical(self) -> Mixer:
        """Without mixing this is plain training, whatever `clean_lam` is; what has no effect is as by default."""
        if self.alpha == 0:
            return Erm()
        plain = type(self)()
        return self.replace(
            tau=self.tau if self.gamma else plain.tau,
            threshold=self.threshold if self.gamma else plain.threshold,
            omega=self.omega if self.gamma else plain.omega,
        )

    @override
    def strength(self) -> float | None:
        """Nearly the same for all settings: outputs mostly show two images, of which the own one is one."""
        return MINOR_SHARE

    @override
    def check_data(self, *, height: int, width: int, num_classes: int) -> None:
        """Raises ValueError for images that the grid does not divide."""
        self._grid(height, width)

    def _grid(self, height: int, width: int) -> int:
        common = math.gcd(height, width)
        grid = self.grid or max(2, largest_divisor(common, GRID))
        if common % grid:
            fit = [str(grid) for grid in range(2, min(common, 32) + 1) if common % grid == 0]
            remedy = f"set mixing.grid to one of {', '.join(fit)}" if fit else "crop or pad the images"
            raise ValueError(
                f"comixup: a grid of {grid} x {grid} cells does not divide images of {height} x {width} pixels, and it "
                f"must; {remedy}"
            )
        return grid

    @override
    def blend(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, state: State, *, epoch: int, generator: Generator
    ) -> MixedBatch:
        """Put inputs [B, C, H, W] together by what the model looks at; targets [B, K] weigh by area."""
        if self.alpha == 0:
            return Erm().mix(inputs, targets, state, epoch=epoch, generator=generator)
        saliency = input_gradient(model, inputs, targets)
        return self.assemble(inputs, targets, saliency, state, generator=generator)

    @override
    def step(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        *,
        epoch: int,
        generator: Generator,
        loss: Loss,
    ) -> StepOutput:
        if not self.clean_lam or self.alpha == 0:
            return super().step(model, inputs, targets, state, epoch=epoch, generator=generator, loss=loss)
        clean = loss_and_gradients(model, inputs, targets, loss)
        mixed = self.assemble(inputs, targets, clean.saliency, state, generator=generator)
        logits: Tensor = model(mixed.inputs)
        state = self.observe(state, mixed, targets, logits.detach())
        total = loss(logits, mixed.soft_targets) + self.clean_lam * clean.loss
        return StepOutput(total, logits, mixed.soft_targets, state)

    def assemble(
        self, inputs: Tensor, targets: Tensor, saliency: Tensor, state: State, *, generator: Generator
    ) -> MixedBatch:
        """What the draws make of a batch and its maps [B, H, W]."""
        size = min(self.part_size, len(inputs))
        whole = len(inputs) // size * size
        solved = [self._solved(saliency[:whole].reshape(-1, size, *saliency.shape[1:]), state, generator=generator)]
        if whole < len(inputs):
            solved.append(self._solved(saliency[whole:][None], state, generator=generator))
        mixed = put_together(inputs, targets, [one.shown for one in solved])
        return mixed._replace(unsettled=~torch.cat([one.settled.flatten() for one in solved]))

    def _solved(self, saliency: Tensor, state: State, *, generator: Generator) -> Solved:
        """How much each cell of P M outputs shows of the images of its part, [P, M, N, N, M], for maps [P, M, H, W]."""
        shape, device = saliency.shape[:2], saliency.device
        chances = draw_chances(self.live("alpha", state), shape, device=device, generator=generator)
        order = torch.rand(shape, dtype=torch.float64, device=device, generator=generator).argsort(1)
        neighbour = torch.empty_like(order).scatter_(1, order, order.roll(-1, 1))
        grid = self._grid(*saliency.shape[-2:])
        area = grid**2
        weights = ComixWeights(self.beta / area, self.gamma / area, self.tau * area, hard=self.threshold == "hard")
        cost = cell_costs(saliency, chances, grid=grid, eta=self.eta)
        objective = Objective(cost, affinities(saliency, omega=self.omega, window=WINDOW), weights)
        return solve(objective, neighbour, rounds=self.rounds)


def draw_chances(
    alpha: float | Tensor, shape: tuple[int, ...], *, device: torch.device, generator: Generator
) -> Tensor:
    """Rows of `shape` [P, M] from the Dirichlet whose parameters are all `alpha` > 0: float64, each sums to 1.

    Gammas are drawn as logarithms, as by `sample_lam`, so that a small alpha does not underflow.
    """
    gamma = standard_gamma(torch.ones(shape, dtype=torch.float64, device=device) + alpha, generator=generator)
    uniform = torch.rand(shape, dtype=torch.float64, device=device, generator=generator)
    return (gamma.log() + (1 - uniform).log() / alpha).softmax(-1)


def put_together(inputs: Tensor, targets: Tensor, shown: list[Tensor]) -> MixedBatch:
    """The mixed batch of inputs [B, C, H, W] and targets [B, K] whose parts show, in groups, [P, M, N, N, M]."""
    first, second, weight, own, shares = [], [], [], [], []
    start = 0
    for group in shown:
        parts, size, grid = group.shape[:3]
        begin = start + size * torch.arange(parts, device=inputs.device)
        most = group.topk(min(2, size))
        image = (most.indices + begin[:, None, None, None, None]).flatten(0, 1)
        first.append(image[..., 0])
        second.append(image[..., -1])
        weight.append(most.values[..., 0].flatten(0, 1))
        own.append(group.diagonal(dim1=1, dim2=4).movedim(-1, 1).flatten(0, 1))
        columns = (begin[:, None] + torch.arange(size, device=inputs.device)).repeat_interleave(size, 0)
        share = (group.sum((2, 3)) / grid**2).flatten(0, 1)
        shares.append(share.new_zeros(parts * size, len(inputs)).scatter_(1, columns, share))
        start += parts * size
    share = torch.cat(shares)
    row, column = (torch.arange(side, device=inputs.device) for side in inputs.shape[-2:])
    pixels = inputs.movedim(1, -1)
    images = [
        pixels[enlarged(torch.cat(each), inputs), row[:, None], column].movedim(-1, 1) for each in (first, second)
    ]
    mixed = interpolate(images[0], images[1], enlarged(torch.cat(weight), inputs)[:, None])
    last = inputs.is_contiguous(memory_format=torch.channels_last)
    itself = torch.eye(len(inputs), dtype=torch.bool, device=inputs.device)
    return MixedBatch(
        mixed.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format),
        (share @ targets.double()).float(),
        share.diagonal().float(),
        share.masked_fill(itself, -1.0).argmax(1),
        enlarged(torch.cat(own), inputs)[:, None].float(),
        shares=share.float(),
    )


def enlarged(cells: Tensor, inputs: Tensor) -> Tensor:
    """Cells [B, N, N] as pixels [B, H, W] of the inputs [B, C, H, W]."""
    down, across = (side // cells.shape[-1] for side in inputs.shape[-2:])
    return cells.repeat_interleave(down, 1).repeat_interleave(across, 2)
