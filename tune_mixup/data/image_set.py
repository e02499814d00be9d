"""What data sets of images have in common that are decoded once into a file of tensors, whatever the images lie in.

That file is mapped into memory by later runs, and made anew when the data have changed.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.bad_files import BadFiles, OnError
from tune_mixup.data.base import Dataset, Split
from tune_mixup.data.crops import square
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.data.image_cache import Contents, cached, short_hash
from tune_mixup.data.image_decode import Decoded
from tune_mixup.data.image_pixels import Form, Resize
from tune_mixup.data.stratify import split
from tune_mixup.seeding import generator

_TEST_SEED = 1797
"""Of the draw of a test split, which is the same for every trial."""

Pixels = Annotated[int, Field(ge=1, le=8192)]
Size = Annotated[tuple[Pixels, Pixels], Field(strict=False)]
"""Height and width in pixels."""


class Labelled(NamedTuple):
    """All images of a data set before they are decoded; the sequences have one entry for each."""

    class_names: tuple[str, ...]
    names: Sequence[str]
    """What a message calls it."""
    keys: Sequence[str]
    """What belongs into the fingerprint beside its content."""
    targets: Sequence[int]
    """Its class, a place in `class_names`; -1 for one that can't be read, where nobody can tell its class either."""
    parts: Sequence[str]
    """The split that it is in: train, test, val."""
    unsplit: bool
    """Whether nobody has said what belongs to the test split, so that a share of the images is put aside for it."""


class ImageSet(Dataset, ABC):
    """Settings say how the images become tensors of one form; final classes say what there is to read."""

    came_later: ClassVar[frozenset[str]] = frozenset({"size", "resize", "on_error"})
    beside_identity: ClassVar[frozenset[str]] = Dataset.beside_identity | {"on_error"}
    entries: ClassVar[str] = "files"
    """What messages call the things that images are read from."""

    channels: Literal[1, 3] = 3
    """Images are turned into 3: colour, or 1: grey (ITU-R 601 luma)."""
    size: Annotated[Size | None, BeforeValidator(square)] = None
    """Pixels of every image: height and width, or one number for a square; empty: all have one size already."""
    resize: Resize = "shorter_side"
    """How they get it: shorter_side (it fills height and width, and what stands out in the other direction is cut off),
    fit (all of the image, with black around it), or stretch."""
    on_error: OnError = "refuse"
    """What is done when images can't be read: nothing is trained, or they are left out, which is said."""

    @property
    @abstractmethod
    def place(self) -> Path:
        """The file or folder that the images lie in."""

    @property
    def test_share(self) -> float:
        """Share of every class that is put aside for the test where the data do not say what is."""
        return 0

    @property
    def form(self) -> Form:
        """What every image is made into."""
        return Form(self.channels, self.size, self.resize)

    @property
    def stem(self) -> str:
        """In the name of the file of tensors: what tells the settings on which its content depends."""
        name = "colour" if self.channels == 3 else "grey"
        return name if self.size is None else f"{name}-{self.size[0]}x{self.size[1]}-{self.resize}"

    @abstractmethod
    def contents(self) -> Contents:
        """All images, from the cache, where they are made if they are not there."""

    def said(self, contents: Contents) -> list[str]:
        """What a person should know of the data who sees no more than its numbers."""
        line = self._bad(contents.bad, _number(contents)).left_out()
        return [] if line is None else [line]

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        contents = self.contents()
        for line in self.said(contents):
            logging.getLogger(__name__).warning(line)
        return contents.parts["train"], contents.class_names

    @override
    def read_validation(self) -> Split | None:
        """The validation set that is among the data; None without one."""
        return self.contents().parts.get("val")

    @override
    def read_test(self) -> Split:
        self.check_test()
        return self.contents().parts["test"]

    @override
    def known_fingerprint(self) -> str:
        """Of names and bytes of the images to train and to validate on, read when they were decoded."""
        return self.contents().fingerprint

    def cached(self, folder: Path, file_name: str, *, stamp: str, build: Callable[[Path], Contents]) -> Contents:
        """The contents from the file beside the data in `folder` or, where that can't be written, below the root.

        Raises ValueError for images that can't be read, unless they are to be left out.
        """
        away = f"{folder.name}-{short_hash(os.fsencode(folder))}"
        files = folder / ".tune_mixup" / file_name, self.root / self.name.partition(":")[0] / away / file_name
        contents = cached(files, stamp=stamp, build=build)
        self._bad(contents.bad, _number(contents)).check(self.on_error)
        return contents

    def as_contents(self, labelled: Labelled, decoded: Decoded) -> Contents:
        """The decoded images in their splits, in the order of their digests.

        Raises ValueError for bad ones, unless they are to be left out.
        """
        bad = {labelled.names[i]: why for i, why in decoded.bad.items()}
        self._bad(bad, len(labelled.names)).check(self.on_error)
        kept = [*decoded.digests]
        _check_classes(labelled, kept, self.entries.removesuffix("s"))
        if not kept:
            raise ValueError(
                f"none of the {len(labelled.names):,} {self.entries} in {self.place} can be read; bring whole ones"
            )
        targets = torch.tensor([labelled.targets[i] for i in kept], dtype=torch.int64)
        places = self._places(labelled, kept, targets)
        images = decoded.images([kept[at] for chosen in places.values() for at in chosen.tolist()])
        pixels = torch.split(images, [len(chosen) for chosen in places.values()])
        parts = {part: Split(mine, targets[places[part]]) for part, mine in zip(places, pixels, strict=True)}
        # Without the test split, which nothing but `evaluate` opens.
        trained = torch.cat([chosen for part, chosen in places.items() if part != "test"]).sort().values
        form = (self.channels, labelled.class_names, *((self.size, self.resize) if self.size else ()))
        content = [told for at in trained.tolist() for told in (labelled.keys[kept[at]], decoded.digests[kept[at]])]
        return Contents(
            labelled.class_names, parts, of_parts([repr(form), *content]), bad, labelled.unsplit and "test" in parts
        )

    def _bad(self, why: Mapping[str, str], number: int) -> BadFiles:
        return BadFiles(why, number, self.place, "images", self.entries)

    def _places(self, labelled: Labelled, kept: Sequence[int], targets: Tensor) -> dict[str, Tensor]:
        """Which of the images that are kept each split has: int64 indices, ascending."""
        if labelled.unsplit and self.test_share:
            train, test = split(
                targets,
                fraction=self.test_share,
                limit=None,
                class_names=labelled.class_names,
                generator=generator(_TEST_SEED, "split"),
            )
            return {"train": train, "test": test}
        return {
            part: torch.tensor([at for at, i in enumerate(kept) if labelled.parts[i] == part], dtype=torch.int64)
            for part in dict.fromkeys(labelled.parts)
        }


def _number(contents: Contents) -> int:
    """How many images there are, good and bad."""
    return sum(len(part.targets) for part in contents.parts.values()) + len(contents.bad)


def _check_classes(labelled: Labelled, kept: Sequence[int], entry: str) -> None:
    """Raise ValueError for a class of which none of a split's images can be read."""
    left = {(labelled.parts[i], labelled.targets[i]) for i in kept}
    for part, target in zip(labelled.parts, labelled.targets, strict=True):
        if target >= 0 and (part, target) not in left:
            name = labelled.class_names[target]
            raise ValueError(f"no {entry} of the class {name!r} in {part} can be read; add whole ones")
