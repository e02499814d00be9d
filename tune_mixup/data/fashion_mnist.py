"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 10 classes, 28 x 28 grey.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
arXiv:1708.07747. Padding 4 and flips as in Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.
"""

import os
from pathlib import Path
from typing import Literal

from typing_extensions import override

from tune_mixup.data.augment import Augment
from tune_mixup.data.base import Dataset, Shape, Split
from tune_mixup.data.download import beside, open_or_download
from tune_mixup.data.idx import read_idx

_CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class FashionMnist(Dataset):
    """The four IDX files in `root`/FashionMNIST/raw, unpacked or gzipped; downloaded there when none is there.

    Their checksums are not compared, so another split in the same format does as well.
    """

    name: Literal["fashion_mnist"] = "fashion_mnist"
    augment: Augment = Augment(crop_padding=4, flip=True)

    @override
    def known_shape(self) -> Shape:
        return Shape(10, 28, 28)

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        return self._read("train"), _CLASS_NAMES

    @override
    def read_test(self) -> Split:
        return self._read("t10k")

    def _read(self, part: str) -> Split:
        raw = self.root / "FashionMNIST" / "raw"
        paths = open_or_download(
            self.root,
            self.name,
            open_files=lambda: _find(raw),
            download=lambda: _download(self.root, raw),
            expected=f"{', '.join(_FILES)} (each may be gzipped, .gz) into FashionMNIST/raw",
        )
        image_path, target_path = paths[f"{part}-images-idx3-ubyte"], paths[f"{part}-labels-idx1-ubyte"]
        images, targets = read_idx(image_path), read_idx(target_path)
        if images.ndim != 3 or targets.ndim != 1 or len(images) != len(targets):
            raise ValueError(
                f"{image_path} has shape {tuple(images.shape)} and {target_path.name} {tuple(targets.shape)}, but they"
                " must be (N, H, W) and (N,) with the same N; replace the files"
            )
        if len(targets) and int(targets.max()) >= len(_CLASS_NAMES):
            raise ValueError(f"{target_path} has class {int(targets.max())}, but they are 0 to 9; replace the file")
        return Split(images.unsqueeze(1), targets.long())


def _find(raw: Path) -> dict[str, Path] | None:
    """The path of each file, unpacked or gzipped; None when there is none at all.

    Raises ValueError for some but not all: to complete them could join the training set of one split with the test
    set of another.
    """
    found = {
        name: path for name in _FILES for path in (raw / f"{name}.gz", raw / name) if path.is_file()
    }  # the unpacked one comes last and wins
    missing = [name for name in _FILES if name not in found]
    if len(missing) == len(_FILES):
        return None
    if missing:
        raise ValueError(
            f"{raw} lacks {', '.join(missing)} (or the same with .gz); add the rest, or empty the folder to have all"
            " downloaded again"
        )
    return found


def _download(root: Path, raw: Path) -> None:
    """Download beside the final place and move all files at once, so that nobody ever sees a part of them."""
    from torchvision.datasets import FashionMNIST

    with beside(root, "fashion_mnist") as partial:
        FashionMNIST(partial, download=True)
        raw.mkdir(parents=True, exist_ok=True)
        os.replace(partial / "FashionMNIST" / "raw", raw)
