"""Which examples meet in a batch: shuffled, or with every class equally often.

The generator decides; whether every epoch has one of its own is the caller's choice.

Shapes: N training examples, K classes, B batch size, k = B / K examples of a class in a stratified batch.
"""

from typing import Literal

import torch
from torch import Generator, Tensor

from tune_mixup.data.stratify import shuffle_by_class

Unbalanced = Literal["drop", "cycle"]
"""An epoch of stratified batches ends with the smallest class, or goes on to the largest and draws small ones again."""


def epoch_batches(
    targets: Tensor,
    *,
    batch_size: int,
    num_classes: int,
    stratified: bool,
    unbalanced: Unbalanced,
    generator: Generator,
    class_order: Tensor | None = None,
) -> Tensor:
    """Indices of one epoch's examples, int64 [batches, B], on the device of targets int64 [N].

    A last, partial batch is dropped. Stratified batches hold exactly k examples of every class, in random places, or
    class after class in `class_order`, a permutation int64 [K] on the device, where that is given. With
    `drop` no example comes twice in an epoch; with `cycle` the examples of one class come equally often (give or
    take one), and twice in one batch only when the class has fewer than k. Raises as `check_batches`.
    """
    num_batches = check_batches(
        targets, batch_size=batch_size, num_classes=num_classes, stratified=stratified, unbalanced=unbalanced
    )
    device = targets.device
    if not stratified:
        order = torch.randperm(len(targets), device=device, generator=generator)
        return order[: num_batches * batch_size].reshape(num_batches, batch_size)
    counts = torch.bincount(targets, minlength=num_classes)
    first = counts.cumsum(0) - counts
    per_class = batch_size // num_classes
    turn = torch.arange(num_batches * per_class, device=device).reshape(num_batches, 1, per_class)
    grouped = shuffle_by_class(targets, generator=generator)
    by_class = grouped[first[:, None] + turn % counts[:, None]]
    if class_order is not None:
        return by_class[:, class_order].reshape(num_batches, batch_size)
    places = torch.rand(num_batches, batch_size, device=device, generator=generator).argsort(1)
    return by_class.reshape(num_batches, batch_size).gather(1, places)


def order_of_appearance(targets: Tensor, num_classes: int) -> Tensor:
    """The classes in the order in which targets int64 [N] first name them, int64 [K]; those that never come last."""
    places = torch.arange(len(targets), device=targets.device)
    never = torch.full((num_classes,), len(targets), device=targets.device)
    return never.scatter_reduce(0, targets, places, "amin").argsort(stable=True)


def check_batches(
    targets: Tensor, *, batch_size: int, num_classes: int, stratified: bool, unbalanced: Unbalanced
) -> int:
    """The number of batches in an epoch, at least 1.

    Raises ValueError, saying which batch sizes would do, for one that the data can't fill.
    """
    num_examples = len(targets)
    if batch_size > num_examples:
        raise ValueError(
            f"batch size {batch_size} is larger than the {num_examples} training images; use at most {num_examples}"
        )
    if not stratified:
        return num_examples // batch_size
    if batch_size % num_classes:
        below = batch_size - batch_size % num_classes
        fitting = [size for size in (below, below + num_classes) if 0 < size <= num_examples]
        raise ValueError(
            f"batch size {batch_size} is not a multiple of the {num_classes} classes, which stratified batches need;"
            f" use {' or '.join(map(str, fitting)) or 'shuffled batches'}"
        )
    per_class = batch_size // num_classes
    counts: list[int] = torch.bincount(targets, minlength=num_classes).tolist()
    smallest, largest = min(counts), max(counts)
    if smallest == 0:
        raise ValueError(
            f"class {counts.index(0)} of {num_classes} has no training images, so no batch can be stratified;"
            " use data.batches = shuffled"
        )
    if unbalanced == "cycle":
        return largest // per_class  # at least 1: the largest class has N / K or more, and N is at least B
    if per_class > smallest:
        raise ValueError(
            f"batch size {batch_size} needs {per_class} training images of each of the {num_classes} classes, but the"
            f" smallest class has {smallest}; use at most {smallest * num_classes} or data.unbalanced = cycle"
        )
    return smallest // per_class
