"""Alignment of feature maps: which place of one image's map belongs to which place of another's, and moving them there.

Optimal transport with an entropy term (Cuturi, "Sinkhorn Distances", NIPS 2013, arXiv:1306.0895) between the places of
two maps, each of the same weight: the plan, times the number of places, is doubly stochastic. It is solved in the log
domain for the whole batch, in a number of sweeps that is known beforehand, so that no value is read on the host.

Shapes: B batch, D channels, R places of a map (height times width; 1 for features without any).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tune_mixup.mixing.sinkhorn import round_to_margins, scaled, sweep

FALLING = 0.6
"""Share of the sweeps in which the temperature falls; the others are made at the last one."""
PUBLISHED_STOP = 0.1
"""The released code stops when row potentials change by less than this, summed over places, on average over a batch."""


def distances(own: Tensor, other: Tensor, *, normalised: bool) -> Tensor:
    """Squared Euclidean distances of the features of any two places, float [B, R, R]: own place, other place.

    `own` and `other` are float [B, D, ...]; half precisions are computed in float32. `normalised` scales the features
    of each place to length 1 before. No gradient flows through them.
    """
    rows, columns = (_at_least_single(_places(features.detach())).mT for features in (own, other))
    if normalised:
        rows, columns = (normalize(places, dim=-1) for places in (rows, columns))
    # By differences: the shorter way through products loses the digits that an exponential of hundreds asks for.
    return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist").square()


def annealed(cost: Tensor, *, epsilon: float, sweeps: int) -> Tensor:
    """The assignment [B, R, R] >= 0 of a cost [B, R, R], whose rows and columns sum to 1.

    The temperature falls from each pair's largest cost to `epsilon`, in units of the cost (Schmitzer, "Stabilized
    Sparse Scaling Algorithms for Entropy Regularized Transport Problems", arXiv:1610.06519, section 3.4). On the last
    maps of untrained networks twenty such sweeps come nearer to the best assignment than a hundred at `epsilon` alone.
    What then is missing of the sums is made up for by rounding.
    """
    number = torch.arange(1, sweeps + 1, device=cost.device, dtype=cost.dtype)[:, None, None, None]
    left = (1 - number / max(1.0, FALLING * sweeps)).clamp_min(0)
    largest = cost.amax((-2, -1), keepdim=True).clamp_min(epsilon)
    temperatures = epsilon * (largest / epsilon) ** left
    ratios = (temperatures.roll(1, 0) / temperatures).squeeze(-1)
    log_weights = -cost
    rows = columns = cost.new_zeros(cost.shape[:-1])
    for temperature, ratio in zip(temperatures, ratios, strict=True):
        rows, columns = sweep(log_weights / temperature, columns * ratio)
    return round_to_margins(scaled(log_weights / epsilon, rows, columns))


def stopped(cost: Tensor, *, epsilon: float, sweeps: int) -> Tensor:
    """The assignment as the released code makes it: its columns sum to 1, its rows may be far from it.

    All sweeps are at `epsilon`, and after the first one that changes little (`PUBLISHED_STOP`) nothing changes any
    more, for any pair of the batch.
    """
    log_weights = -cost / epsilon
    columns = cost.new_zeros(cost.shape[:-1])
    rows = columns + math.log(cost.shape[-1])  # a potential of 0: there, marginals are 1 / R instead of 1
    running = torch.ones((), dtype=torch.bool, device=cost.device)
    for _ in range(sweeps):
        next_rows, next_columns = sweep(log_weights, columns)
        change = epsilon * (next_rows - rows).abs().sum(-1).mean()
        rows, columns = torch.where(running, next_rows, rows), torch.where(running, next_columns, columns)
        running = running & (change >= PUBLISHED_STOP)
    return scaled(log_weights, rows, columns)


def carry(features: Tensor, assignment: Tensor) -> Tensor:
    """`features` [B, D, ...] at other places: row by row, `assignment` [B, R, R] says what each takes from which.

    In the layout and the type of `features`; gradients flow through them.
    """
    places = _places(features)
    wide = _at_least_single(places)
    weights = assignment.to(wide.dtype)
    if features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last):
        moved = (weights @ wide.mT).mT
    else:
        moved = wide @ weights.mT
    return moved.reshape(features.shape).to(features.dtype)


def _places(features: Tensor) -> Tensor:
    """Features [B, D, ...] as [B, D, R]."""
    return features.reshape(*features.shape[:2], -1)


def _at_least_single(values: Tensor) -> Tensor:
    """float32 instead of a lower precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
