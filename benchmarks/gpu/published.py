"""One trial by the published loop, of plain mixup or of generalized mixup, with workers for its DataLoader."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import torch

from benchmarks.baselines.published_loop import PublishedLoop
from benchmarks.gpu import Result, Size
from benchmarks.gpu.timing import config
from benchmarks.rows import row
from tune_mixup.training.fitting import load_fitting

EPOCHS = 3
"""The first one, which starts workers and lets cuDNN choose, does not count."""


def results(size: Size, *, net: str, method: str) -> Iterator[Result]:
    """One: images per second of the epochs after the first."""
    trial = config(size, size.nets[net], {"data.num_train": size.published_images, "mixing.name": method})
    data = load_fitting(trial, device=torch.device("cpu"))
    loop = PublishedLoop(trial, data, workers=size.loader_workers, device=size.device)
    rates = [loop.train_epoch()["images_per_s"] for _ in range(EPOCHS)][1:]
    yield {"net": net, "method": method, "images_per_s": median(rates), "min": min(rates), "max": max(rates)}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Each by itself: the ratios are the ladder's, and against plain mixup alone."""
    return [
        row(
            f"{one['net']}: published loop, {one['method']}",
            value=one["images_per_s"],
            value_unit="images/s",
            note="What generalized mixup's published loop adds is bookkeeping for each sample; no ratio is against it."
            if one["method"] != "mixup"
            else "",
        )
        for one in own
    ]
