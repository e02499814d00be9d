"""From the published loop to the fast path, rung by rung: images per second and percent of the series limit."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import torch

from benchmarks import gpu
from benchmarks.baselines.published_loop import PublishedLoop
from benchmarks.gpu import Size
from benchmarks.gpu.limits import ceilings, counts, series_limit
from benchmarks.gpu.timing import config, free, images_per_s, stepper
from benchmarks.rows import row
from tune_mixup.training.fitting import load_fitting
from tune_mixup.training.trainer import Trainer

FAST = {"training.precision": "bf16", "training.channels_last": True, "training.deterministic": False}
RUNGS: dict[str, dict[str, Any]] = {
    "data on the device, fp32": {},
    "TF32": {"training.precision": "tf32"},
    "bf16": {"training.precision": "bf16"},
    "bf16, channels last": {"training.precision": "bf16", "training.channels_last": True},
    "+ fastest kernels": FAST,
    "+ compile: model": {**FAST, "training.compile": "model"},
    "+ compile: step": {**FAST, "training.compile": "step"},
    "+ compile: graph": {**FAST, "training.compile": "graph"},
}
ON_CPU = tuple(name for name in RUNGS if "compile" not in name)
"""What a rehearsal without a GPU leaves out is tested elsewhere."""
PUBLISHED = "published loop"


def measure() -> Iterator[dict[str, Any]]:
    size = gpu.size()
    most = ceilings(size)
    return gpu.growing(size, rates(size, most), rows, ceilings=most)


def rows(measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each rung against the published loop of its network; one that failed has none."""
    published = {one["net"]: one["images_per_s"] for one in measured if one["rung"] == PUBLISHED}
    return [
        row(
            f"{one['net']}: {one['rung']}, against the published loop",
            ours=one["images_per_s"],
            other=published[one["net"]],
            unit="images/s",
            value=one["images_per_s"] / published[one["net"]],
            value_unit="x",
            note=f"{100 * one['of_limit']:.0f} % of the series limit; {one['min']:,.0f} to {one['max']:,.0f} images/s.",
        )
        for one in measured
        if one["rung"] != PUBLISHED and "images_per_s" in one
    ]


def rates(size: Size, most: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One result for each network and rung; `most` is what the device can do."""
    for net in size.nets:
        per_image = counts(size, net)
        limit = series_limit(most, per_image, fused=False)
        known = {"net": net, "series_limit": limit, "series_limit_fused": series_limit(most, per_image, fused=True)}
        published = _published(size, net)
        yield {**known, "rung": PUBLISHED, **published, "of_limit": published["images_per_s"] / limit}
        for rung, settings in RUNGS.items():
            if size.device.type == "cpu" and rung not in ON_CPU:
                continue
            free()
            measured = _ours(size, net, settings)
            share = measured["images_per_s"] / limit if "images_per_s" in measured else None
            yield {**known, "rung": rung, **measured, "of_limit": share}


def _ours(size: Size, net: str, settings: dict[str, Any]) -> dict[str, Any]:
    trial = config(size, net, **settings)
    try:
        trainer = Trainer(trial, device=size.device)
        measured = images_per_s(stepper(trainer), trial.training.batch_size, size, warm_up=10)
    except RuntimeError as error:  # one rung that fails must not cost the others their minutes
        return {"error": str(error).splitlines()[0]}
    if size.device.type == "cuda":
        measured["peak_bytes"] = torch.cuda.max_memory_allocated()
    return measured


def _published(size: Size, net: str) -> dict[str, Any]:
    """The second and later epochs of the loop: the first one starts workers and lets cuDNN choose."""
    trial = config(size, net, **{"data.num_train": size.published_images})
    data = load_fitting(trial, device=torch.device("cpu"))
    loop = PublishedLoop(trial, data, workers=size.loader_workers, device=size.device)
    rates = [loop.train_epoch()["images_per_s"] for _ in range(3)][1:]
    return {"images_per_s": median(rates), "min": min(rates), "max": max(rates)}
