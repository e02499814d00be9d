"""Images and labels in Parquet files, as Hugging Face's `datasets` writes them, or anybody's own."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from tune_mixup.data.base import Folder
from tune_mixup.data.class_labels import Label, targets_of
from tune_mixup.data.divisible import Divisible
from tune_mixup.data.image_cache import Contents, short_hash, stamp_of
from tune_mixup.data.image_decode import decode_each, reach
from tune_mixup.data.image_pixels import file_pixels
from tune_mixup.data.image_rows import Key
from tune_mixup.data.image_set import Labelled
from tune_mixup.data.parquet_files import Columns, Table, columns_of, find_tables, read_labels

_FORMAT = 1
"""Part of every stamp: raised when what a cache file holds changes its meaning."""
_UNKNOWN = (None, -1)
"""Labels of images of which nobody has told the class."""


class Parquet(Divisible):
    """A column of images, as encoded bytes or a struct of `bytes` and `path`, and one of labels, numbers or texts.

    Class names are those in the files' Hugging Face metadata, else the labels themselves. With files of a validation
    part nothing is split off the training part; without files of a test part, or where these have no labels (all
    empty or -1), only `evaluate` is refused. A file given itself, and files whose names tell no part, are split.
    The decoded images lie in `.tune_mixup/` beside the files, or, when that can't be written, in `<root>/parquet/`.
    """

    entries: ClassVar[str] = "rows"
    name: Literal["parquet"] = "parquet"
    path: Folder
    """A file, or a folder with files like `train-00000-of-00001.parquet`, `test-...`, `validation-...` at any depth."""
    image_column: str | None = Field(default=None, min_length=1)
    """The column of images; empty: the one that holds images."""
    label_column: str | None = Field(default=None, min_length=1)
    """The column of labels; empty: the one that the metadata call a class, else the first of label, labels, class,
    target and category."""

    @property
    @override
    def place(self) -> Path:
        return self.path

    @override
    def check_test(self) -> None:
        if not self.path.exists():
            return  # another host may have it; whoever reads it is told
        tables, unsplit = self._find()
        if unsplit:
            return self.check_fraction()
        columns = self._columns(tables)
        if not any(table.part == "test" for table in tables):
            raise ValueError(f"data.path: {self.path} has no file whose name begins with test, to evaluate on; add it")
        if not any(table.part == "test" for table, _ in _labelled(tables, columns.label)):
            raise ValueError(
                f"data.path: the test files in {self.path} have no labels, so nothing can be evaluated on them"
            )

    @override
    def contents(self) -> Contents:
        tables, unsplit = self._find()
        columns = json.dumps([self.path.name, self.image_column, self.label_column])
        folder = self.path.parent if self.path.is_file() else self.path
        facts = (_FORMAT, self.form, self.test_fraction if unsplit else None, columns, [table[1:] for table in tables])
        stamp = stamp_of(repr(facts))
        return self.cached(
            folder,
            f"{self.path.name}-{short_hash(os.fsencode(columns))}-{self.stem}.pt",
            stamp=stamp,
            build=lambda beside: self._build(tables, unsplit, beside, stamp),
        )

    def _find(self) -> tuple[list[Table], bool]:
        if not self.path.exists():
            raise ValueError(f"data.path: {self.path} does not exist; give a Parquet file, or a folder of them")
        return find_tables(self.path)

    def _columns(self, tables: Sequence[Table]) -> Columns:
        return columns_of(tables, self.image_column, self.label_column)

    def _build(self, tables: Sequence[Table], unsplit: bool, beside: Path, stamp: str) -> Contents:
        from tune_mixup.data.parquet_images import Images  # here, because pyarrow takes time to import

        columns = self._columns(tables)
        read = _labelled(tables, columns.label)
        if not any(labels for table, labels in read if table.part == "train"):
            raise ValueError(f"data.path: {self.path} has no rows to train on; give files with some")
        names = [f"{table.relative} row {row}" for table, labels in read for row in range(1, len(labels) + 1)]
        parts = [table.part for table, labels in read for _ in labels]
        labels = {part: [label for table, some in read if table.part == part for label in some] for part in {*parts}}
        class_names, targets = targets_of(
            labels, columns.class_names, lambda part, place: f"{self.path}: {names[parts.index(part) + place]}"
        )
        chosen = [target for part in dict.fromkeys(parts) for target in targets[part]]
        labelled = Labelled(
            class_names=class_names,
            names=names,
            keys=[f"{part}/{class_names[target]}" for part, target in zip(parts, chosen, strict=True)],
            targets=chosen,
            parts=parts,
            unsplit=unsplit,
        )
        images = Images([table for table, _ in read], columns.image, together=reach())

        def pixels(place: int) -> tuple[NDArray[np.uint8], bytes]:
            return file_pixels(images[place], self.form)

        keys = [Key(name) for name in names]
        decoded = decode_each(keys, pixels, form=self.form, source=self.path, beside=beside, stamp=stamp)
        return self.as_contents(labelled, decoded)


def _labelled(tables: Sequence[Table], column: str) -> list[tuple[Table, list[Label]]]:
    """The files with their labels, but for those to measure on whose part has none. Raises ValueError for a gap."""
    read = [(table, read_labels(table, column)) for table in tables]
    told = {table.part for table, labels in read if any(label not in _UNKNOWN for label in labels)}
    found: list[tuple[Table, list[Label]]] = []
    for table, labels in read:
        if table.part in told or table.part == "train":
            known = [label for label in labels if label is not None]
            if len(known) < len(labels):
                row = labels.index(None) + 1
                raise ValueError(f"data.path: {table.path} row {row} has no label ({column}); give it one or remove it")
            found.append((table, known))
    if len({type(label) for _, labels in found for label in labels}) > 1:
        raise ValueError(
            f"data.label_column: {column} holds numbers in one file and texts in another; write them alike"
        )
    return found
