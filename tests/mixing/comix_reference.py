"""The objective of Co-Mixup by loops, and its least value over all outputs there are."""

import itertools
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """Costs [N, N, M] of cells, affinities [M, M] and what the rest weighs."""

    cost: np.ndarray
    affinity: np.ndarray
    beta: float
    gamma: float
    tau: float
    hard: bool


def alone(shown, part):
    """An output [N, N, M], cell by cell and edge by edge."""
    total, size = 0.0, len(shown)
    for r, c in itertools.product(range(size), repeat=2):
        total += sum(shown[r, c, i] * part.cost[r, c, i] for i in range(shown.shape[2]))
        for r2, c2 in ((r + 1, c), (r, c + 1)):
            if r2 < size and c2 < size:
                total += part.beta / 2 * sum((shown[r, c, i] - shown[r2, c2, i]) ** 2 for i in range(shown.shape[2]))
    return total


def together(counts, part):
    """Outputs with `counts` [O, M] cells of each image, pair by pair of outputs and images."""
    outputs, images = counts.shape
    total = 0.0
    for o, i in itertools.product(range(outputs), range(images)):
        others = sum(
            part.affinity[i, k] * counts[other, k] for other in range(outputs) if other != o for k in range(images)
        )
        if others > part.tau:
            total += part.gamma * counts[o, i] * (others if part.hard else others - part.tau)
    return total


def objective(shown, part):
    """Of outputs [O, N, N, M]."""
    return sum(alone(output, part) for output in shown) + together(shown.sum((1, 2)), part)


def every_output(grid, images):
    """All there are: each cell shows one image, or halves of two."""
    whole = list(np.eye(images))
    halves = [(whole[a] + whole[b]) / 2 for a, b in itertools.combinations(range(images), 2)]
    for cells in itertools.product(whole + halves, repeat=grid**2):
        yield np.array(cells).reshape(grid, grid, images)


def least(part):
    """The least objective of as many outputs as images, whatever they show."""
    grid, _, images = part.cost.shape
    outputs = list(every_output(grid, images))
    costs = [alone(output, part) for output in outputs]
    counts = [output.sum((0, 1)) for output in outputs]
    # Only the cheapest of the outputs that have the same counts can be among the best.
    cheapest = {}
    for cost, count in zip(costs, counts, strict=True):
        key = tuple(count)
        cheapest[key] = min(cost, cheapest.get(key, np.inf))
    return min(
        sum(cheapest[key] for key in chosen) + together(np.array(chosen), part)
        for chosen in itertools.combinations_with_replacement(cheapest, images)
    )
