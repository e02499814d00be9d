"""Images that lie in files of their own, which a listing names, with their classes and splits.

The file of tensors is made anew when a file is added, removed or changed (by name, size and time of change).
"""

from abc import ABC, abstractmethod
from pathlib import Path

from typing_extensions import override

from tune_mixup.data.image_cache import Contents, stamp_of
from tune_mixup.data.image_decode import decode
from tune_mixup.data.image_files import Listing
from tune_mixup.data.image_set import ImageSet, Labelled

_FORMAT = 3
"""Part of every stamp: raised when what a cache file holds changes its meaning."""


class ListedImages(ImageSet, ABC):
    """Data sets that are a folder of image files; each says which there are."""

    @abstractmethod
    def listing(self) -> Listing:
        """The files, their classes and splits. Raises ValueError, in one line, for a folder that can't be used."""

    @override
    def contents(self) -> Contents:
        listing = self.listing()
        return self.cached(
            self.place,
            f"{self.stem}.pt",
            stamp=self._stamp(listing),
            build=lambda beside: self._build(listing, beside),
        )

    def _stamp(self, listing: Listing) -> str:
        share = self.test_share if listing.unsplit else None
        lines = [
            repr((_FORMAT, self.form if self.size else None, share, listing.class_names, listing.parts)),
            *(f"{listing.key(file)}\0{file.size} {file.mtime_ns}" for file in listing.files),
        ]
        return stamp_of("\n".join(lines))

    def _build(self, listing: Listing, beside: Path) -> Contents:
        number = {name: k for k, name in enumerate(listing.class_names)}
        labelled = Labelled(
            class_names=listing.class_names,
            names=[file.relative for file in listing.files],
            keys=[listing.key(file) for file in listing.files],
            targets=[number[file.class_name] for file in listing.files],
            parts=[file.part for file in listing.files],
            unsplit=listing.unsplit,
        )
        return self.as_contents(labelled, decode(self.place, listing.files, form=self.form, beside=beside))
