"""Balancing: scale the rows and columns of a positive matrix until both sum to 1.

Sinkhorn and Knopp, "Concerning nonnegative matrices and doubly stochastic matrices", 1967, in the log domain; then
Newton's method on the same convex problem (Brauer et al., "A Sinkhorn-Newton method for entropic optimal transport",
arXiv:1710.06635), because plain sweeps need thousands of rounds for the peaked matrices of a large gamma; then the
rounding of Altschuler, Weed and Rigollet (arXiv:1705.09634, algorithm 2), so that the sums are exact in any case.
"""

import torch
from torch import Tensor

NUM_SWEEPS = 20
"""Sinkhorn sweeps before Newton's method; they settle a mild matrix and bring the others near."""
MAX_NEWTON_STEPS = 100
TOLERANCE = 1e-12
"""Largest deviation of a row sum from 1 at which balancing ends."""


def doubly_stochastic(log_weights: Tensor) -> Tensor:
    """diag(r) exp(log_weights) diag(c) with positive r, c and all row and column sums 1.

    `log_weights` float64 [K, K] on the CPU, below infinity; minus infinity (a weight of 0) is allowed where enough
    others remain, as on the diagonal. Returns float64 [K, K].
    """
    rows, columns = _scales(log_weights, NUM_SWEEPS)
    for _ in range(MAX_NEWTON_STEPS):
        matrix = scaled(log_weights, rows, columns)
        if float((matrix.sum(1) - 1).abs().max()) < TOLERANCE:
            break
        rows = _newton_step(log_weights, rows, columns, matrix)
        columns = _column_scale(log_weights, rows)
    return round_to_margins(scaled(log_weights, rows, columns))


def sweep(log_weights: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the row scale [*, K] that balances the rows of exp(log_weights) [*, K, K], and then the columns'.

    `columns` [*, K] is the logarithm of the column scale before.
    """
    rows = _row_scale(log_weights, columns)
    return rows, _column_scale(log_weights, rows)


def scaled(log_weights: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """diag(exp(rows)) exp(log_weights) diag(exp(columns)), for `log_weights` [*, K, K] and scales [*, K]."""
    return (log_weights + rows[..., :, None] + columns[..., None, :]).exp()


def swept(log_weights: Tensor, sweeps: int) -> Tensor:
    """What so many sweeps alone make of exp(log_weights): its columns sum to 1, its rows nearly; `sweeps` >= 1."""
    return scaled(log_weights, *_scales(log_weights, sweeps))


def round_to_margins(matrix: Tensor) -> Tensor:
    """The nearly doubly stochastic `matrix` [*, K, K], >= 0, with its row and column sums made exactly 1.

    Rows, then columns, that sum to more than 1 are scaled down; what is missing is added as a rank-one matrix.
    """
    matrix = matrix / matrix.sum(-1, keepdim=True).clamp_min(1.0)
    matrix = matrix / matrix.sum(-2, keepdim=True).clamp_min(1.0)
    rows_lack = (1 - matrix.sum(-1)).clamp_min(0.0)
    columns_lack = (1 - matrix.sum(-2)).clamp_min(0.0)
    smallest = torch.finfo(matrix.dtype).tiny
    share = columns_lack / columns_lack.sum(-1, keepdim=True).clamp_min(smallest)
    return matrix + rows_lack[..., :, None] * share[..., None, :]


def _scales(log_weights: Tensor, sweeps: int) -> tuple[Tensor, Tensor]:
    rows = columns = torch.zeros(len(log_weights), dtype=torch.float64)
    for _ in range(sweeps):
        rows, columns = sweep(log_weights, columns)
    return rows, columns


def _row_scale(log_weights: Tensor, columns: Tensor) -> Tensor:
    return -torch.logsumexp(log_weights + columns[..., None, :], dim=-1)


def _column_scale(log_weights: Tensor, rows: Tensor) -> Tensor:
    return -torch.logsumexp(log_weights + rows[..., :, None], dim=-2)


def _potential(log_weights: Tensor, rows: Tensor) -> float:
    """The convex function of the row scale whose gradient is row sums minus 1 (columns kept balanced)."""
    return float(-_column_scale(log_weights, rows).sum() - rows.sum())


def _newton_step(log_weights: Tensor, rows: Tensor, columns: Tensor, matrix: Tensor) -> Tensor:
    """A better row scale: a damped Newton step, or a Sinkhorn sweep where no fraction of it goes downhill."""
    sums = matrix.sum(1)
    # The potential does not change along the vector of ones; 1 / K makes the system regular there.
    hessian = torch.diag(sums + 1e-12) - matrix @ matrix.T + 1 / len(matrix)
    # Nearly separate blocks ask for huge steps, where the quadratic model no longer holds.
    solution: Tensor = torch.linalg.solve_ex(hessian, 1 - sums).result
    direction = solution.nan_to_num().clamp(-50, 50)
    start = _potential(log_weights, rows)
    slope = float((sums - 1) @ direction)
    noise = 1e-14 * (1 + abs(start))  # near the minimum the potential is flat to its last digits
    length = 1.0
    while length > 1e-6:
        candidate = rows + length * direction
        if _potential(log_weights, candidate) <= start + 1e-4 * length * slope + noise:
            return candidate
        length /= 2
    return _row_scale(log_weights, columns)
