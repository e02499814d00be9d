"""Labellings by loops, by trying all of them, and by SciPy's maximum flow."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

SCALE = 1e6
"""What a cost of 1 is in the whole numbers of the flow."""


class Problem(NamedTuple):
    """Costs of labels [R, C, L], weights of edges [R-1, C] and [R, C-1], distances of labels [L, L]."""

    unary: np.ndarray
    down: np.ndarray
    across: np.ndarray
    distance: np.ndarray


def cost(labels, problem):
    """Cell by cell and edge by edge."""
    rows, columns, _ = problem.unary.shape
    total = 0.0
    for r, c in itertools.product(range(rows), range(columns)):
        total += problem.unary[r, c, labels[r, c]]
        if r + 1 < rows:
            total += problem.down[r, c] * problem.distance[labels[r, c], labels[r + 1, c]]
        if c + 1 < columns:
            total += problem.across[r, c] * problem.distance[labels[r, c], labels[r, c + 1]]
    return total


def least_cost(problem):
    """Of all labellings there are, tried out at once."""
    rows, columns, num_labels = problem.unary.shape
    cells = rows * columns
    every = np.indices((num_labels,) * cells).reshape(rows, columns, -1)
    total = np.zeros(every.shape[-1])
    for r, c in itertools.product(range(rows), range(columns)):
        total += problem.unary[r, c][every[r, c]]
        if r + 1 < rows:
            total += problem.down[r, c] * problem.distance[every[r, c], every[r + 1, c]]
        if c + 1 < columns:
            total += problem.across[r, c] * problem.distance[every[r, c], every[r, c + 1]]
    return total.min()


def minimum_cut(problem):
    """Labels of least cost where the distance is ((i - j) / (L - 1))^2 and no weight is negative: exact, by max-flow.

    Label l of a cell is l units, of which the k-th is there only with those before. l^2 is the sum of 2 k - 1 over the
    units there, and l l' counts pairs of units that are both there: half of their number less half of the pairs of
    which one is there, which is what a cut counts.
    """
    rows, columns, num_labels = problem.unary.shape
    cells, units = rows * columns, num_labels - 1
    place = np.arange(cells).reshape(rows, columns)
    first = np.concatenate([place[:-1].ravel(), place[:, :-1].ravel()])
    second = np.concatenate([place[1:].ravel(), place[:, 1:].ravel()])
    weight = np.concatenate([problem.down.ravel(), problem.across.ravel()]) / units**2
    price = np.diff(problem.unary.reshape(cells, num_labels).astype(float), axis=1)
    for k in range(units):
        for end in (first, second):
            np.add.at(price[:, k], end, weight * (2 * k + 1 - units))
    source, sink = cells * units, cells * units + 1
    node = np.arange(cells * units).reshape(cells, units)
    arcs = []
    for k, m in itertools.product(range(units), repeat=2):
        arcs += [(node[first, k], node[second, m], weight), (node[second, m], node[first, k], weight)]
    arcs += [(node[:, k + 1], node[:, k], np.full(cells, 100.0)) for k in range(units - 1)]
    every, price = node.ravel(), price.ravel()
    arcs += [(every, np.full(len(every), sink), price.clip(0)), (np.full(len(every), source), every, (-price).clip(0))]
    start, end, capacity = (np.concatenate(parts) for parts in zip(*arcs, strict=True))
    whole = np.round(capacity * SCALE).astype(np.int32)
    graph = coo_matrix((whole, (start, end)), shape=(sink + 1, sink + 1)).tocsr()
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = left.data.clip(0)
    left.eliminate_zeros()
    there = np.zeros(sink + 1, dtype=int)
    there[breadth_first_order(left, source, return_predecessors=False)] = 1
    return there[: cells * units].reshape(rows, columns, units).sum(-1)
