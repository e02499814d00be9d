"""What torchvision offers as labelled images, `torchvision:NAME`: one adapter for all of its classes.

Files are where torchvision's own class has them, and an image is what it gives for a number. All images are read once,
into a file of tensors that later runs map into memory; it is made anew when a file is added, removed or changed (by
name, size and time of change).
"""

import os
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from tune_mixup.data.base import Folder
from tune_mixup.data.class_labels import targets_of
from tune_mixup.data.divisible import Divisible
from tune_mixup.data.download import beside, open_or_download
from tune_mixup.data.image_cache import Contents, stamp_of
from tune_mixup.data.image_decode import decode_each
from tune_mixup.data.image_files import files_below
from tune_mixup.data.image_pixels import image_pixels
from tune_mixup.data.image_rows import Key
from tune_mixup.data.image_set import Labelled
from tune_mixup.words import said

_FORMAT = 1
"""Part of every stamp: raised when what a cache file holds changes its meaning."""
_LABEL_BYTES = 8
_NO_CLASS = "N/A"
"""What torchvision calls a number that no image has, in EMNIST's letters, which are 1 to 26."""

Arguments = Mapping[str, object]
TRAIN_OR_NOT: Mapping[str, Arguments] = {"train": {"train": True}, "test": {"train": False}}
TRAIN_TEST: Mapping[str, Arguments] = {"train": {"split": "train"}, "test": {"split": "test"}}
TRAIN_TEST_VAL: Mapping[str, Arguments] = {**TRAIN_TEST, "val": {"split": "val"}}
WHOLE: Mapping[str, Arguments] = {"train": {}}


@dataclass(frozen=True)
class Offered:
    """How torchvision offers a data set."""

    kind: str
    """Its class in `torchvision.datasets`."""
    files: tuple[str, ...]
    """Files and folders, below the folder that the class is given, that belong to the set alone."""
    parts: Mapping[str, Arguments]
    """Part -> the arguments by which the class is asked for it. With one alone nothing says what is for the test."""
    names: str | None = "classes"
    """The attribute that holds the names of the classes; None: they are called by their numbers."""
    ordered: bool = True
    """Whether the order of its images is the same on every host."""


