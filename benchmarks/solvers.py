"""What Puzzle Mix and Co-Mixup do without the network, batched on one device, beside a graph cut for each problem.

The graph cut is gco, with which both were published: alpha-beta swap of integers, one problem after the other on one
thread, on the same costs. It is not needed and asked for only here: `pip install --no-deps gco-wrapper==3.0.9`, whose
wheel is for Python 3.11. It refuses weights below 0; those are 0 for both.
"""

import importlib
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks.rows import row
from tune_mixup.mixing.comix import ComixWeights, Objective, affinities, begin, cell_costs
from tune_mixup.mixing.comixup import CoMixup
from tune_mixup.mixing.grid_labelling import label_grid, labelling_cost
from tune_mixup.mixing.puzzle import Cutting, PuzzleWeights, jumps, label_distance, puzzle_costs, shares
from tune_mixup.mixing.puzzlemix import GRIDS, PIXEL_STD, SWEEPS, PuzzleMix
from tune_mixup.seeding import generator

PART = 20
"""Images of a part of Co-Mixup, and outputs."""
MOST = 9e6
"""Costs that gco takes are below 10,000,000 each."""


class Problem(NamedTuple):
    """Labellings to find: `unary` [B, R, C, L], weights `down` and `across`, `distance` [L, L]; as in `label_grid`."""

    title: str
    unary: Tensor
    down: Tensor
    across: Tensor
    distance: Tensor
    sweeps: int

    def cost(self, labels: Tensor) -> float:
        """The mean over problems of what labels int64 [B, R, C] cost."""
        parts = (part.double() for part in (self.unary, self.down, self.across, self.distance))
        return float(labelling_cost(labels, *parts).mean())


def rows(device: torch.device, *, num_images: int, rounds: int) -> list[dict[str, Any]]:
    """Milliseconds of each labelling, and of all that is done with a batch's saliency, for each image."""
    made = generator(0, "mix", device=device)
    images = torch.randn(num_images, 3, 32, 32, device=device, generator=made)
    noise = torch.rand(num_images, 34, 34, device=device, generator=made)
    saliency = avg_pool2d(noise, 3, stride=1) ** 4
    found = [_against_cuts(problem, rounds, device) for problem in problems(images, saliency, made)]
    targets = torch.eye(10, device=device)[torch.arange(num_images, device=device) % 10]
    for mixer in (PuzzleMix(), CoMixup()):
        spent = _seconds(lambda mixer=mixer: assemble(mixer, images, targets, saliency, made), rounds, device)
        ms = 1e3 * spent / num_images
        title = f"{mixer.name} without the network, for each of {num_images} images, {device.type}"
        found.append(row(title, ours=ms, value=ms, unit="ms", value_unit="ms"))
    return found


