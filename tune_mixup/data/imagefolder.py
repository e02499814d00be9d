"""Any folder of images: `train/<class>/...`, with `test/` and `val/` where they are there, or just `<class>/...`.

Images are decoded once, and made into one size, into a file that later runs map into memory; it is made anew when a
file is added, removed or changed (by name, size and time of change).
"""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.base import Dataset, Folder, Split
from tune_mixup.data.crops import square
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.data.image_cache import Contents, cached
from tune_mixup.data.image_decode import decode
from tune_mixup.data.image_files import File, Listing, list_folder
from tune_mixup.data.image_labels import list_labelled
from tune_mixup.data.image_pixels import Form, Resize
from tune_mixup.data.stratify import split
from tune_mixup.seeding import generator

_FORMAT = 3
"""Part of every stamp: raised when what a cache file holds changes its meaning."""
_TEST_SEED = 1797
"""Of the draw of a test split, which is the same for every trial."""
_NAMED = 10
"""Files that can't be read of which a line says the names."""


Pixels = Annotated[int, Field(ge=1, le=8192)]


class ImageFolder(Dataset):
    """Classes are the folders in `train/`, in alphabetical order; subfolders of a class belong to it.

    Files count by their ending: what Pillow can't read by its ending, and hidden files, are passed over. How images are
    turned into pixels, whatever they hold, is one rule: docs/images.md. With `val/` nothing is split off `train/`.
    Without `test/` only `evaluate` is refused; a folder without any of the three is split.
    The decoded images lie in `<path>/.tune_mixup/`, or, when `path` can't be written, in `<root>/imagefolder/`.
    """

    came_later: ClassVar[frozenset[str]] = frozenset({"size", "resize", "on_error", "test_fraction", "labels"})
    beside_identity: ClassVar[frozenset[str]] = Dataset.beside_identity | {"on_error", "labels"}

    name: Literal["imagefolder"] = "imagefolder"
    path: Folder
    """The folder with `train/`, or with one folder for each class."""
    labels: Folder | None = None
    """A CSV or Parquet file with the columns file (path below `path`), label, and, if it has it, split (train, val or
    test); empty: folders are the classes."""
    channels: Literal[1, 3] = 3
    """Images are turned into 3: colour, or 1: grey (ITU-R 601 luma)."""
    size: Annotated[tuple[Pixels, Pixels] | None, Field(strict=False), BeforeValidator(square)] = None
    """Pixels of every image: height and width, or one number for a square; empty: all have one size already."""
    resize: Resize = "shorter_side"
    """How they get it: shorter_side (it fills height and width, and what stands out in the other direction is cut off),
    fit (all of the image, with black around it), or stretch."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What is done when files can't be read: nothing is trained, or they are left out, which is said."""
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    """Share of every class that is put aside for the test, where neither folders nor labels say what is; the same for
    every seed. 0: there is no test split."""

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        contents = self._read()
        for line in self._said(contents):
            logging.getLogger(__name__).warning(line)
        return contents.parts["train"], contents.class_names

    @override
    def read_validation(self) -> Split | None:
        """What is in `val/`; None without it."""
        return self._read().parts.get("val")

    @override
    def read_test(self) -> Split:
        self.check_test()
        return self._read().parts["test"]

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

    @override
    def known_fingerprint(self) -> str:
        """Of names and bytes of the images to train and to validate on, read when they were decoded."""
        return self._read().fingerprint

    def _listing(self) -> Listing:
        return list_folder(self.path) if self.labels is None else list_labelled(self.path, self.labels)

    def _read(self) -> Contents:
        listing = self._listing()
        away = f"{self.path.name}-{_short(os.fsencode(self.path))}"
        contents = cached(
            (self.path / ".tune_mixup" / self._file_name, self.root / "imagefolder" / away / self._file_name),
            stamp=self._stamp(listing),
            build=lambda: self._decode(listing),
        )
        self._refuse(contents.bad, len(listing.files))
        return contents

    @property
    def _form(self) -> Form:
        return Form(self.channels, self.size, self.resize)

    @property
    def _file_name(self) -> str:
        name = "colour" if self.channels == 3 else "grey"
        if self.size is not None:
            name += f"-{self.size[0]}x{self.size[1]}-{self.resize}"
        if self.labels is not None:
            name += f"-{_short(os.fsencode(self.labels))}"
        return f"{name}.pt"

    def _stamp(self, listing: Listing) -> str:
        share = self.test_fraction if listing.unsplit else None
        lines = [
            repr((_FORMAT, self._form if self.size else None, share, listing.class_names, listing.parts)),
            *(f"{listing.key(file)}\0{file.size} {file.mtime_ns}" for file in listing.files),
        ]
        return hashlib.blake2b("\n".join(lines).encode(errors="surrogateescape"), digest_size=16).hexdigest()

    def _decode(self, listing: Listing) -> Contents:
        decoded = decode([self.path / file.relative for file in listing.files], form=self._form)
        bad = {listing.files[i].relative: why for i, why in decoded.bad.items()}
        self._refuse(bad, len(listing.files))
        files = [listing.files[i] for i in decoded.digests]
        _check_classes(listing, files)
        number = {name: k for k, name in enumerate(listing.class_names)}
        targets = torch.tensor([number[file.class_name] for file in files])
        places = self._places(listing, files, targets)
        parts = {part: Split(decoded.images[chosen], targets[chosen]) for part, chosen in places.items()}
        # Without the test split, which nothing but `evaluate` opens.
        trained = torch.cat([chosen for part, chosen in places.items() if part != "test"]).sort().values
        digests = [*decoded.digests.values()]
        form = (self.channels, listing.class_names, *((self.size, self.resize) if self.size else ()))
        content = [part for i in trained.tolist() for part in (listing.key(files[i]), digests[i])]
        return Contents(
            listing.class_names, parts, of_parts([repr(form), *content]), bad, listing.unsplit and "test" in parts
        )

    def _places(self, listing: Listing, files: Sequence[File], targets: Tensor) -> dict[str, Tensor]:
        """Which of the files each split has: int64 indices, ascending."""
        if listing.unsplit and self.test_fraction:
            train, test = split(
                targets,
                fraction=self.test_fraction,
                limit=None,
                class_names=listing.class_names,
                generator=generator(_TEST_SEED, "split"),
            )
            return {"train": train, "test": test}
        return {
            part: torch.tensor([i for i, file in enumerate(files) if file.part == part], dtype=torch.int64)
            for part in listing.parts
        }

    def _refuse(self, bad: Mapping[str, str], number: int) -> None:
        if bad and self.on_error == "refuse":
            raise ValueError(
                f"{_listed(bad, number, self.path)}; replace or remove them, or leave them out by data.on_error=skip"
            )

    def _said(self, contents: Contents) -> list[str]:
        """What a person should know of the data who sees no more than its numbers."""
        number = sum(len(part.targets) for part in contents.parts.values())
        lines = []
        if contents.bad:
            lines.append(f"{_listed(contents.bad, number + len(contents.bad), self.path)}; they are left out")
        if contents.split_off:
            test = len(contents.parts["test"].targets)
            lines.append(
                f"{self.labels or self.path} does not say which images are for the test: {test:,} of {number:,} are put"
                " aside for it, the same share of every class (data.test_fraction)"
            )
        return lines


def _short(name: bytes) -> str:
    return hashlib.blake2b(name, digest_size=6).hexdigest()


def _listed(bad: Mapping[str, str], number: int, folder: Path) -> str:
    """The first of the files that can't be read, each with its reason, and how many there are."""
    named = ", ".join(f"{relative} ({why})" for relative, why in [*bad.items()][:_NAMED])
    more = f" and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
    return f"{len(bad):,} of {number:,} files in {folder} can't be read as images: {named}{more}"


def _check_classes(listing: Listing, files: Sequence[File]) -> None:
    """Raise ValueError for a class of which none of a split's files can be read."""
    left = Counter((file.part, file.class_name) for file in files)
    for file in listing.files:
        if not left[file.part, file.class_name]:
            raise ValueError(f"no file of the class {file.class_name!r} in {file.part} can be read; add whole ones")
