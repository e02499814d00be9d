"""Any folder of images: `train/<class>/...`, with `test/` and `val/` where they are there, or just `<class>/...`."""

import os
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field
from typing_extensions import override

from tune_mixup.data.base import Folder
from tune_mixup.data.decoded_images import DecodedImages, short
from tune_mixup.data.image_cache import Contents
from tune_mixup.data.image_files import Listing, list_folder
from tune_mixup.data.image_labels import list_labelled
from tune_mixup.data.image_pixels import Form, Resize


def square(given: object) -> object:
    """One number as height and width; anything else is left to the check that follows."""
    return (given, given) if isinstance(given, int) else given


Pixels = Annotated[int, Field(ge=1, le=8192)]
Size = Annotated[tuple[Pixels, Pixels], Field(strict=False)]
"""Height and width in pixels."""


class ImageFolder(DecodedImages):
    """Classes are the folders in `train/`, in alphabetical order; subfolders of a class belong to it.

    Files count by their ending: what Pillow can't read by its ending, and hidden files, are passed over. How images are
    turned into pixels, whatever they hold, is one rule: docs/images.md. With `val/` nothing is split off `train/`.
    Without `test/` only `evaluate` is refused; a folder without any of the three is split.
    The decoded images lie in `<path>/.tune_mixup/`, or, when `path` can't be written, in `<root>/imagefolder/`.
    """

    came_later: ClassVar[frozenset[str]] = frozenset({"size", "resize", "on_error", "test_fraction", "labels"})
    beside_identity: ClassVar[frozenset[str]] = DecodedImages.beside_identity | {"labels"}

    name: Literal["imagefolder"] = "imagefolder"
    path: Folder
    """The folder with `train/`, or with one folder for each class."""
    labels: Folder | None = None
    """A CSV or Parquet file with the columns file (path below `path`), label, and, if it has it, split (train, val or
    test); empty: folders are the classes."""
    channels: Literal[1, 3] = 3
    """Images are turned into 3: colour, or 1: grey (ITU-R 601 luma)."""
    size: Annotated[Size | None, BeforeValidator(square)] = None
    """Pixels of every image: height and width, or one number for a square; empty: all have one size already."""
    resize: Resize = "shorter_side"
    """How they get it: shorter_side (it fills height and width, and what stands out in the other direction is cut off),
    fit (all of the image, with black around it), or stretch."""
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    """Share of every class that is put aside for the test, where neither folders nor labels say what is; the same for
    every seed. 0: there is no test split."""

    @override
    def check_test(self) -> None:
        if not self.path.is_dir():
            return  # another host may have it; whoever reads it is told
        listing = self.listing()
        if "test" in listing.parts or (listing.unsplit and self.test_fraction):
            return
        if listing.unsplit:
            raise ValueError("data.test_fraction: got 0, which leaves no test split to evaluate on; give it a share")
        where = f"data.labels: {self.labels} has no row of" if self.labels else f"data.path: {self.path} has no folder"
        raise ValueError(f"{where} test{'' if self.labels else '/'}, so that there is nothing to evaluate on; add it")

    @property
    @override
    def folder(self) -> Path:
        return self.path

    @property
    @override
    def form(self) -> Form:
        return Form(self.channels, self.size, self.resize)

    @property
    @override
    def stem(self) -> str:
        return super().stem + (f"-{short(os.fsencode(self.labels))}" if self.labels else "")

    @property
    @override
    def test_share(self) -> float:
        return self.test_fraction

    @override
    def listing(self) -> Listing:
        return list_folder(self.path) if self.labels is None else list_labelled(self.path, self.labels)

    @override
    def said(self, contents: Contents) -> list[str]:
        if not contents.split_off:
            return super().said(contents)
        test, number = len(contents.parts["test"].targets), sum(len(part.targets) for part in contents.parts.values())
        line = (
            f"{self.labels or self.path} does not say which images are for the test: {test:,} of {number:,} are put"
            " aside for it, the same share of every class (data.test_fraction)"
        )
        return [*super().said(contents), line]
