"""Any folder of images: `train/<class>/...`, with `test/` and `val/` where they are there, or just `<class>/...`.

Images are decoded once, and made into one size, into a file that later runs map into memory; it is made anew when a
file is added, removed or changed (by name, size and time of change).
"""

import hashlib
import os
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from tune_mixup.data.base import Folder
from tune_mixup.data.image_cache import Contents, cached
from tune_mixup.data.image_decode import decode
from tune_mixup.data.image_files import Listing, list_folder
from tune_mixup.data.image_labels import list_labelled
from tune_mixup.data.image_set import ImageSet, Labelled, short_hash

_FORMAT = 3
"""Part of every stamp: raised when what a cache file holds changes its meaning."""


class ImageFolder(ImageSet):
    """Classes are the folders in `train/`, in alphabetical order; subfolders of a class belong to it.

    Files count by their ending: what Pillow can't read by its ending, and hidden files, are passed over. How images are
    turned into pixels, whatever they hold, is one rule: docs/images.md. With `val/` nothing is split off `train/`.
    Without `test/` only `evaluate` is refused; a folder without any of the three is split.
    The decoded images lie in `<path>/.tune_mixup/`, or, when `path` can't be written, in `<root>/imagefolder/`.
    """

    came_later: ClassVar[frozenset[str]] = frozenset({"labels"})
    beside_identity: ClassVar[frozenset[str]] = ImageSet.beside_identity | {"labels"}

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

    @override
    def check_test(self) -> None:
        if not self.path.is_dir():
            return  # another host may have it; whoever reads it is told
        listing = self._listing()
        if "test" in listing.parts or (listing.unsplit and self.test_fraction):
            return
        if listing.unsplit:
            raise ValueError("data.test_fraction: got 0, which leaves no test split to evaluate on; give it a share")
        where = f"data.labels: {self.labels} has no row of" if self.labels else f"data.path: {self.path} has no folder"
        raise ValueError(f"{where} test{'' if self.labels else '/'}, so that there is nothing to evaluate on; add it")

    def _listing(self) -> Listing:
        return list_folder(self.path) if self.labels is None else list_labelled(self.path, self.labels)

    @override
    def contents(self) -> Contents:
        listing = self._listing()
        contents = cached(
            self.caches(self.path, self._file_name), stamp=self._stamp(listing), build=lambda: self._decode(listing)
        )
        self.refuse(contents.bad, len(listing.files))
        return contents

    @property
    def _file_name(self) -> str:
        name = self.form_name()
        return f"{name}.pt" if self.labels is None else f"{name}-{short_hash(os.fsencode(self.labels))}.pt"

    def _stamp(self, listing: Listing) -> str:
        share = self.test_fraction if listing.unsplit else None
        lines = [
            repr((_FORMAT, self.form if self.size else None, share, listing.class_names, listing.parts)),
            *(f"{listing.key(file)}\0{file.size} {file.mtime_ns}" for file in listing.files),
        ]
        return hashlib.blake2b("\n".join(lines).encode(errors="surrogateescape"), digest_size=16).hexdigest()

    def _decode(self, listing: Listing) -> Contents:
        number = {name: k for k, name in enumerate(listing.class_names)}
        labelled = Labelled(
            class_names=listing.class_names,
            names=[file.relative for file in listing.files],
            keys=[listing.key(file) for file in listing.files],
            targets=[number[file.class_name] for file in listing.files],
            parts=[file.part for file in listing.files],
            unsplit=listing.unsplit,
        )
        decoded = decode([self.path / file.relative for file in listing.files], form=self.form)
        return self.as_contents(labelled, decoded)
