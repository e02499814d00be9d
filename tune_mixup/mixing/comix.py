"""What the outputs of Co-Mixup cost, and outputs of low cost: each cell of each output shows one image of its part.

Kim, Choo, Jeong, Song, "Co-Mixup: Saliency Guided Joint Mixup with Supermodular Diversity", ICLR 2021,
arXiv:2102.03065, equation 4, with the constants of the authors' released code.

The parts of a batch are solved together, all by the same operations. An output begins with its own image and one
neighbour's, cut as is best for the two alone. Then all outputs are solved anew, each given how much the others show of
each image, and of the new ones as many are taken, the best first, as make the objective least. So it never rises.

Shapes: P parts of M images, and of M outputs; N x N cells. All is float64, which autocast and TF32 leave alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tune_mixup.mixing.grid_labelling import label_grid
from tune_mixup.mixing.saliency import peak

SWEEPS = 1
"""Of the labelling, each time; with more, the rounds end little lower."""
BLENDED = 3
"""An output may show halves of any two of the images that it has most of: of so many."""
SMALLEST_PRIOR = 1e-8
"""What is added to the chance of an image, as in the released code."""


@dataclass(frozen=True)
class ComixWeights:
    """What the parts of the objective weigh, per cell where they count cells."""

    beta: float
    """Neighbours that show different images."""
    gamma: float
    """Images that several outputs show."""
    tau: float
    """How many cells the others may have of an image before it costs anything."""
    hard: bool
    """Whether all cells cost then, or only those above `tau`."""


@dataclass(frozen=True)
class Objective:
    """What outputs [P, M, N, N, M] cost, that is how much each cell of them shows of each image: 0, 1/2 or 1."""

    cost: Tensor
    """Of a cell that shows an image, [P, N, N, M]."""
    affinity: Tensor
    """How much cells of one image count for another one, [P, M, M], symmetric."""
    weights: ComixWeights

    def alone(self, shown: Tensor) -> Tensor:
        """What each output costs by itself, [P, M]: what it shows, and edges between cells."""
        cells = (shown * self.cost[:, None]).sum((2, 3, 4))
        vertical = (shown[:, :, 1:] - shown[:, :, :-1]).square().sum((2, 3, 4))
        horizontal = (shown[:, :, :, 1:] - shown[:, :, :, :-1]).square().sum((2, 3, 4))
        return cells + self.weights.beta / 2 * (vertical + horizontal)

    def together(self, counts: Tensor) -> Tensor:
        """What outputs cost for showing the same images, [P, *], `counts` [P, M, M] or [P, *, M, M] cells of each."""
        return self.weights.gamma * (counts * self._above(counts)).sum((-1, -2))

    def total(self, shown: Tensor) -> Tensor:
        """The objective of each part, [P]."""
        return self.alone(shown).sum(1) + self.together(shown.sum((2, 3)))

    def price(self, counts: Tensor) -> Tensor:
        """What a cell more of each image costs each output, [P, M, M], while the others stay: pairs count twice."""
        return 2 * self.weights.gamma * self._above(counts)

    def _above(self, counts: Tensor) -> Tensor:
        others = counts.sum(-2, keepdim=True) - counts
        found = others @ (self.affinity if counts.ndim == 3 else self.affinity[:, None])
        over = found - self.weights.tau
        return found * (over > 0) if self.weights.hard else over.clamp_min(0)


def cell_costs(saliency: Tensor, chances: Tensor, *, grid: int, eta: float) -> Tensor:
    """The costs of cells, [P, N, N, M], of maps [P, M, H, W] >= 0 and the chances of images [P, M], which sum to 1.

    Minus the share that the cell has of its image's saliency, which is even where there is none, and `eta` for chances.
    """
    height, width = saliency.shape[-2:]
    pooled = avg_pool2d(saliency.double(), (height // grid, width // grid))
    total = pooled.sum((2, 3), keepdim=True)
    share = torch.where(total > 0, pooled / total, 1 / grid**2)
    prior = eta / grid**2 * (chances.double() + SMALLEST_PRIOR).log()
    return -(share + prior[:, :, None, None]).movedim(1, -1)


def affinities(saliency: Tensor, *, omega: float, window: int) -> Tensor:
    """How much cells of one image count for another, [P, M, M]: `omega` of it by how far apart their peaks are.

    `saliency` [P, M, H, W]; a peak is where its mean over `window` x `window` pixels, or the whole image, is largest.
    Distances are Manhattan's, relative to their mean over the part. Where all peaks are in one place, none counts.
    """
    parts, size, height, width = saliency.shape
    smooth = avg_pool2d(saliency.flatten(0, 1)[:, None], (min(window, height), min(window, width)), stride=1)
    row, column = (place.view(parts, size).double() for place in peak(smooth[:, 0]))
    apart = (row[:, :, None] - row[:, None]).abs() + (column[:, :, None] - column[:, None]).abs()
    total = apart.sum((1, 2), keepdim=True)
    relative = torch.where(total > 0, size * apart / total, 0.0)
    return (1 - omega) * torch.eye(size, dtype=torch.float64, device=saliency.device) + omega * relative


class Solved(NamedTuple):
    """Outputs [P, M, N, N, M], and bool [P, M] whether the last round left each as it found it."""

    shown: Tensor
    settled: Tensor


def solve(objective: Objective, neighbour: Tensor, *, rounds: int) -> Solved:
    """Outputs of low cost, the m-th of them begun with the images m and `neighbour` int64 [P, M].

    Without any round nothing is unsettled: they are as they were begun.
    """
    shown = before = begin(objective, neighbour)
    for _ in range(rounds):
        before, shown = shown, improve(objective, shown)
    settled = (shown == before).flatten(2).all(2)
    return Solved(accepted(objective, shown, whole(shown)), settled)


def begin(objective: Objective, neighbour: Tensor) -> Tensor:
    """The best that each output can make of its own image and a neighbour's, as if it were alone."""
    eye = torch.eye(neighbour.shape[1], dtype=torch.float64, device=neighbour.device)
    other = eye[neighbour]
    own = eye.expand_as(other)
    labels = torch.stack([own, (own + other) / 2, other], 2)
    return _labelled(objective, torch.zeros_like(other), labels)


