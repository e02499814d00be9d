"""Splits put where they lie while a trial trains, as `residence` chooses, which is said."""

import logging
from collections.abc import Collection, Mapping

import torch

from tune_mixup.data.base import DataFault, Dataset, Split
from tune_mixup.data.image_cache import Contents, cached
from tune_mixup.data.residence import choose, memory_of
from tune_mixup.data.rows import Images, Rows, is_mapped, num_bytes

FOLDER = ".tune_mixup"
"""In `data.root`: copies of images that come from no file which could be mapped."""


def place(
    dataset: Dataset,
    splits: Mapping[str, Split[Rows]],
    *,
    device: torch.device,
    share: float,
    fingerprint: str = "",
    covered: Collection[str] = (),
) -> dict[str, Split[Images]]:
    """The splits with their images on `device`, of which the trial has `share`, or as rows on the host.

    Targets are on the device always. Of rows, the `covered` splits, whose stored images have `fingerprint`, are mapped
    from a file, which is made where there is none. Raises DataFault where images fit nowhere, or where that file can't
    be written.
    """
    on_cpu = device.type == "cpu"
    try:
        choice = choose(
            dataset.residence,
            num_bytes=sum(num_bytes(split.images) for split in splits.values()),
            mapped=all(is_mapped(split.images.stored) for split in splits.values()),
            on_cpu=on_cpu,
            memory=memory_of(device, share=1.0 if on_cpu else share),
        )
        logging.getLogger(__name__).log(logging.WARNING if choice.short else logging.INFO, choice.words)
        if not choice.on_device:
            splits = {**splits, **_mapped(dataset, {name: splits[name] for name in covered}, fingerprint)}
    except ValueError as error:
        raise DataFault(str(error)) from error
    return {
        name: Split(split.images[:].to(device) if choice.on_device else split.images, split.targets.to(device))
        for name, split in splits.items()
    }


def _mapped(dataset: Dataset, splits: Mapping[str, Split[Rows]], fingerprint: str) -> dict[str, Split[Rows]]:
    """The splits with what they store mapped from a file that is called by the content of the data."""
    whole = {name: split.images.stored for name, split in splits.items()}
    if all(is_mapped(images) for images in whole.values()):
        return dict(splits)
    none = torch.empty(0, dtype=torch.int64)  # the targets depend on what is made of the data
    contents = Contents((), {name: Split(images, none) for name, images in whole.items()}, fingerprint, {}, False)
    kept = cached(
        [dataset.root / FOLDER / f"{fingerprint}.pt"],
        stamp=repr([(name, images.dtype, [*images.shape]) for name, images in whole.items()]),
        build=lambda _: contents,
    )
    return {
        name: Split(Rows(kept.parts[name].images, split.images.index), split.targets) for name, split in splits.items()
    }
