"""ImageNet as a folder, all of it or a part: 1,281,167 training images of 1,000 classes, and 50,000 to be judged by.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015, arXiv:1409.0575.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from typing_extensions import override

from tune_mixup.data.augment import Augment
from tune_mixup.data.base import Folder, PerChannel, Shape
from tune_mixup.data.crops import square
from tune_mixup.data.image_files import File, Listing, file_at, image_names
from tune_mixup.data.image_set import Size
from tune_mixup.data.listed_images import ListedImages
from tune_mixup.data.wordnet import is_number, named, read_lines
from tune_mixup.faults import shown
from tune_mixup.seeding import generator

_LAYOUT = "it must hold train/<wnid>/ and val/<wnid>/ with images; set data.path or data.root"
_ANSWERS = "LOC_val_solution.csv"
"""Where Kaggle's archive says the classes of the images that lie in `val/` itself."""


class ImageNet(ListedImages):
    """`train/<wnid>/` and `val/<wnid>/` as ILSVRC 2012 unpacks; images in `val/` itself with `LOC_val_solution.csv`.

    Classes are in the order of their numbers, and called by the first of their synonyms where the folder has
    `LOC_synset_mapping.txt`. As in all published results the test split is `val/`; what is validated on is split off
    the training images. Only the images of the part that is asked for are opened.
    mean and std are those of all publications. The decoded images lie in `<path>/.tune_mixup/`, or, when that can't be
    written, in `<root>/imagenet/`.
    """

    name: Literal["imagenet"] = "imagenet"
    path: Folder | None = None
    """The folder with `train/` and `val/`; empty: `imagenet` in the root."""
    size: Annotated[Size, BeforeValidator(square)] = (224, 224)
    """Pixels of every image: height and width, or one number for a square."""
    classes: int | None = Field(default=None, ge=2)
    """Use only so many classes, drawn by `subset_seed`; empty: all there are."""
    images_per_class: int | None = Field(default=None, ge=1)
    """Use only so many training images of each class, drawn by `subset_seed`, of a class with fewer all; empty: all."""
    subset_seed: int = Field(default=0, ge=0)
    """Of the draw of classes and images. A smaller part of one seed lies in every larger one."""
    augment: Augment = Augment(flip=True)
    mean: PerChannel | None = (0.485, 0.456, 0.406)
    std: PerChannel | None = (0.229, 0.224, 0.225)

    @override
    def known_shape(self) -> Shape | None:
        """None where all classes of a folder are used, which may hold a part of the 1,000."""
        return None if self.classes is None else Shape(self.classes, *self.size)

    @property
    @override
    def place(self) -> Path:
        return self.path or self.root / "imagenet"

    @property
    @override
    def stem(self) -> str:
        part = f"-{self.classes or 'all'}x{self.images_per_class or 'all'}-{self.subset_seed}"
        return super().stem + (part if self.classes or self.images_per_class else "")

    @override
    def listing(self) -> Listing:
        if not (self.place / "train").is_dir():
            raise ValueError(f"data.path: {self.place} has no folder train/; {_LAYOUT}")
        try:
            numbers = self._chosen_classes()
            names = dict(zip(numbers, named(numbers, self.place / "LOC_synset_mapping.txt"), strict=True))
            files = [file for number in numbers for file in self._trained(number, names[number])]
            files += self._tested(names)
        except OSError as error:
            raise ValueError(f"{error.filename} can't be read ({error.strerror}); repair or remove it") from error
        parts = ("train", "test") if (self.place / "val").is_dir() else ("train",)
        return Listing(tuple(names.values()), tuple(files), parts, unsplit=False, labelled=True)

    @override
    def check_test(self) -> None:
        if self.place.is_dir() and not (self.place / "val").is_dir():
            raise ValueError(
                f"data.path: {self.place} has no folder val/, so that there is nothing to evaluate on; add it"
            )

    def _chosen_classes(self) -> list[str]:
        """The numbers of the classes, ascending."""
        with os.scandir(self.place / "train") as entries:
            there = sorted(entry.name for entry in entries if is_number(entry.name) and entry.is_dir())
        needed = self.classes or 2
        if len(there) < needed:
            raise ValueError(
                f"{self.place / 'train'} has {len(there)} folders of classes, must have at least {needed}; {_LAYOUT}"
            )
        return [there[k] for k in _drawn(len(there), self.classes, seed=self.subset_seed, draw=0)]

    def _trained(self, number: str, class_name: str) -> list[File]:
        """The training images of a class, those alone that are drawn."""
        there = image_names(self.place, f"train/{number}")
        chosen = _drawn(len(there), self.images_per_class, seed=self.subset_seed, draw=int(number[1:]))
        return [file_at(self.place, there[i], part="train", class_name=class_name) for i in chosen]

    def _tested(self, names: Mapping[str, str]) -> list[File]:
        """The images of the chosen classes in `val/`, class by class."""
        if not (self.place / "val").is_dir():
            return []
        if any((self.place / "val" / number).is_dir() for number in names):
            found = {number: image_names(self.place, f"val/{number}") for number in names}
        else:
            found = self._answered(names)
        return [
            file_at(self.place, relative, part="test", class_name=names[number])
            for number, relatives in found.items()
            for relative in relatives
        ]

    def _answered(self, names: Mapping[str, str]) -> dict[str, list[str]]:
        """For each number of `names` the images that lie in `val/` itself, as a table says."""
        answers = self.place / _ANSWERS
        if not answers.exists():
            raise ValueError(f"{self.place / 'val'} has no folders of classes; add them, or {_ANSWERS} beside it")
        found: dict[str, list[str]] = {number: [] for number in names}
        for line in sorted(read_lines(answers)[1:]):
            image, _, rest = line.partition(",")
            number = rest.split(" ")[0]
            if not is_number(number) or os.path.basename(image) != image:
                raise ValueError(f"{answers} has the line {shown(line)}, must be a name, a comma and such as n01443537")
            if number in found:
                found[number].append(f"val/{image}.JPEG")
        if missing := next((number for number, images in found.items() if not images), None):
            raise ValueError(f"{answers} names no image of the class {missing}; take it from the data set's archive")
        return found


def _drawn(count: int, wanted: int | None, *, seed: int, draw: int) -> list[int]:
    """`wanted` of the numbers below `count`, ascending; all where it is None. Fewer are a part of more."""
    order = torch.randperm(count, generator=generator(seed, "split", epoch=draw))
    return sorted(order[:wanted].tolist())
