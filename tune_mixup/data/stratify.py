"""Random choices that treat every class alike. Targets are int64 [N], classes 0..K-1."""

import torch
from torch import Generator, Tensor


def shuffle_by_class(targets: Tensor, *, generator: Generator) -> Tensor:
    """Indices [N] of all examples, class 0 first; the order inside each class is random. On the device of targets."""
    order = torch.randperm(len(targets), device=targets.device, generator=generator)
    return order[torch.argsort(targets[order], stable=True)]


def apportion(counts: Tensor, total: int) -> Tensor:
    """`total` examples shared among the classes in proportion to counts int64 [K]; int64 [K], sums to `total`.

    Largest remainders (Hamilton's method); equal remainders go to the lower class. `total` is in [0, counts.sum()].
    """
    scaled = counts * total
    shares = scaled // counts.sum()
    remainders = scaled % counts.sum()
    missing = total - int(shares.sum())
    shares[torch.argsort(remainders, descending=True, stable=True)[:missing]] += 1
    return shares


def split(
    targets: Tensor, *, fraction: float, limit: int | None, class_names: tuple[str, ...], generator: Generator
) -> tuple[Tensor, Tensor]:
    """Indices of the training and the validation examples, each ascending; both on the CPU, as targets.

    First `limit` examples are kept (None: all), shared among the classes in proportion; a smaller limit keeps a part
    of what a larger one keeps. Of every class the nearest number to `fraction` of it is held out, but at least one
    example and not all; a `fraction` of 0 holds out nothing.

    Raises ValueError naming the class that has too few examples, or for a limit above N.
    """
    counts = torch.bincount(targets, minlength=len(class_names))
    if limit is not None and limit > len(targets):
        raise ValueError(
            f"data.train_limit is {limit}, but the training set has {len(targets)} examples; use at most that, or none"
        )
    kept = counts if limit is None else apportion(counts, limit)
    _check_classes(kept, needed=2 if fraction else 1, limit=limit, class_names=class_names)
    held_out = (kept.double() * fraction).round().long()
    if fraction:
        held_out = torch.minimum(held_out.clamp(min=1), kept - 1)
    grouped = shuffle_by_class(targets, generator=generator)
    grouped_targets = targets[grouped]
    rank = torch.arange(len(targets)) - (counts.cumsum(0) - counts)[grouped_targets]
    validation = grouped[rank < held_out[grouped_targets]]
    train = grouped[(rank >= held_out[grouped_targets]) & (rank < kept[grouped_targets])]
    return train.sort().values, validation.sort().values


def _check_classes(kept: Tensor, *, needed: int, limit: int | None, class_names: tuple[str, ...]) -> None:
    for name, count in zip(class_names, kept.tolist(), strict=True):
        if count < needed:
            examples = f"{count} training example{'' if count == 1 else 's'}"
            after = "" if limit is None else f" after data.train_limit = {limit}"
            purpose = "one to train on and one to validate on are" if needed == 2 else "one to train on is"
            remedy = "add examples or leave the class out" if limit is None else "raise data.train_limit"
            raise ValueError(f"class {name!r} has {examples}{after}, but {purpose} needed; {remedy}")
