"""Slow, plain versions of the mixing maths, written from the definitions with loops; no import of the package."""

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np


def box(row: int, column: int, lam: float, height: int, width: int) -> tuple[int, int, int, int]:
    """CutMix's box: top, bottom, left, right."""
    side = np.sqrt(1.0 - lam)
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    return (
        max(row - half_height, 0),
        min(row + half_height, height),
        max(column - half_width, 0),
        min(column + half_width, width),
    )


def soft_counts(logits: np.ndarray, own: Sequence[int], other: Sequence[int], lam: Sequence[float]) -> np.ndarray:
    """Wrong-class probability by true class, one example and one entry at a time."""
    num_classes = logits.shape[1]
    counts = np.zeros((num_classes, num_classes))
    for z, a, b, weight in zip(logits.astype(np.float64), own, other, lam, strict=True):
        p = np.exp(z - z.max())
        p /= p.sum()
        for column in range(num_classes):
            if column in (a, b):
                continue
            counts[a, column] += weight * p[column]
            counts[b, column] += (1 - weight) * p[column]
    return counts


def sinkhorn(matrix: np.ndarray, rounds: int = 100) -> np.ndarray:
    """Rows over row sums, columns over column sums, as often as told."""
    matrix = matrix.astype(np.float64).copy()
    for _ in range(rounds):
        for i in range(len(matrix)):
            matrix[i] /= matrix[i].sum()
        for j in range(len(matrix)):
            matrix[:, j] /= matrix[:, j].sum()
    return matrix


def sequential_pairing(matrix: np.ndarray, classes: Sequence[int], rng: np.random.Generator) -> list[int]:
    """The published pairing with the row of the right class: class after class, in random order, draws its partners
    one by one among the examples that are left, in proportion to the matrix entries of their classes."""
    partner = [-1] * len(classes)
    left = list(range(len(classes)))
    for group in rng.permutation(len(matrix)):
        for member in rng.permutation([i for i, c in enumerate(classes) if c == group]):
            weights = np.array([matrix[group, classes[j]] for j in left])
            drawn = rng.choice(len(left), p=weights / weights.sum())
            partner[member] = left.pop(drawn)
    return partner


def published_pairing(matrix: np.ndarray, classes: Sequence[int], rng: np.random.Generator) -> list[int]:
    """What the released code does with a class-sorted batch: the s-th class of the batch uses row s."""
    partner = [-1] * len(classes)
    left = list(range(len(classes)))
    for slot, group in enumerate(dict.fromkeys(classes)):
        for member in [i for i, c in enumerate(classes) if c == group]:
            weights = np.array([matrix[slot, classes[j]] for j in left])
            drawn = rng.choice(len(left), p=weights / weights.sum())
            partner[member] = left.pop(drawn)
    return partner


def sequential_distribution(matrix: np.ndarray, classes: Sequence[int]) -> dict[tuple[int, ...], float]:
    """The exact probability of every partner assignment of `sequential_pairing`, by enumeration (tiny batches)."""
    groups = [[i for i, c in enumerate(classes) if c == group] for group in sorted(set(classes))]
    orders = [
        [i for members in arranged for i in members]
        for turn in permutations(groups)
        for arranged in product(*(permutations(members) for members in turn))
    ]
    result: dict[tuple[int, ...], float] = {}

    def go(slots: list[int], partner: dict[int, int], probability: float) -> None:
        if not slots:
            key = tuple(partner[i] for i in range(len(classes)))
            result[key] = result.get(key, 0.0) + probability
            return
        left = [j for j in range(len(classes)) if j not in partner.values()]
        weights = [matrix[classes[slots[0]], classes[j]] for j in left]
        for j, weight in zip(left, weights, strict=True):
            if weight > 0:
                go(slots[1:], {**partner, slots[0]: j}, probability * weight / sum(weights))

    for order in orders:
        go(order, {}, 1 / len(orders))
    return result


def class_pair_counts(classes: np.ndarray, partner: np.ndarray, num_classes: int) -> np.ndarray:
    """How often a member of each class (row) met a member of each class (column)."""
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    for i, j in enumerate(partner):
        counts[classes[i], classes[j]] += 1
    return counts


def confusion_like(num_classes: int, seed: int = 0, spread: float = 2.0) -> np.ndarray:
    """A row-stochastic matrix with a few strong confusions per class and 1 / K on the diagonal."""
    rng = np.random.default_rng(seed)
    wrong = np.exp(rng.normal(size=(num_classes, num_classes)) * spread)
    np.fill_diagonal(wrong, 0)
    wrong *= (1 - 1 / num_classes) / wrong.sum(1, keepdims=True)
    return wrong + np.eye(num_classes) / num_classes
