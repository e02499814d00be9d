"""A table that says which image files there are, of which class, and, if it does, of which split: CSV or Parquet."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_mixup.data.image_files import PARTS, Listing, check_folder, file_at
from tune_mixup.faults import shown
from tune_mixup.given_files import read_file
from tune_mixup.words import said

if TYPE_CHECKING:
    import pandas as pd

_MOST_BYTES = 1_000_000_000
_COLUMNS = "it must have the columns file (path below data.path) and label, and may have split (train, val or test)"


def list_labelled(folder: Path, labels: Path) -> Listing:
    """The files that the table `labels` names, below `folder`, whatever their endings; others do not count.

    Classes are in alphabetical order, or by number where all are whole numbers. The order of rows does not matter.
    Raises ValueError, in one line, for a table that can't be used.
    """
    check_folder(folder)
    table = _read(labels)
    columns = {name: [_text(value) for value in table[name]] for name in ("file", "label") if name in table}
    if len(columns) < 2:
        got = ", ".join(str(name) for name in table.columns)
        raise ValueError(f"data.labels: {labels} has the columns {got}; {_COLUMNS}")
    paths = [os.path.normpath(path) if path else path for path in columns["file"]]
    unsplit = "split" not in table
    parts = ["train"] * len(table) if unsplit else [_text(value) for value in table["split"]]
    _check_rows(labels, paths, columns["label"], parts)
    class_names = _in_order(set(columns["label"]))
    trained = {label for label, part in zip(columns["label"], parts, strict=True) if part == "train"}
    if missing := [name for name in class_names if name not in trained]:
        raise ValueError(f"data.labels: {labels} has nothing to train on of the class {missing[0]!r}; add or drop it")
    if len(class_names) < 2:
        raise ValueError(
            f"data.labels: {labels} has {len(class_names)} classes, must be at least 2 to learn from; add rows"
        )
    number = {name: k for k, name in enumerate(class_names)}
    rows = zip(paths, columns["label"], parts, strict=True)
    files = [file_at(folder, path, part=part, class_name=label) for path, label, part in rows]
    files.sort(key=lambda file: (PARTS.index(file.part), number[file.class_name], file.relative))
    there = tuple(part for part in PARTS if part in parts)
    return Listing(class_names, tuple(files), there, unsplit=unsplit, labelled=True)


def _read(labels: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        content = io.BytesIO(read_file(labels, most_bytes=_MOST_BYTES))
        if labels.suffix.lower() == ".parquet":
            return pd.read_parquet(content)
        if labels.suffix.lower() == ".csv":
            return pd.read_csv(content, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # what pandas and pyarrow raise for damaged files is derived from these
        why = (isinstance(error, OSError) and error.strerror) or said(error)
        raise ValueError(f"data.labels: {labels} can't be read ({why}); give a whole CSV or Parquet file") from error
    raise ValueError(f"data.labels: got {labels}, must be a table whose name ends with .csv or .parquet")


def _text(value: Any) -> str:
    """A cell as text; empty for one that holds nothing, which in a column of numbers is NaN."""
    nothing = value is None or value != value  # only what is not a number differs from itself
    return "" if nothing else str(value).strip()


def _check_rows(labels: Path, paths: Sequence[str], classes: Sequence[str], parts: Sequence[str]) -> None:
    rows: dict[str, int] = {}
    for row, (path, label, part) in enumerate(zip(paths, classes, parts, strict=True), start=1):
        fault = None
        if not path or not label:
            fault = f"has no {'label' if path else 'file'}; give it one or drop the row"
        elif os.path.isabs(path) or path.split(os.sep)[0] == "..":
            fault = f"names {shown(path)}, which is not below data.path; give a path relative to it"
        elif part not in PARTS:
            fault = f"has the split {shown(part)}, must be train, val or test"
        elif path in rows:
            fault = f"names {shown(path)} as row {rows[path]} does; a file has one class and one split, so drop one"
        if fault is not None:
            raise ValueError(f"data.labels: row {row} of {labels} {fault}")
        rows[path] = row


def _in_order(class_names: set[str]) -> tuple[str, ...]:
    numbers = all(name.isascii() and name.isdecimal() for name in class_names)
    return tuple(sorted(class_names, key=(lambda name: (int(name), name)) if numbers else None))
