"""Images that lie in files, each decoded once, into a file of tensors that later runs map into memory.

It is made anew when a file is added, removed or changed (by name, size and time of change).
"""

import hashlib
import logging
import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.bad_files import BadFiles, OnError
from tune_mixup.data.base import Dataset, Split
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.data.image_cache import Contents, cached
from tune_mixup.data.image_decode import decode
from tune_mixup.data.image_files import File, Listing
from tune_mixup.data.image_pixels import Form
from tune_mixup.data.stratify import split
from tune_mixup.seeding import generator

_FORMAT = 3
"""Part of every stamp: raised when what a cache file holds changes its meaning."""
_TEST_SEED = 1797
"""Of the draw of a test split, which is the same for every trial."""


class DecodedImages(Dataset):
    """What data sets of image files have in common; each says where they are, which there are, and their form.

    The decoded images lie in `<folder>/.tune_mixup/`, or, when that can't be written, below the root.
    """

    beside_identity: ClassVar[frozenset[str]] = Dataset.beside_identity | {"on_error"}
    on_error: OnError = "refuse"
    """What is done when files can't be read: nothing is trained, or they are left out, which is said."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where the files lie."""

    @property
    @abstractmethod
    def form(self) -> Form:
        """What each of them becomes."""

    @property
    def stem(self) -> str:
        """Names the file of tensors, by the settings on which its content depends."""
        name = "colour" if self.form.channels == 3 else "grey"
        return name if self.form.size is None else f"{name}-{self.form.size[0]}x{self.form.size[1]}-{self.form.resize}"

    @abstractmethod
    def listing(self) -> Listing:
        """The files, their classes and splits. Raises ValueError, in one line, for a folder that can't be used."""

    @property
    def test_share(self) -> float:
        """Share of every class that is put aside for the test where the listing is not split."""
        return 0

    def said(self, contents: Contents) -> list[str]:
        """What a person should know of the data who sees no more than its numbers."""
        line = self._bad(contents, self.listing()).left_out()
        return [] if line is None else [line]

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        contents = self._read()
        for line in self.said(contents):
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
    def known_fingerprint(self) -> str:
        """Of names and bytes of the images to train and to validate on, read when they were decoded."""
        return self._read().fingerprint

    def _read(self) -> Contents:
        listing = self.listing()
        away = f"{self.folder.name}-{short(os.fsencode(self.folder))}"
        name = f"{self.stem}.pt"
        contents = cached(
            (self.folder / ".tune_mixup" / name, self.root / self.name / away / name),
            stamp=self._stamp(listing),
            build=lambda beside: self._decode(listing, beside),
        )
        self._bad(contents, listing).check(self.on_error)
        return contents

    def _bad(self, contents: Contents, listing: Listing) -> BadFiles:
        return BadFiles(contents.bad, len(listing.files), self.folder, "images")

    def _stamp(self, listing: Listing) -> str:
        share = self.test_share if listing.unsplit else None
        lines = [
            repr((_FORMAT, self.form if self.form.size else None, share, listing.class_names, listing.parts)),
            *(f"{listing.key(file)}\0{file.size} {file.mtime_ns}" for file in listing.files),
        ]
        return hashlib.blake2b("\n".join(lines).encode(errors="surrogateescape"), digest_size=16).hexdigest()

    def _decode(self, listing: Listing, beside: Path) -> Contents:
        rows = decode(self.folder, listing.files, form=self.form, beside=beside)
        found = {file: known for file in listing.files if (known := rows.find(file)) is not None}
        bad = {file.relative: known.why for file, known in found.items() if known.why}
        BadFiles(bad, len(listing.files), self.folder, "images").check(self.on_error)
        files = [file for file, known in found.items() if not known.why]
        _check_classes(listing, files)
        number = {name: k for k, name in enumerate(listing.class_names)}
        targets = torch.tensor([number[file.class_name] for file in files])
        places = self._places(listing, files, targets)
        images = rows.ordered([found[files[i]].row for chosen in places.values() for i in chosen.tolist()])
        pixels = torch.split(images, [len(chosen) for chosen in places.values()])
        parts = {part: Split(mine, targets[places[part]]) for part, mine in zip(places, pixels, strict=True)}
        # Without the test split, which nothing but `evaluate` opens.
        trained = torch.cat([chosen for part, chosen in places.items() if part != "test"]).sort().values
        form = self.form
        told_of = (form.channels, listing.class_names, *((form.size, form.resize) if form.size else ()))
        content = [told for i in trained.tolist() for told in (listing.key(files[i]), found[files[i]].digest)]
        return Contents(
            listing.class_names, parts, of_parts([repr(told_of), *content]), bad, listing.unsplit and "test" in parts
        )

    def _places(self, listing: Listing, files: Sequence[File], targets: Tensor) -> dict[str, Tensor]:
        """Which of the files each split has: int64 indices, ascending."""
        if listing.unsplit and self.test_share:
            train, test = split(
                targets,
                fraction=self.test_share,
                limit=None,
                class_names=listing.class_names,
                generator=generator(_TEST_SEED, "split"),
            )
            return {"train": train, "test": test}
        return {
            part: torch.tensor([i for i, file in enumerate(files) if file.part == part], dtype=torch.int64)
            for part in listing.parts
        }


def short(name: bytes) -> str:
    """What tells a name from others in a file's name."""
    return hashlib.blake2b(name, digest_size=6).hexdigest()


def _check_classes(listing: Listing, files: Sequence[File]) -> None:
    """Raise ValueError for a class of which none of a split's files can be read."""
    left = Counter((file.part, file.class_name) for file in files)
    for file in listing.files:
        if not left[file.part, file.class_name]:
            raise ValueError(f"no file of the class {file.class_name!r} in {file.part} can be read; add whole ones")