def whole(shown: Tensor) -> Tensor:
    """Outputs that show their own image alone, which no other one does."""
    eye = torch.eye(shown.shape[1], dtype=shown.dtype, device=shown.device)
    return eye[:, None, None].expand_as(shown)


def improve(objective: Objective, shown: Tensor) -> Tensor:
    """Outputs that cost at most as much as `shown`, each solved anew given the others."""
    counts = shown.sum((2, 3))
    return accepted(objective, shown, _labelled(objective, objective.price(counts), _labels(counts)))


def accepted(objective: Objective, shown: Tensor, found: Tensor) -> Tensor:
    """`shown` with as many of the outputs `found` as make the objective least, those first that help most alone."""
    before, after = shown.sum((2, 3))[:, None], found.sum((2, 3))[:, None]
    gain = (objective.alone(shown) - objective.alone(found))[:, None]
    size = gain.shape[-1]
    itself = torch.eye(size, dtype=torch.bool, device=gain.device)
    rank = _gained(objective, before, after, gain, itself).argsort(dim=1, descending=True, stable=True).argsort(1)
    first = rank[:, None] < torch.arange(size + 1, device=gain.device)[:, None]
    number = _gained(objective, before, after, gain, first).argmax(1)
    return torch.where((rank < number[:, None])[..., None, None, None], found, shown)


def _gained(objective: Objective, before: Tensor, after: Tensor, gain: Tensor, taken: Tensor) -> Tensor:
    """How far the objective falls if outputs are `taken` bool [*, Q, M], in each of Q ways: [P, Q], less a constant."""
    return (taken * gain).sum(-1) - objective.together(torch.where(taken[..., None], after, before))


def _labels(counts: Tensor) -> Tensor:
    """What a cell of each output may show, [P, M, L, M]: one image, or halves of two of its most frequent ones."""
    size = counts.shape[-1]
    number = min(BLENDED, size)
    first, second = torch.triu_indices(number, number, 1, device=counts.device)
    eye = torch.eye(size, dtype=counts.dtype, device=counts.device)
    frequent = eye[counts.topk(number).indices]
    halves = (frequent[:, :, first] + frequent[:, :, second]) / 2
    return torch.cat([eye.expand(*counts.shape, size), halves], 2)


def _labelled(objective: Objective, price: Tensor, labels: Tensor) -> Tensor:
    """Outputs [P, M, N, N, M] that cost little by themselves and at `price` [P, M, M] for a cell of each image."""
    parts, size = price.shape[:2]
    grid = objective.cost.shape[1]
    unary = (objective.cost[:, None] + price[:, :, None, None]) @ labels.mT[:, :, None]
    square = labels.square().sum(-1) / 2
    distance = square[..., None] + square[..., None, :] - labels @ labels.mT
    edges = unary.new_full((parts * size, grid, grid - 1), objective.weights.beta)
    chosen = label_grid(
        unary.flatten(0, 1).float(), edges.mT.float(), edges.float(), distance.flatten(0, 1).float(), sweeps=SWEEPS
    ).labels
    index = chosen.view(parts, size, grid**2, 1).expand(-1, -1, -1, size)
    return labels.gather(2, index).view(parts, size, grid, grid, size)