def problems(images: Tensor, saliency: Tensor, made: torch.Generator) -> list[Problem]:
    """Puzzle Mix's of each published grid, and those of Co-Mixup's first round, less its halves of two images."""
    partner = torch.arange(len(images), device=images.device).roll(1)
    lam = torch.rand(len(images), device=images.device, generator=made)
    found = []
    for grid in GRIDS:
        cutting = Cutting((grid,), torch.zeros_like(partner))
        share = shares(saliency, [(32 // grid, 32 // grid)], cutting, partner)
        apart = jumps(images * PIXEL_STD, partner, cutting, neigh_size=min(4, 32 // grid))
        cost = puzzle_costs(share, *apart, lam, cutting, PuzzleWeights(1.2, 0.5, 0.2), num_labels=3)
        edges = (weight.clamp_min(0) for weight in (cost.down, cost.across))
        distance = label_distance(3, device=images.device)
        found.append(Problem(f"puzzlemix, {grid} x {grid} blocks, 3 weights", cost.unary, *edges, distance, SWEEPS))
    size = min(PART, len(images))
    maps = saliency[: len(images) // size * size].view(-1, size, *saliency.shape[1:])
    chances = torch.rand(maps.shape[:2], dtype=torch.float64, device=images.device, generator=made).softmax(-1)
    plain = CoMixup()
    weights = ComixWeights(plain.beta / 16, plain.gamma / 16, plain.tau * 16, hard=True)
    cells = cell_costs(maps, chances, grid=4, eta=plain.eta)
    objective = Objective(cells, affinities(maps, omega=plain.omega, window=8), weights)
    neighbour = torch.arange(size, device=images.device).roll(1).expand(len(maps), -1)
    price = objective.price(begin(objective, neighbour).sum((2, 3)))
    unary = (cells[:, None] + price[:, :, None, None]).flatten(0, 1).float()
    unary = unary - unary.amin(
        -1, keepdim=True
    )  # what is shown is the same, and the share by which costs differ means more
    edges = unary.new_full((len(unary), 4, 3), weights.beta)
    distance = 1 - torch.eye(size, device=images.device)
    found.append(Problem(f"comixup, 4 x 4 cells, {size} images", unary, edges.mT, edges, distance, 1))
    return found


def assemble(
    mixer: PuzzleMix | CoMixup, images: Tensor, targets: Tensor, saliency: Tensor, made: torch.Generator
) -> None:
    """Make a batch's mixture, saliency given."""
    if isinstance(mixer, CoMixup):
        mixer.assemble(images, targets, saliency, {}, generator=made)
        return
    partner = torch.arange(len(images), device=images.device).roll(1)
    which = torch.randint(len(GRIDS), (len(images),), device=images.device, generator=made)
    lam = torch.rand(len(images), device=images.device, generator=made)
    mixer.assemble(images, targets, saliency, lam=lam, cutting=Cutting(GRIDS, which), partner=partner)


def _against_cuts(problem: Problem, rounds: int, device: torch.device) -> dict[str, Any]:
    number = len(problem.unary)

    def ours() -> Tensor:
        return label_grid(*problem[1:5], sweeps=problem.sweeps).labels

    ours_ms = 1e3 * _seconds(ours, rounds, device) / number
    title = f"a labelling, {problem.title}, {number} at a time on {device.type}, against gco"
    try:
        gco = importlib.import_module("gco")
    except ModuleNotFoundError:
        return row(title, ours=ours_ms, unit="ms", value=None, value_unit="x", note="gco is not installed.")
    cuts, cut_s = cut_one_by_one(problem, gco.cut_grid_graph)
    cut_ms = 1e3 * cut_s / number
    more = problem.cost(ours()) / problem.cost(cuts.to(device)) - 1
    note = f"Costs of our labellings are {100 * more:+.2f} % of gco's on average."
    return row(title, ours=ours_ms, other=cut_ms, unit="ms", value=cut_ms / ours_ms, value_unit="x", note=note)


def cut_one_by_one(problem: Problem, cut: Callable[..., Any]) -> tuple[Tensor, float]:
    """gco's labels int64 [B, R, C] on the CPU, and the seconds that it took for all; integers are made before."""
    unary, down, across, distance = (part.double().cpu() for part in problem[1:5])
    scale = MOST / max(float(part.max()) for part in (unary, down, across))
    whole = [
        (scale / factor * part).round().int().contiguous().numpy()
        for part, factor in ((unary, 1), (down, 100), (across, 100))
    ]
    steps = (100 * distance).round().int().contiguous().numpy()
    began = time.perf_counter()
    found = [
        cut(one, steps, below, beside, n_iter=-1, algorithm="swap") for one, below, beside in zip(*whole, strict=True)
    ]
    spent = time.perf_counter() - began
    labels = [torch.as_tensor(labels).view(unary.shape[1:3]) for labels in found]
    return torch.stack(labels).long(), spent


def _seconds(run: Callable[[], object], rounds: int, device: torch.device) -> float:
    """The median of some calls, after one that does not count."""
    found = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - began)
    return median(found[1:])
