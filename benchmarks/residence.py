"""Images on the device, or on the host in one mapped copy: their speed, memory and start, against DataLoader.

A folder of made-up 64 x 64 colour images, as Tiny-ImageNet's. Speed: every batch of an epoch with random crops (padding
4) and flips, normalised, by one thread, and another that gathers ahead where images lie on the host; torchvision's
transforms and a DataLoader on the same images in turns with them, and a round's ratio compares with the faster of no
and one worker process. Memory: by how much the proportional set sizes (PSS: a page that n processes share counts 1/n in
each) of one and of four processes grow when each holds the images and has gone through an epoch; what one more takes is
the slope. Start: from a process that has imported everything to its first batch, on a folder that was never read, and
once its decoded images are stored. All on the CPU; what a GPU makes of it is a row that is not measured.
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.baselines.published_loop import OneByOne, pipeline
from benchmarks.held_images import Epochs, growth_mb
from benchmarks.input_pipeline import images_per_s, loader_epoch, spread
from benchmarks.rows import row
from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import forget_data
from tune_mixup.data.rows import num_bytes

COUNT, CLASSES, SIDE, BATCH, ROUNDS = 16_000, 20, 64, 128, 5
"""Images for training, before a tenth is held out; classes; pixels to a side; images of a batch; turns."""
PROCESSES = (1, 4)
FEW = 4 * BATCH
"""Images of a process that shows what is needed beside them: what the making of a batch takes."""
MODES = ("device", "host")


def make_folder(folder: Path, count: int) -> None:
    """Images for training: a colour for each, and noise."""
    draws = np.random.default_rng(0)
    for number in range(count):
        to = folder / "train" / f"class{number % CLASSES:02d}"
        to.mkdir(parents=True, exist_ok=True)
        noise = draws.integers(0, 32, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels = noise + draws.integers(0, 224, 3, dtype=np.uint8)
        Image.fromarray(pixels).save(to / f"{number:06d}.png", compress_level=1)


def settings(folder: Path, residence: str, more: Mapping[str, Any] | None = None) -> TrialConfig:
    """A trial on the folder, with `more` settings."""
    return TrialConfig.from_dotted(
        {
            "data.name": "imagefolder",
            "data.path": str(folder),
            "data.residence": residence,
            "data.augment.crop_padding": 4,
            "data.augment.flip": True,
            "training.batch_size": BATCH,
        },
        more or {},
    )


def measure(count: int = COUNT, rounds: int = ROUNDS) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)  # the baseline's transforms draw from the global generator
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "images"
        make_folder(folder, count)
        modes = {mode: settings(folder, mode) for mode in MODES}
        _, (cold_s,) = growth_mb([modes["host"]])
        starts = {mode: growth_mb([config])[1][0] for mode, config in modes.items()}
        held = {**modes, "few": settings(folder, "host", {"data.train_limit": FEW})}
        memory = {mode: {n: growth_mb([config] * n)[0] for n in PROCESSES} for mode, config in held.items()}
        speed = _images_per_s(modes, rounds)
    few, many = PROCESSES
    slopes = {mode: (grown[many] - grown[few]) / (many - few) for mode, grown in memory.items()}
    extra = {mode: slopes[mode] - slopes["few"] for mode in MODES}
    image_mb = speed.pop("image_mb")
    return {
        "rows": [*_speed_rows(speed, rounds), *_memory_rows(extra, memory, image_mb), *_start_rows(cold_s, starts)],
        "images": count,
        "images_mb": image_mb,
        "images_per_s": {name: spread(rates, 0) for name, rates in speed.items()},
        "grown_mb": memory,
        "extra_mb": extra,
        "first_batch_s": {"cold": cold_s, **starts},
    }


def _images_per_s(modes: dict[str, TrialConfig], rounds: int) -> dict[str, Any]:
    """Name -> images per second of each turn, and the size of the training images."""
    epochs = {mode: Epochs(config) for mode, config in modes.items()}
    data, config = epochs["device"].data, modes["device"]
    mean, std = data.mean.flatten().tolist(), data.std.flatten().tolist()
    baseline = OneByOne(data.train, pipeline(mean, std, size=data.size, augment=config.data.augment))
    options: dict[str, Any] = {"batch_size": BATCH, "shuffle": True, "drop_last": True}
    loaders = {
        "dataloader_0_workers": DataLoader(baseline, num_workers=0, **options),
        "dataloader_1_worker": DataLoader(baseline, num_workers=1, persistent_workers=True, **options),
    }
    pipelines: dict[str, Callable[[], int]] = {mode: one.count for mode, one in epochs.items()}
    pipelines |= {name: lambda loader=loader: loader_epoch(loader) for name, loader in loaders.items()}  # type: ignore[misc]
    for epoch in pipelines.values():
        epoch()
    turns = [{name: images_per_s(epoch, 1)[0] for name, epoch in pipelines.items()} for _ in range(rounds)]
    image_mb = num_bytes(data.train.images) / 1e6
    for one in epochs.values():
        one.feed.close()
    forget_data()
    return {**{name: [turn[name] for turn in turns] for name in pipelines}, "image_mb": image_mb}


def _speed_rows(speed: dict[str, list[float]], rounds: int) -> list[dict[str, Any]]:
    fastest = [max(pair) for pair in zip(speed["dataloader_0_workers"], speed["dataloader_1_worker"], strict=True)]
    made = []
    for mode, where in (("device", "on the device"), ("host", "on the host, streamed")):
        ratios = [rate / other for rate, other in zip(speed[mode], fastest, strict=True)]
        made.append(
            row(
                f"crop, flip and normalise 64 x 64 images {where}, against torchvision and DataLoader",
                ours=statistics.median(speed[mode]), other=statistics.median(fastest), unit="images/s",
                value=statistics.median(ratios), value_unit="x",
                note=f"Medians of {rounds} turns; ratios from {min(ratios):.1f} to {max(ratios):.1f}, against the "
                "faster of no and one worker process in each.",
            )
        )  # fmt: skip
    made.append(
        row(
            "the same from pinned memory of the host to a GPU, against images on the GPU",
            value=None,
            value_unit="x",
            note="Not measured.",
        )
    )
    return made


def _memory_rows(extra: dict[str, float], memory: dict[str, dict[int, float]], image_mb: float) -> list[dict[str, Any]]:
    few, many = PROCESSES
    grown = {mode: f"{found[few]:.0f} and {found[many]:.0f} MB" for mode, found in memory.items()}
    return [
        row(
            "memory of one more trial's images, one mapped copy on the host against one each",
            ours=extra["host"], other=extra["device"], unit="MB",
            value=100 * extra["host"] / extra["device"], value_unit="%", at_most=10,
            note=f"Training images of {image_mb:.0f} MB. {few} and {many} processes grow by {grown['host']} with one "
            f"copy, by {grown['device']} with one each and its padded copy, by {grown['few']} with {FEW} images, which "
            "is subtracted.",
        )
    ]  # fmt: skip


def _start_rows(cold_s: float, starts: dict[str, float]) -> list[dict[str, Any]]:
    note = (
        f"From the imports to the first batch; with images on the device {starts['device']:.2f} s once they are stored."
    )
    return [
        row(
            "first batch of a folder's images, stored before against decoded first",
            ours=starts["host"], other=cold_s, unit="s", value=starts["host"] / cold_s, value_unit="x", note=note,
        )
    ]  # fmt: skip
