"""Generalized mixup's bookkeeping in the shape of its released code: one look-up, one update per sample.

It computes what ours does: a class uses its own row, classes draw in random order, zero counts apart. The matrix is
balanced once per epoch instead of once per batch, as anybody would who has looked at it twice. What is left is slow.
"""

import numpy as np
import torch
from torch import Tensor

SINKHORN_ROUNDS = 100
"""Without a test for an earlier end, as released."""


def balance(confusion: Tensor, gamma: float) -> Tensor:
    """`confusion` float32 [K, K] to the power gamma, rows and columns divided by their sums in turn."""
    matrix = confusion**gamma
    for _ in range(SINKHORN_ROUNDS):
        matrix = matrix / matrix.sum(1, keepdim=True)
        matrix = matrix / matrix.sum(0, keepdim=True)
    return matrix


def draw_partners(matrix: Tensor, targets: Tensor, rng: np.random.Generator) -> Tensor:
    """Partners int64 [B]: class after class draws for its members among those left, by its row of `matrix` [K, K]."""
    partner = [-1] * len(targets)
    left = list(range(len(targets)))
    for group in rng.permutation(len(matrix)).tolist():
        members = (targets == group).nonzero().flatten().tolist()
        weights = np.array([float(matrix[group, targets[j]]) for j in left], dtype=np.float64)
        drawn = rng.choice(left, size=len(members), replace=False, p=weights / weights.sum())
        for member, j in zip(members, drawn, strict=True):
            partner[member] = j
        left = [j for j in left if j not in drawn]
    return torch.tensor(partner, device=targets.device)


def count_confusions(logits: Tensor, own: Tensor, other: Tensor, lam: float) -> Tensor:
    """Wrong-class probability of a batch of blends by true class, float32 [K, K] on the CPU."""
    expected = torch.zeros_like(logits)
    predicted = logits.softmax(1)
    for i in range(len(logits)):
        expected[i, own[i]] += lam
        expected[i, other[i]] += 1 - lam
        predicted[i, own[i]] = 0
        predicted[i, other[i]] = 0
    return expected.cpu().T @ predicted.cpu()


def end_epoch(confusion: Tensor, counts: Tensor, *, mu: float, diagonal: float) -> Tensor:
    """The confusion matrix of the next epoch, float32 [K, K]: `mu` of the old one and the rest from the counts."""
    newest = (1 - diagonal) * counts / counts.sum(1, keepdim=True) + diagonal * torch.eye(len(counts))
    return mu * confusion + (1 - mu) * newest
