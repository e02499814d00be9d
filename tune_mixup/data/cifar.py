"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test images, 10 or 100 classes, 32 x 32 colour.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Padding 4 and flips as in He et al., "Deep
Residual Learning for Image Recognition", CVPR 2016, section 4.2.
"""

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal

import torch
from typing_extensions import override

from tune_mixup.data.augment import Augment
from tune_mixup.data.base import Dataset, PerChannel, Shape, Split
from tune_mixup.data.download import beside, open_or_download


class Cifar(Dataset):
    """What the two have in common: torchvision's files in `root`, checked by their checksums, and CIFAR's defaults.

    The default mean and std are the numbers that published mixup results use for CIFAR-10 and CIFAR-100 alike; that
    std is the mean over single images and less than the true one, which `data.std=null` measures.
    """

    augment: Augment = Augment(crop_padding=4, flip=True)
    mean: PerChannel | None = (0.4914, 0.4822, 0.4465)
    std: PerChannel | None = (0.2023, 0.1994, 0.2010)

    @abstractmethod
    def _source(self) -> Any:
        """Torchvision's class."""

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        return self._read(train=True)

    @override
    def read_test(self) -> Split:
        return self._read(train=False)[0]

    def _read(self, *, train: bool) -> tuple[Split, tuple[str, ...]]:
        source = self._source()

        def open_files() -> Any:
            try:
                return source(self.root, train=train)
            except RuntimeError:  # its word for files that are missing or fail their checksum
                return None

        def download() -> None:
            _download(source, self.root, self.name)

        expected = f"the folder {source.base_folder} (or {source.filename})"
        found = open_or_download(self.root, self.name, open_files=open_files, download=download, expected=expected)
        images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
        return Split(images, torch.tensor(found.targets)), tuple(found.classes)


def _download(source: Any, root: Path, name: str) -> None:
    """Unpack torchvision's archive, that in `root` or else a new one, beside the final place; then move the files.

    Torchvision unpacks no archive but the one whose checksum it knows, so that its size is known as well; but it writes
    through links, and names in a shared folder can be foreseen.
    """
    from torchvision.datasets.utils import check_integrity

    with beside(root, name) as partial:
        archive = root / source.filename
        if archive.is_file() and check_integrity(str(archive), source.tgz_md5):
            (partial / source.filename).symlink_to(archive.resolve())
        source(partial, download=True)
        folder = root / source.base_folder
        folder.mkdir(exist_ok=True)
        for file in (partial / source.base_folder).iterdir():
            os.replace(file, folder / file.name)


class Cifar10(Cifar):
    """10 classes, 5,000 training images each."""

    name: Literal["cifar10"] = "cifar10"

    @override
    def known_shape(self) -> Shape:
        return Shape(10, 32, 32)

    @override
    def _source(self) -> Any:
        from torchvision.datasets import CIFAR10  # here, because the import takes seconds

        return CIFAR10


class Cifar100(Cifar):
    """100 classes, 500 training images each."""

    name: Literal["cifar100"] = "cifar100"

    @override
    def known_shape(self) -> Shape:
        return Shape(100, 32, 32)

    @override
    def _source(self) -> Any:
        from torchvision.datasets import CIFAR100

        return CIFAR100
