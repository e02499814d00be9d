"""Real data made small enough for an epoch of a fifth of a second, as folders of images, for `curve_maker`."""

import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_data import data_root

SIDE, EACH = 16, {"train": 160, "test": 400}
"""CIFAR-10: pixels to a side, and the images of each class that are taken."""
TINY_SIDE, TINY_EACH = 16, 50
"""Tiny-ImageNet: pixels to a side, and the images of each class that are searched with; what is left is the test."""
POOLED = (4, 4)
"""Speech: bands and frames of a log-mel picture that become one pixel."""


@contextmanager
def data_of(name: str) -> Iterator[dict[str, str]]:
    """The settings that say where a table's data lie; what must be unpacked is, for as long as the block lasts."""
    if name not in PREPARED:
        yield {"data.root": str(data_root())}
        return
    archive, prepare, _ = PREPARED[name]
    with tempfile.TemporaryDirectory() as folder:
        prepare(data_root() / archive, Path(folder))
        yield {"data.path": folder}


def images_of(name: str) -> str:
    """What is taken of the data, as a table says of itself."""
    return PREPARED[name][2] if name in PREPARED else "as they are"


def shrink(archive: Path, folder: Path, *, side: int = SIDE, each: Mapping[str, int] | None = None) -> None:
    """Unpack the first images of each class for training and for the test, made small; no `each` is `EACH`."""
    each = each or EACH
    with tarfile.open(archive) as packed:
        for member in packed:
            part, number = "".join(Path(member.name).parts[-3:-2]), Path(member.name).stem
            if not member.isfile() or part not in each or int(number) >= each[part]:
                continue
            target = folder.joinpath(*Path(member.name).parts[-3:]).with_suffix(".png")
            write_small(packed, member, target, side)


def shrink_tiny_imagenet(archive: Path, folder: Path) -> None:
    """Unpack as many training images of each class as are searched with; the other ones and `val` are the test."""
    taken: Counter[str] = Counter()
    with tarfile.open(archive) as packed:
        listing = packed.extractfile("tiny-imagenet-200/val/val_annotations.txt")
        assert listing is not None
        class_of = {
            name: word for name, word, *_ in (line.split("\t") for line in listing.read().decode().splitlines())
        }
        for member in packed.getmembers():
            path = Path(member.name)
            if path.suffix != ".JPEG":
                continue
            word = class_of[path.name] if "val" in path.parts else path.parts[-3]
            part = "test" if "val" in path.parts or taken[word] >= TINY_EACH else "train"
            taken[word] += part == "train"
            write_small(packed, member, folder / part / word / f"{path.stem}.png", TINY_SIDE)


def write_small(packed: tarfile.TarFile, member: tarfile.TarInfo, target: Path, side: int) -> None:
    """Write an image of an archive with so many pixels to a side."""
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    opened = packed.extractfile(member)
    assert opened is not None
    Image.open(opened).resize((side, side), Image.Resampling.BOX).save(target)


def picture_words(archive: Path, folder: Path) -> None:
    """Write every recording as the pooled log-mel picture of 16 x 25 pixels; each seed splits them anew.

    Levels are those of the quietest and the loudest pixel of all, so that eight bits are enough.
    """
    import torch
    from PIL import Image

    from tune_mixup.data.front_ends import SAMPLE_RATE, spectrograms
    from tune_mixup.data.wav import read_wav

    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(archive) as packed:
        packed.extractall(unpacked, filter="data")
        files = sorted(Path(unpacked).rglob("*.wav"))
        sounds = np.zeros((len(files), SAMPLE_RATE), dtype=np.float32)
        for row, file in zip(sounds, files, strict=True):
            samples = read_wav(file, sample_rate=SAMPLE_RATE, seconds=1).samples
            row[: len(samples)] = samples
    small = torch.nn.functional.avg_pool2d(spectrograms(torch.from_numpy(sounds), "logmel"), POOLED)[:, 0]
    levels = (255 * (small - small.min()) / (small.max() - small.min())).round().to(torch.uint8).numpy()
    for file, level in zip(files, levels, strict=True):
        target = folder / "train" / file.parent.name / f"{file.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(level).save(target)


Prepare = Callable[[Path, Path], None]
PREPARED: dict[str, tuple[str, Prepare, str]] = {
    "cifar10": ("cifar10-imagefolder.tar.xz", shrink, f"{EACH} of each class, {SIDE} x {SIDE} pixels"),
    "speech": (
        "speech-commands-digits.tar.xz",
        picture_words,
        f"all recordings as log-mel pictures, means of {POOLED[0]} bands and {POOLED[1]} frames",
    ),
    "tiny_imagenet": (
        "tiny-imagenet-200-subset.tar.xz",
        shrink_tiny_imagenet,
        f"{TINY_EACH} of each class, the others for the test, {TINY_SIDE} x {TINY_SIDE} pixels",
    ),
}
"""Table -> the archive beside the checkout, what makes a folder of images of it, and what of it is taken."""
SETTINGS: dict[str, dict[str, Any]] = {
    "cifar10": {"data.name": "imagefolder"},
    "speech": {"data.name": "imagefolder", "data.channels": 1},
    "tiny_imagenet": {"data.name": "imagefolder", "training.batch_size": 60},
}
"""Table -> the settings that fit a folder: grey pictures, and batches of which 20 classes have equal shares."""
