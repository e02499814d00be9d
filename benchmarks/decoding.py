"""Images per second from JPEG files to one tensor: our decoder on all cores against torchvision's on all cores.

Two folders of made-up files: 64 x 64 pixels, as Tiny-ImageNet's, and 375 x 500, as ImageNet's, which become 224 x 224.
Ours reads, hashes, decodes and stores every image, as the first use of a data set does. The other is torchvision's
`ImageFolder` with its `decode_image`, resized by its transforms, through a DataLoader with a worker process for every
core, already started. Both take turns; files lie in the page cache.
"""

import os
import shutil
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import CenterCrop, Compose, Identity, Resize

from benchmarks.rows import row
from tune_mixup.data.image_decode import decode
from tune_mixup.data.image_files import list_folder
from tune_mixup.data.image_pixels import Form

ROUNDS, TARGET = 5, 1.5
KINDS: dict[str, tuple[tuple[int, int], int, int | None]] = {
    "64 x 64": ((64, 64), 4000, None),
    "375 x 500 to 224 x 224": ((375, 500), 400, 224),
}
"""What is read -> size of the files, how many, and the pixels of a side that they become."""


def write_files(folder: Path, size: tuple[int, int], count: int) -> None:
    """Smooth pictures with a little noise, whose files are about as large as those of photographs."""
    draw = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = (smooth + draw.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)
        place = folder / "train" / f"class{i % 10}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(place / f"{i}.jpg", quality=85)


def loader(folder: Path, side: int | None) -> DataLoader[Any]:
    """Torchvision's way."""
    found = ImageFolder(
        str(folder / "train"),
        transform=Identity() if side is None else Compose([Resize(side, antialias=True), CenterCrop(side)]),
        loader=lambda path: decode_image(path, mode=ImageReadMode.RGB),
    )
    workers = len(os.sched_getaffinity(0))
    return DataLoader(found, batch_size=128, num_workers=workers, persistent_workers=True)


def theirs_s(images: DataLoader[Any]) -> float:
    began = time.perf_counter()
    for inputs, _ in images:
        assert inputs.dtype == torch.uint8
    return time.perf_counter() - began


def ours_s(folder: Path, side: int | None) -> float:
    files = list_folder(folder).files
    beside = folder / "half"
    began = time.perf_counter()
    decoded = decode(folder, files, form=Form(3, None if side is None else (side, side)), beside=beside)
    images = decoded.images([*range(len(files))])
    elapsed = time.perf_counter() - began
    assert len(images) == len(files)
    shutil.rmtree(beside)
    return elapsed


def measure(rounds: int = ROUNDS, share: float = 1.0) -> dict[str, Any]:
    """`share` of the files, for a short look."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {"rows": [], "rounds": rounds, "cores": len(os.sched_getaffinity(0))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision's decoder is to move to TorchCodec
        for name, (size, whole, side) in KINDS.items():
            count = max(10, int(whole * share))
            with tempfile.TemporaryDirectory() as made:
                folder = Path(made)
                write_files(folder, size, count)
                images = loader(folder, side)
                ours_s(folder, side), theirs_s(images)
                turns = [(ours_s(folder, side), theirs_s(images)) for _ in range(rounds)]
                del images
            ratios = [ours / theirs for ours, theirs in turns]
            ours, theirs = (count / statistics.median(one) for one in zip(*turns, strict=True))
            found["rows"].append(
                row(
                    f"decoding JPEG files of {name} pixels once, all cores, against torchvision's decoder: time",
                    ours=ours,
                    other=theirs,
                    unit="images/s",
                    value=statistics.median(ratios),
                    value_unit="x",
                    at_most=TARGET,
                    note=f"Medians of {rounds} turns; ratios of times from {min(ratios):.2f} to {max(ratios):.2f}.",
                )
            )
            found[name] = {"images": count, "turns_s": [[round(one, 4) for one in turn] for turn in turns]}
    return found  # fmt: skip
