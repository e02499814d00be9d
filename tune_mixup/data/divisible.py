"""Images of which nobody may have said what is for the test: then a share of every class is put aside for it."""

from abc import ABC
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from tune_mixup.data.image_cache import Contents
from tune_mixup.data.image_set import ImageSet


class Divisible(ImageSet, ABC):
    """Data that anybody may bring, divided or not."""

    came_later: ClassVar[frozenset[str]] = frozenset({"test_fraction"})

    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    """Share of every class that is put aside for the test, where the data do not say what is; the same for every seed.
    0: there is no test split."""

    @property
    def divider(self) -> Path:
        """What says which image is in which split, where something does."""
        return self.place

    @property
    @override
    def test_share(self) -> float:
        return self.test_fraction

    def check_fraction(self) -> None:
        """Raise ValueError where none of data that are not divided is put aside for the test."""
        if not self.test_fraction:
            raise ValueError("data.test_fraction: got 0, which leaves no test split to evaluate on; give it a share")

    @override
    def said(self, contents: Contents) -> list[str]:
        if not contents.split_off:
            return super().said(contents)
        test, number = len(contents.parts["test"].targets), sum(len(part.targets) for part in contents.parts.values())
        line = (
            f"{self.divider} does not say which images are for the test: {test:,} of {number:,} are put aside for it,"
            " the same share of every class (data.test_fraction)"
        )
        return [*super().said(contents), line]
