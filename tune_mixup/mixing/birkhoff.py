"""Doubly stochastic matrices as an average of permutations, without a full Birkhoff decomposition.

Birkhoff, "Tres observaciones sobre el algebra lineal", 1946, says that every doubly stochastic matrix is one. Instead
of the up to (K - 1)^2 + 1 weighted permutations of an exact decomposition, a pool of P equally likely ones is drawn.
The matrix becomes integers whose rows and columns sum to 2^b; these are halved again and again by splitting the odd
entries alternately (the Euler split of edge colouring; Gabow, "Using Euler partitions to edge color bipartite
multigraphs", 1976; as random rounding: Gandhi, Khuller, Parthasarathy and Srinivasan, "Dependent rounding and its
applications to approximation algorithms", 2006). Each split is fair, so the pool's mean is the matrix in expectation,
and no entry of it is off by more than 1 / P.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Ints = npt.NDArray[np.signedinteger[Any]]

POOL_SIZE = 512
"""Permutations in a pool, a power of two. Rounding to 1 / 512 adds little to the noise of an epoch's own draws
(benchmarks/pairing.py measures both)."""
SCALE_BITS = 30
"""Row and column sums are 2^30 before halving: what rounding moves, less than K / 2^30 of an entry, is negligible."""


def permutation_pool(pairing: Tensor, *, generator: Generator, size: int = POOL_SIZE) -> Tensor:
    """Random permutations whose average is `pairing`: int64 [size, K], entry [r, c] the partner of class c.

    `pairing` float64 [K, K], doubly stochastic, on the CPU, like `generator`; `size` a power of two up to 2^30. Over
    the draws of the generator, the share of permutations that send c to d has the mean pairing[c, d] (up to what
    `quantise` moves), and in any one pool it differs by less than 1 / size.
    """
    if not 1 <= size <= 2**SCALE_BITS or size & (size - 1):
        raise ValueError(f"the size of a pool of permutations: got {size}, must be a power of two up to 2^{SCALE_BITS}")
    num_classes = len(pairing)
    depth = size.bit_length() - 1
    rows = np.repeat(np.arange(num_classes, dtype=np.intp), num_classes)
    columns = np.tile(np.arange(num_classes, dtype=np.intp), num_classes)
    counts = quantise(pairing, SCALE_BITS).flatten().numpy()
    for _ in range(SCALE_BITS - depth):
        counts = halve(columns, counts, generator=generator)
    for level in range(depth):
        kept = counts.nonzero()[0]
        rows, columns, counts = rows[kept], columns[kept], counts[kept]
        first = halve(columns, counts, generator=generator)
        beyond = num_classes << level  # the second halves are new matrices behind all first ones: rows stay sorted
        rows = np.concatenate([rows, rows + beyond])
        columns = np.concatenate([columns, columns + beyond])
        counts = np.concatenate([first, counts - first])
    partners = columns[counts > 0] % num_classes
    return torch.from_numpy(partners.astype(np.int64)).reshape(size, num_classes)


def quantise(matrix: Tensor, bits: int) -> Tensor:
    """2^bits times the doubly stochastic `matrix`, as integers whose rows and columns sum to exactly 2^bits.

    Entries are rounded down; the missing units are put where the staircase from the upper left corner (the
    north-west-corner rule of transport problems) needs them: less than K per row, so less than K / 2^bits of an entry.
    """
    total = 1 << bits
    whole = (matrix * total).floor().long()
    row_ends = (total - whole.sum(1)).cumsum(0)
    column_ends = (total - whole.sum(0)).cumsum(0)
    row_starts, column_starts = F.pad(row_ends[:-1], (1, 0)), F.pad(column_ends[:-1], (1, 0))
    assert bool((row_ends >= row_starts).all() and (column_ends >= column_starts).all()), "not doubly stochastic"
    staircase = torch.minimum(row_ends[:, None], column_ends) - torch.maximum(row_starts[:, None], column_starts)
    return whole + staircase.clamp_min(0)


def halve(columns: Ints, counts: Ints, *, generator: Generator) -> Ints:
    """A fair half of integer matrices with even row and column sums: int64 [E], half of every row and column.

    Entry e is `counts[e]` >= 0 in column `columns[e]`, [E]; entries are listed by ascending row, and numbers of rows
    and columns that differ for different matrices let one call halve many. Even entries are halved exactly, odd ones
    rounded up or down with equal chance.
    """
    odd = (counts & 1).nonzero()[0]
    half = counts >> 1
    half[odd] += fair_sides(columns[odd], generator=generator)
    return half


def fair_sides(columns: Ints, *, generator: Generator) -> Ints:
    """Half of the edges of a bipartite graph, at every vertex: [E] of 0 and 1, each with equal chance.

    Edges are listed by ascending row; `columns` [E] holds their other ends; every row and column has an even number.
    Neighbours within a row are mates, and so are neighbours within a column. Stepping from mate to mate walks along
    cycles; the sides alternate on each, and a coin per cycle says where to begin.
    """
    edge = np.arange(len(columns), dtype=np.intp)
    row_mate = edge ^ 1
    # numpy sorts 16 bits by counting, several times as fast.
    small = columns.astype(np.uint16) if len(columns) and columns.max() < 2**16 else columns
    by_column = small.argsort(kind="stable")
    column_mate = np.empty_like(edge)
    column_mate[by_column] = by_column[row_mate]
    # A row step and a column step together stay on one side, so a cycle is two orbits of `hop`. The smallest edge
    # names an orbit; hops of doubled length find it in a logarithmic number of rounds.
    hop = column_mate[row_mate]
    orbit = edge
    while True:
        smaller = np.minimum(orbit, orbit[hop])
        if np.array_equal(smaller, orbit):
            break
        orbit, hop = smaller, hop[hop]
    across = orbit[row_mate]
    coins = torch.randint(2, (len(columns),), generator=generator).numpy()
    sides: Ints = (orbit < across) ^ coins[np.minimum(orbit, across)]
    return sides
