"""Any folder of images: `train/<class>/...`, with `test/` and `val/` where they are there, or just `<class>/...`."""

import os
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from tune_mixup.data.base import Folder
from tune_mixup.data.divisible import Divisible
from tune_mixup.data.image_cache import short_hash
from tune_mixup.data.image_files import Listing, list_folder
from tune_mixup.data.image_labels import list_labelled
from tune_mixup.data.listed_images import ListedImages


class ImageFolder(ListedImages, Divisible):
    """Classes are the folders in `train/`, in alphabetical order; subfolders of a class belong to it.

    Files count by their ending: what Pillow can't read by its ending, and hidden files, are passed over. How images are
    turned into pixels, whatever they hold, is one rule: docs/images.md. With `val/` nothing is split off `train/`.
    Without `test/` only `evaluate` is refused; a folder without any of the three is split.
    The decoded images lie in `<path>/.tune_mixup/`, or, when `path` can't be written, in `<root>/imagefolder/`.
    """

    came_later: ClassVar[frozenset[str]] = frozenset({"labels"})
    beside_identity: ClassVar[frozenset[str]] = ListedImages.beside_identity | {"labels"}

    name: Literal["imagefolder"] = "imagefolder"
    path: Folder
    """The folder with `train/`, or with one folder for each class."""
    labels: Folder | None = None
    """A CSV or Parquet file with the columns file (path below `path`), label, and, if it has it, split (train, val or
    test); empty: folders are the classes."""

    @property
    @override
    def place(self) -> Path:
        return self.path

    @property
    @override
    def divider(self) -> Path:
        return self.labels or self.path

    @property
    @override
    def stem(self) -> str:
        return super().stem + (f"-{short_hash(os.fsencode(self.labels))}" if self.labels else "")

    @override
    def check_test(self) -> None:
        if not self.path.is_dir():
            return  # another host may have it; whoever reads it is told
        listing = self.listing()
        if listing.unsplit:
            self.check_fraction()
        elif "test" not in listing.parts:
            lacks = (
                f"labels: {self.labels} has no row of test" if self.labels else f"path: {self.path} has no folder test/"
            )
            raise ValueError(f"data.{lacks}, so that there is nothing to evaluate on; add it")

    @override
    def listing(self) -> Listing:
        return list_folder(self.path) if self.labels is None else list_labelled(self.path, self.labels)
