"""Labels for the cells of a grid that cost little and differ little between neighbours, for a batch of grids at once.

A labelling costs what each cell pays for its label, and for each two neighbours the weight of their edge times the
distance of their labels. Puzzle Mix hands such problems to a graph cut on the host, one after the other. Here min-sum
message passing solves them all on their device, by the same operations whatever the numbers are.

A sweep takes every row for a chain and solves it exactly, given what the columns say, then every column, given what the
rows say. Chains are solved by a scan: paths from cell to cell are joined two and two, so 16 cells take four rounds.
With more labels than cells, joining would be most of the work, and the chain is walked from cell to cell.

Shapes: B problems, R x C cells, L labels. A cost may be infinite, which forbids a label, and a weight negative.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


class Labelling(NamedTuple):
    """The best labels int64 [B, R, C], and those after the last sweep and before it."""

    labels: Tensor
    last: Tensor
    before: Tensor

    @property
    def settled(self) -> Tensor:
        """Whether the last sweep left all labels as it found them, bool [B]."""
        return (self.last == self.before).flatten(1).all(1)


def label_grid(unary: Tensor, down: Tensor, across: Tensor, distance: Tensor, *, sweeps: int) -> Labelling:
    """Labels of nearly the least cost: those of the best sweep, or one for all where it is better.

    `unary` float [B, R, C, L] is what a cell pays for a label, finite for at least one. `down` [B, R-1, C] and `across`
    [B, R, C-1] are the weights of the edges from a cell to the one below it and to the one right of it. `distance`
    [L, L] is symmetric; [B, L, L] where each problem has labels of its own.
    """
    # One label for all is what strong edges want, and what messages that go around in circles may miss.
    alike = unary.sum((1, 2)).argmin(-1)
    best = alike[:, None, None].expand(unary.shape[:-1])
    least = labelling_cost(best, unary, down, across, distance)
    by_columns, labels, before = torch.zeros_like(unary), best, best
    for _ in range(sweeps):
        by_rows = _along_rows(unary + by_columns, across, distance)
        by_columns = _along_columns(unary + by_rows, down, distance)
        before, labels = labels, (unary + by_rows + by_columns).argmin(-1)
        cost = labelling_cost(labels, unary, down, across, distance)
        best = torch.where((cost < least)[:, None, None], labels, best)
        least = torch.minimum(cost, least)
    return Labelling(best, labels, before)


def labelling_cost(labels: Tensor, unary: Tensor, down: Tensor, across: Tensor, distance: Tensor) -> Tensor:
    """What labels int64 [B, R, C] cost in all, float [B]; the rest as in `label_grid`."""
    cells = unary.gather(-1, labels[..., None]).sum((1, 2, 3))
    vertical = down * _looked_up(distance, labels[:, :-1], labels[:, 1:])
    horizontal = across * _looked_up(distance, labels[:, :, :-1], labels[:, :, 1:])
    return cells + vertical.sum((1, 2)) + horizontal.sum((1, 2))


def _looked_up(distance: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """The distance of each two labels int64 [B, R, C]: float [B, R, C]."""
    if distance.ndim == 2:
        return distance[labels, others]
    return distance.flatten(1).gather(1, (labels * distance.shape[-1] + others).flatten(1)).view_as(labels)


def _along_columns(cost: Tensor, weight: Tensor, distance: Tensor) -> Tensor:
    return _along_rows(cost.transpose(1, 2), weight.transpose(1, 2), distance).transpose(1, 2)


def _along_rows(cost: Tensor, weight: Tensor, distance: Tensor) -> Tensor:
    """What each label of a cell makes the rest of its row pay at least, up to a constant: float [B, R, C, L].

    `cost` [B, R, C, L] is what cells pay, `weight` [B, R, C-1] that of the edges within a row.
    """
    if not weight.shape[-1]:
        return torch.zeros_like(cost)
    edges = weight[..., None, None] * (distance if distance.ndim == 2 else distance[:, None, None])
    rightwards = cost[:, :, :-1, :, None] + edges
    leftwards = (cost[:, :, 1:, :, None] + edges).flip(2)
    # Step k goes from a label of cell k to one of cell k + 1.
    steps = torch.stack([rightwards, leftwards])
    arriving = _walked(steps) if distance.shape[-1] > cost.shape[2] else _scanned(steps)
    arriving = arriving - arriving.amin(-1, keepdim=True)  # or else they would grow from sweep to sweep
    from_left, from_right = arriving[0], arriving[1].flip(2)
    return pad(from_left, (0, 0, 1, 0)) + pad(from_right, (0, 0, 0, 1))


def _walked(steps: Tensor) -> Tensor:
    """The cheapest way from cell 0 to each label of cells 1 to C - 1, step by step: [*, C-1, L, L] to [*, C-1, L]."""
    first, *others = steps.unbind(-3)
    arriving = [first.amin(-2)]
    for step in others:
        arriving.append((arriving[-1][..., None] + step).amin(-2))
    return torch.stack(arriving, -2)


def _scanned(steps: Tensor) -> Tensor:
    """The same in about as many rounds as the logarithm of C."""
    paths, reach = steps, 1
    while reach < steps.shape[-3]:
        longer = _joined(paths[..., :-reach, :, :], paths[..., reach:, :, :])
        paths = torch.cat([paths[..., :reach, :, :], longer], -3)
        reach *= 2
    return paths.amin(-2)


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """The cheapest of all paths of two parts [..., L, L]: the least of first[y, m] + second[m, x] over m."""
    return (first[..., None] + second[..., None, :, :]).amin(-2)
