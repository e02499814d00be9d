"""Fewer training images than there are: so many of each class, or a long tail of classes.

Shapes: N examples, n of them to train on, K classes.
"""

import torch
from torch import Generator, Tensor

from tune_mixup.data.stratify import shuffle_by_class


def thin(
    targets: Tensor,
    *,
    samples_per_class: int | None,
    imbalance: float,
    class_names: tuple[str, ...],
    generator: Generator,
) -> Tensor:
    """Which of the examples with targets int64 [n] are kept: indices int64, ascending, on the CPU as targets are.

    Smaller numbers keep a part of what larger ones keep. Raises ValueError naming a class that has too few.
    """
    counts = torch.bincount(targets, minlength=len(class_names))
    kept = long_tail(_of_each(counts, samples_per_class, class_names), imbalance)
    _check_none_is_empty(kept, imbalance, class_names)
    grouped = shuffle_by_class(targets, generator=generator)
    grouped_targets = targets[grouped]
    rank = torch.arange(len(targets)) - (counts.cumsum(0) - counts)[grouped_targets]
    return grouped[rank < kept[grouped_targets]].sort().values


def long_tail(counts: Tensor, imbalance: float) -> Tensor:
    """Of int64 [K] examples per class, class k keeps the share imbalance^(-k / (K - 1)), rounded down: int64 [K].

    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 5.1: of equally many, the
    first class keeps all, and the last one as many as all divided by `imbalance`.
    """
    classes = torch.arange(len(counts), dtype=torch.float64)
    shares = imbalance ** (-classes / (len(counts) - 1))
    # 3,000 divided by 3 is 1,000, also where the share is a bit less than a third.
    return (counts * shares + 1e-6).long()


def _of_each(counts: Tensor, samples_per_class: int | None, class_names: tuple[str, ...]) -> Tensor:
    if samples_per_class is None:
        return counts
    fewest = int(counts.min())
    if samples_per_class > fewest:
        scarce = class_names[int(counts.argmin())]
        raise ValueError(
            f"data.samples_per_class is {samples_per_class}, but class {scarce!r} has {fewest} training "
            f"image{'' if fewest == 1 else 's'} beside those that are held out; use at most {fewest}"
        )
    return torch.full_like(counts, samples_per_class)


def _check_none_is_empty(kept: Tensor, imbalance: float, class_names: tuple[str, ...]) -> None:
    if not bool(kept.all()):
        scarce = class_names[int(kept.argmin())]
        raise ValueError(
            f"data.imbalance is {imbalance:g}, which leaves class {scarce!r} without a training image; use less, or "
            "more images"
        )
