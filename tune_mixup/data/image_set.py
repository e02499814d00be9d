"""What data sets of images have in common that are decoded once into a file of tensors, whatever the images lie in."""

import hashlib
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor
from typing_extensions import override

from tune_mixup.data.base import Dataset, Split
from tune_mixup.data.crops import square
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.data.image_cache import Contents
from tune_mixup.data.image_decode import Decoded
from tune_mixup.data.image_pixels import Form, Resize
from tune_mixup.data.stratify import split
from tune_mixup.seeding import generator

_TEST_SEED = 1797
"""Of the draw of a test split, which is the same for every trial."""
_NAMED = 10
"""Images that can't be read of which a line says the names."""


Pixels = Annotated[int, Field(ge=1, le=8192)]


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

    came_later: ClassVar[frozenset[str]] = frozenset({"size", "resize", "on_error", "test_fraction"})
    beside_identity: ClassVar[frozenset[str]] = Dataset.beside_identity | {"on_error"}
    entries: ClassVar[str] = "files"
    """What messages call the things that images are read from."""

    channels: Literal[1, 3] = 3
    """Images are turned into 3: colour, or 1: grey (ITU-R 601 luma)."""
    size: Annotated[tuple[Pixels, Pixels] | None, Field(strict=False), BeforeValidator(square)] = None
    """Pixels of every image: height and width, or one number for a square; empty: all have one size already."""
    resize: Resize = "shorter_side"
    """How they get it: shorter_side (it fills height and width, and what stands out in the other direction is cut off),
    fit (all of the image, with black around it), or stretch."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What is done when images can't be read: nothing is trained, or they are left out, which is said."""
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    """Share of every class that is put aside for the test, where the data do not say what is; the same for every seed.
    0: there is no test split."""

    @property
    @abstractmethod
    def place(self) -> Path:
        """The file or folder that the images lie in."""

    @property
    def divider(self) -> Path:
        """What says which image is in which split, where something does."""
        return self.place

    @abstractmethod
    def contents(self) -> Contents:
        """All images, from the cache, where they are made if they are not there."""

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        contents = self.contents()
        for line in self._said(contents):
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

    @property
    def form(self) -> Form:
        """What every image is made into."""
        return Form(self.channels, self.size, self.resize)

    def form_name(self) -> str:
        """The form, as the beginning of a file's name."""
        name = "colour" if self.channels == 3 else "grey"
        return name if self.size is None else f"{name}-{self.size[0]}x{self.size[1]}-{self.resize}"

    def caches(self, folder: Path, file_name: str) -> tuple[Path, Path]:
        """Where decoded images may lie: beside the data in `folder`, else, where that can't be written, in the root."""
        away = f"{folder.name}-{short_hash(os.fsencode(folder))}"
        return folder / ".tune_mixup" / file_name, self.root / self.name.partition(":")[0] / away / file_name

    def as_contents(self, labelled: Labelled, decoded: Decoded) -> Contents:
        """The decoded images in their splits. Raises ValueError for bad ones, unless they are to be left out."""
        bad = {labelled.names[i]: why for i, why in decoded.bad.items()}
        self.refuse(bad, len(labelled.names))
        kept = [*decoded.digests]
        _check_classes(labelled, kept, self.entries.removesuffix("s"))
        if not kept:
            raise ValueError(
                f"none of the {len(labelled.names):,} {self.entries} in {self.place} can be read; bring whole ones"
            )
        targets = torch.tensor([labelled.targets[i] for i in kept], dtype=torch.int64)
        places = self._places(labelled, kept, targets)
        parts = {part: Split(decoded.images[chosen], targets[chosen]) for part, chosen in places.items()}
        # Without the test split, which nothing but `evaluate` opens.
        trained = torch.cat([chosen for part, chosen in places.items() if part != "test"]).sort().values
        digests = [*decoded.digests.values()]
        form = (self.channels, labelled.class_names, *((self.size, self.resize) if self.size else ()))
        content = [part for i in trained.tolist() for part in (labelled.keys[kept[i]], digests[i])]
        return Contents(
            labelled.class_names,
            parts,
            of_parts([repr(form), *content]),
            bad,
            labelled.unsplit and "test" in parts,
        )

    def refuse(self, bad: Mapping[str, str], number: int) -> None:
        """Raise ValueError that lists images that can't be read, by their names and why, unless they are left out."""
        if bad and self.on_error == "refuse":
            raise ValueError(
                f"{self._listed(bad, number)}; replace or remove them, or leave them out by data.on_error=skip"
            )

    def _places(self, labelled: Labelled, kept: Sequence[int], targets: Tensor) -> dict[str, Tensor]:
        """Which of the images that are kept each split has: int64 indices, ascending."""
        if labelled.unsplit and self.test_fraction:
            train, test = split(
                targets,
                fraction=self.test_fraction,
                limit=None,
                class_names=labelled.class_names,
                generator=generator(_TEST_SEED, "split"),
            )
            return {"train": train, "test": test}
        return {
            part: torch.tensor([at for at, i in enumerate(kept) if labelled.parts[i] == part], dtype=torch.int64)
            for part in dict.fromkeys(labelled.parts)
        }

    def _said(self, contents: Contents) -> list[str]:
        """What a person should know of the data who sees no more than its numbers."""
        number = sum(len(part.targets) for part in contents.parts.values())
        lines = []
        if contents.bad:
            lines.append(f"{self._listed(contents.bad, number + len(contents.bad))}; they are left out")
        if contents.split_off:
            test = len(contents.parts["test"].targets)
            lines.append(
                f"{self.divider} does not say which images are for the test: {test:,} of {number:,} are put aside for"
                " it, the same share of every class (data.test_fraction)"
            )
        return lines

    def _listed(self, bad: Mapping[str, str], number: int) -> str:
        """The first of the images that can't be read, each with its reason, and how many there are."""
        named = ", ".join(f"{name} ({why})" for name, why in [*bad.items()][:_NAMED])
        more = f" and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
        return f"{len(bad):,} of {number:,} {self.entries} in {self.place} can't be read as images: {named}{more}"


def short_hash(name: bytes) -> str:
    """Twelve digits that tell a name from others, for names of files."""
    return hashlib.blake2b(name, digest_size=6).hexdigest()


def _check_classes(labelled: Labelled, kept: Sequence[int], entry: str) -> None:
    """Raise ValueError for a class of which none of a split's images can be read."""
    left = {(labelled.parts[i], labelled.targets[i]) for i in kept}
    for part, target in zip(labelled.parts, labelled.targets, strict=True):
        if target >= 0 and (part, target) not in left:
            name = labelled.class_names[target]
            raise ValueError(f"no {entry} of the class {name!r} in {part} can be read; add whole ones")
