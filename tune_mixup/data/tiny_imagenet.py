"""Tiny-ImageNet: 100,000 training images of 200 classes, 64 x 64 pixels, and 10,000 to be judged by.

Le and Yang, "Tiny ImageNet Visual Recognition Challenge", Stanford CS 231N, 2015. Padding 4 and flips as Puzzle Mix and
Co-Mixup train on it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator
from typing_extensions import override

from tune_mixup.data.augment import Augment
from tune_mixup.data.base import Shape
from tune_mixup.data.crops import square
from tune_mixup.data.download import beside, open_or_download
from tune_mixup.data.image_files import File, Listing, file_at, images_below
from tune_mixup.data.image_set import Size
from tune_mixup.data.listed_images import ListedImages
from tune_mixup.data.unpacking import unpack
from tune_mixup.data.wordnet import named, read_lines, read_numbers
from tune_mixup.faults import shown

_FOLDER = "tiny-imagenet-200"
_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
_MOST_BYTES = 4 * 2**30
"""Ten times what the archive unpacks to."""
_NUM_CLASSES = 200


class TinyImageNet(ListedImages):
    """The folder `tiny-imagenet-200` in the root as its archive unpacks; that archive; or else it is downloaded.

    Classes are in the order of `wnids.txt` and called by the first of their synonyms in `words.txt`. Labels of the test
    images were never published: as in all published results, the test split is `val/`, with `val_annotations.txt`, and
    what is validated on is split off the training images. Grey files get three equal channels.
    The constants of publications differ (docs/data.md), so mean and std are measured unless they are given.
    The decoded images lie in `tiny-imagenet-200/.tune_mixup/`, or, when that can't be written, in
    `<root>/tiny_imagenet/`.
    """

    name: Literal["tiny_imagenet"] = "tiny_imagenet"
    size: Annotated[Size, BeforeValidator(square)] = (64, 64)
    """Pixels of every image: height and width, or one number for a square."""
    augment: Augment = Augment(crop_padding=4, flip=True)

    @override
    def known_shape(self) -> Shape:
        """By `wnids.txt` where it is there, for it may name a part of the 200 classes."""
        numbers = self.place / "wnids.txt"
        return Shape(len(read_lines(numbers)) if numbers.is_file() else _NUM_CLASSES, *self.size)

    @property
    @override
    def place(self) -> Path:
        return self.root / _FOLDER

    @override
    def listing(self) -> Listing:
        folder = open_or_download(
            self.root,
            self.name,
            open_files=lambda: self.place if self.place.is_dir() else None,
            download=lambda: _download(self.root),
            expected=f"the folder {_FOLDER} (or {_FOLDER}.zip)",
        )
        numbers = read_numbers(folder / "wnids.txt")
        names = dict(zip(numbers, named(numbers, folder / "words.txt"), strict=True))
        try:
            files = [
                file
                for number, name in names.items()
                for file in images_below(folder, f"train/{number}", part="train", class_name=name)
            ]
        except OSError as error:
            raise ValueError(f"{error.filename} can't be read ({error.strerror}); repair or remove it") from error
        files += _tested(folder, names)
        return Listing(tuple(names.values()), tuple(files), ("train", "test"), unsplit=False, labelled=True)


def _tested(folder: Path, names: Mapping[str, str]) -> list[File]:
    """The images that `val_annotations.txt` names, in the order of their classes."""
    annotations = folder / "val" / "val_annotations.txt"
    files = []
    for number, line in enumerate(read_lines(annotations), start=1):
        file, _, rest = line.partition("\t")
        class_name = names.get(rest.partition("\t")[0].strip())
        if class_name is None or os.path.basename(file) != file:
            raise ValueError(
                f"line {number} of {annotations} is {shown(line)}, must be the name of a file in val/images, a tab and "
                "a class of wnids.txt; take it from the data set's archive"
            )
        files.append(file_at(folder, f"val/images/{file}", part="test", class_name=class_name))
    if not files:
        raise ValueError(f"{annotations} names no file; take it from the data set's archive")
    place = {name: k for k, name in enumerate(names.values())}
    return sorted(files, key=lambda file: (place[file.class_name], file.relative))


def _download(root: Path) -> None:
    """Unpack the archive that is in `root`, or else a new one, beside the final place; then move the folder."""
    from torchvision.datasets.utils import download_url

    with beside(root, _FOLDER) as partial:
        archive = root / f"{_FOLDER}.zip"
        if not archive.is_file():
            archive = partial / archive.name
            download_url(_URL, str(partial), archive.name, _MD5)
        unpack(archive, partial, top=_FOLDER, most_bytes=_MOST_BYTES)
        os.replace(partial / _FOLDER, root / _FOLDER)
