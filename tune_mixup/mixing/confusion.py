"""Which classes a model takes for which, learned from its own soft predictions, and how often to pair them.

All matrices are float64 [K, K]: K classes, row = the true class, column = the wrong one (or the partner's class).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tune_mixup.mixing.sinkhorn import doubly_stochastic, swept

SMALLEST_CONFUSION = 1e-30
"""Confusions below this count as this: every pair of different classes keeps a positive weight."""


def soft_counts(logits: Tensor, own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """The probability that a batch of blends gives to wrong classes, summed by true class; diagonal 0.

    `logits` float [B, K]; `own`, `other` int64 [B], the two classes in each blend; `lam` [] or [B], the weight of
    `own`. Each row's softmax, without its own two classes, is added to row `own` times lam and to row `other` times
    1 - lam. A row whose logits are not finite adds nothing. float64 throughout, which autocast and TF32 leave alone.
    """
    wrong = logits.double().softmax(1).nan_to_num_(nan=0.0)
    wrong = wrong.scatter_(1, torch.stack([own, other], 1), 0.0)
    weight = lam.double().expand(len(logits))[:, None]
    add_up = add_rows if logits.device.type == "cpu" else multiply
    return add_up(wrong, own, other, weight)


def soft_counts_of_many(logits: Tensor, blends: Tensor) -> Tensor:
    """The same for blends of any number of classes: `blends` [B, K] is how much of each class a row has.

    Each row's softmax, without the classes in its blend, is added to the rows of these classes by what it has of them.
    """
    wrong = logits.double().softmax(1).nan_to_num(nan=0.0).masked_fill(blends > 0, 0.0)
    return blends.double().T @ wrong


def add_rows(wrong: Tensor, own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Rows `wrong` [B, K] added up by class, `weight` [B, 1] of each to row `own`, the rest to `other`: [K, K].

    Several times as fast as `multiply` on a CPU; a GPU would add up in another order each time.
    """
    counts = wrong.new_zeros(wrong.shape[1], wrong.shape[1])
    return counts.index_add_(0, own, weight * wrong).index_add_(0, other, (1 - weight) * wrong)


def multiply(wrong: Tensor, own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """The same as `add_rows`, as one product of matrices: on a GPU the same bits each time."""
    classes = torch.arange(wrong.shape[1], device=wrong.device)
    blend = weight * (own[:, None] == classes) + (1 - weight) * (other[:, None] == classes)
    return blend.T @ wrong


def row_stochastic(counts: Tensor, diagonal: float) -> Tensor:
    """Counts (diagonal 0) as probabilities: each row sums to 1, `diagonal` of it on the diagonal.

    A row without counts (a class that did not occur) becomes uniform off the diagonal.
    """
    num_classes = len(counts)
    sums = counts.sum(1, keepdim=True)
    eye = torch.eye(num_classes, dtype=counts.dtype, device=counts.device)
    known = sums >= torch.finfo(counts.dtype).tiny  # below that the division would lose digits
    wrong = torch.where(known, counts / torch.where(known, sums, 1.0), (1 - eye) / (num_classes - 1))
    return (1 - diagonal) * wrong + diagonal * eye


def uniform_pairing(num_classes: int, diagonal: float) -> Tensor:
    """The doubly stochastic matrix with `diagonal` on the diagonal and equal entries elsewhere."""
    eye = torch.eye(num_classes, dtype=torch.float64)
    if diagonal == 1 / num_classes:
        return torch.full_like(eye, 1 / num_classes)  # exactly: (1 - 1 / K) / (K - 1) may round differently
    return diagonal * eye + (1 - diagonal) / (num_classes - 1) * (1 - eye)


def pairing_matrix(
    confusion: Tensor, gamma: float, *, diagonal: float, power_diagonal: bool, sweeps: int | None = None
) -> Tensor:
    """How often a class is paired with another: confusion to the power gamma, entry by entry, made doubly stochastic.

    `confusion` is row-stochastic, on the CPU. With `power_diagonal` the diagonal is powered like the rest (gamma = 0
    gives 1 / K everywhere); without it only the confusions are, and each row is scaled to `diagonal` on the diagonal
    and 1 - `diagonal` beside it before balancing (gamma = 0 gives `uniform_pairing`). Balancing is exact, or with
    `sweeps` that many rounds of Sinkhorn's, after which only the columns sum to 1 exactly.
    """
    num_classes = len(confusion)
    if gamma == 0:
        return uniform_pairing(num_classes, 1 / num_classes if power_diagonal else diagonal)
    eye = torch.eye(num_classes, dtype=torch.bool)
    log_weights = gamma * torch.where(eye, confusion, confusion.clamp_min(SMALLEST_CONFUSION)).log()
    if not power_diagonal:
        log_wrong = F.log_softmax(log_weights.masked_fill(eye, -torch.inf), dim=1) + math.log1p(-diagonal)
        log_diagonal = math.log(diagonal) if diagonal > 0 else -math.inf
        log_weights = log_wrong.masked_fill(eye, log_diagonal)
    return doubly_stochastic(log_weights) if sweeps is None else swept(log_weights, sweeps)