class TorchvisionSet(Divisible, ABC):
    """Downloaded into the folder when nothing of it is there, as far as torchvision still can.

    The images in tensors lie in `.tune_mixup/` in the folder, or, when that can't be written, in `<root>/torchvision/`.
    """

    entries: ClassVar[str] = "items"
    offered: ClassVar[Offered]
    path: Folder | None = None
    """The folder that torchvision's class calls its root; empty: `root`."""

    @property
    @override
    def place(self) -> Path:
        return self.path or self.root

    @property
    def arguments(self) -> Arguments:
        """What the class is asked for beside the part."""
        return {}

    @override
    def check_test(self) -> None:
        if len(self.offered.parts) == 1:
            self.check_fraction()

    @override
    def contents(self) -> Contents:
        files = open_or_download(
            self.place,
            self.name,
            open_files=lambda: _found(self.place, self.offered.files),
            download=self._download,
            expected=f"{' and '.join(self.offered.files)}, as torchvision.datasets.{self.offered.kind} has them,",
        )
        unsplit = len(self.offered.parts) == 1
        share = self.test_fraction if unsplit else None
        facts = (_FORMAT, self.form, share, sorted(self.arguments.items()))
        words = [*self.name.split(":"), *(str(value) for value in self.arguments.values()), self.stem]
        # Numbers of images that were decoded before a kill hold as long as this host lists the files in the same order.
        listed = stamp_of(repr((*facts, files)))
        return self.cached(
            self.place,
            f"{'-'.join(words)}.pt",
            stamp=stamp_of(repr((*facts, sorted(files)))),
            build=lambda beside: self._build(beside, listed),
        )

    def _open(self, folder: Path, part: str, *, download: bool) -> Any:
        from torchvision import datasets  # here, because the import takes seconds

        kind = getattr(datasets, self.offered.kind)
        return kind(folder, **self.offered.parts[part], **self.arguments, download=download)

    def _download(self) -> None:
        """Download beside the final place, then move the files, so that nobody ever sees a part of one."""
        found = [file for file in self.offered.files if _found(self.place, [file])]
        if found:
            missing = [file for file in self.offered.files if file not in found]
            raise ValueError(
                f"{self.place} lacks {', '.join(missing)} of {self.name}; add the rest, or remove {', '.join(found)} to"
                " have all downloaded again"
            )
        with beside(self.place, self.name) as partial:
            try:
                for part in self.offered.parts:
                    self._open(partial, part, download=True)
            except ValueError as error:  # its word for what is not offered any more
                raise RuntimeError(said(error)) from error
            for file in self.offered.files:
                (self.place / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial / file, self.place / file)

    def _opened(self, part: str) -> Any:
        try:
            return self._open(self.place, part, download=False)
        except MemoryError:
            raise
        except Exception as error:  # whatever it trips over, the person needs the name of the set
            raise ValueError(
                f"torchvision can't read {part} of {self.name} in {self.place} ({said(error, 120)}); remove"
                f" {', '.join(self.offered.files)} to have all downloaded again, or put whole ones there"
            ) from error

    def _build(self, beside: Path, listed: str) -> Contents:
        opened = {part: self._opened(part) for part in self.offered.parts}
        class_names = _class_names(self.name, [*opened.values()], self.offered.names)
        order = [(part, i) for part, each in opened.items() for i in range(len(each))]
        names = [f"{part} {i}" for part, i in order]
        first = 1 if class_names and class_names[0] == _NO_CLASS else 0

        def read(place: int) -> tuple[NDArray[np.uint8], bytes]:
            part, i = order[place]
            try:
                image, number = opened[part][i]
                pixels, digest = image_pixels(image, self.form)
            except OSError as error:
                name = str(error.filename or "").removeprefix(f"{self.place}/")
                raise ValueError(f"{error.strerror}: {name}" if name else said(error)) from error
            # The label goes with the digest, for it must be known of images that were decoded before a kill as well.
            return pixels, digest + int(number).to_bytes(_LABEL_BYTES, "little", signed=True)

        keys = [Key(name) for name in names]
        decoded = decode_each(keys, read, form=self.form, source=self.place, beside=beside, stamp=listed)
        numbers = {
            place: int.from_bytes(told[-_LABEL_BYTES:], "little", signed=True) - first
            for place, told in decoded.digests.items()
        }
        digests = {place: told[:-_LABEL_BYTES] for place, told in decoded.digests.items()}
        kept = [*digests]
        parts = [part for part, _ in order]
        places = {part: [place for place in kept if parts[place] == part] for part in opened}
        class_names, found = targets_of(
            {part: [numbers[place] for place in some] for part, some in places.items()},
            class_names and class_names[first:],
            lambda part, at: f"{self.name} in {self.place}: {names[places[part][at]]}",
        )
        targets = [-1] * len(order)  # of those that can't be read, whose class nobody can tell either
        for part, some in places.items():
            for place, target in zip(some, found[part], strict=True):
                targets[place] = target
        if not self.offered.ordered:
            kept.sort(key=lambda place: (parts[place], targets[place], digests[place]))
        labelled = Labelled(
            class_names=class_names,
            names=names,
            keys=[f"{part}/{class_names[k]}" if k >= 0 else "" for part, k in zip(parts, targets, strict=True)],
            targets=targets,
            parts=parts,
            unsplit=len(opened) == 1,
        )
        return self.as_contents(labelled, decoded._replace(digests={place: digests[place] for place in kept}))


def _found(folder: Path, files: Sequence[str]) -> list[tuple[str, int, int]] | None:
    """Path, bytes and time of change of all that belongs to a set, as the host lists it; None where some is missing."""
    found: list[tuple[str, int, int]] = []
    for file in files:
        path = folder / file
        try:
            if path.is_file():
                status = path.stat()
                below = [(file, status.st_size, status.st_mtime_ns)]
            else:
                below = [*files_below(path, file)] if path.is_dir() else []
        except OSError as error:
            raise ValueError(f"{error.filename} can't be read ({error.strerror}); repair or remove it") from error
        if not below:
            return None
        found += below
    return found


def _class_names(name: str, opened: Sequence[Any], attribute: str | None) -> tuple[str, ...] | None:
    """The names that all parts have alike; None where they have none."""
    if attribute is None:
        return None
    found = [tuple(str(each) for each in getattr(one, attribute, ())) for one in opened]
    if any(names != found[0] for names in found):
        raise ValueError(f"the parts of {name} have other classes, {found[0]} and {found[-1]}; bring whole files")
    return found[0] or None
