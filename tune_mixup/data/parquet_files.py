"""Parquet files of images as Hugging Face's `datasets` writes them: which there are, and what their columns mean."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tune_mixup.data.image_files import PARTS
from tune_mixup.words import said

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

_PART = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "val": ("val", "valid", "validation", "dev"),
}
_SAYS = re.compile(r"[a-z]+")
_LABELS = ("label", "labels", "class", "target", "category")
"""What the column of labels is called where no metadata tell it, the first of them that there is."""
Read = TypeVar("Read")


class Table(NamedTuple):
    """A file, of which nothing was read yet."""

    path: Path
    relative: str
    """Path below the folder; the name of a file that was given alone."""
    part: str
    size: int
    mtime_ns: int


class Columns(NamedTuple):
    """Which columns hold what."""

    image: str
    label: str
    class_names: tuple[str, ...] | None
    """As the metadata have them; None without."""


def find_tables(path: Path) -> tuple[list[Table], bool]:
    """The Parquet files of a folder, by part and name, and whether nothing says which part they are of.

    The first word of a file's name tells it (`train-00000-of-00001.parquet`), else that of its folder. A file that is
    given itself is of no part. Raises ValueError, in one line, where there are none, or where only some tell.
    """
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*.parquet") if not _hidden(each, path))
    if not files:
        raise ValueError(f"data.path: {path} holds no .parquet file; give such a file, or a folder of them")
    said_parts = [None if each == path else _part_of(each, path) for each in files]
    unsplit = not any(said_parts)
    if not unsplit and not all(said_parts):
        silent = files[said_parts.index(None)]
        raise ValueError(f"data.path: {silent} does not begin with train, test or validation, as others do; rename it")
    tables = []
    for file, part in zip(files, said_parts, strict=True):
        status = file.stat()
        relative = file.name if file == path else file.relative_to(path).as_posix()
        tables.append(Table(file, relative, part or "train", status.st_size, status.st_mtime_ns))
    if all(table.part != "train" for table in tables):
        raise ValueError(f"data.path: {path} has no file whose name begins with train; add it")
    return sorted(tables, key=lambda table: (PARTS.index(table.part), table.relative)), unsplit


def columns_of(tables: Sequence[Table], image: str | None, label: str | None) -> Columns:
    """What the columns of the files are, which must be the same in all, as far as nobody names them.

    Raises ValueError, in one line, where there are none or several to choose from.
    """
    found = [(table, _columns(table, image, label)) for table in tables]
    for table, columns in found:
        if columns != found[0][1]:
            raise ValueError(
                f"data.path: {table.path} has other columns or classes than {found[0][0].path}; give files of one kind"
            )
    return found[0][1]


def read_labels(table: Table, column: str) -> list[int | str | None]:
    """The labels of a file. Raises ValueError for what are neither whole numbers nor texts."""
    import pyarrow as pa

    labels = opened(table, lambda file: file.read(columns=[column]).column(column))
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    kinds = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)
    if not any(is_kind(labels.type) for is_kind in kinds):
        raise ValueError(
            f"data.label_column: {column} in {table.path} holds {labels.type}, must be a whole number or a text for"
            " each image; name another column"
        )
    values: list[int | str | None] = labels.to_pylist()
    return values


def opened(table: Table, read: "Callable[[ParquetFile], Read]") -> Read:
    """What `read` gets of a file. Raises ValueError, in one line, for a file that is damaged."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(table.path) as file:
            return read(file)
    except (OSError, ValueError) as error:  # what pyarrow raises for damaged files is derived from these
        why = (isinstance(error, OSError) and error.strerror) or said(error, 120)
        raise ValueError(f"data.path: {table.path} can't be read ({why}); give whole Parquet files") from error


def _part_of(file: Path, folder: Path) -> str | None:
    """The part that the first word of a file's name tells, or that of a folder that it is in below `folder`."""
    for name in (file.name, *reversed(file.relative_to(folder).parts[:-1])):
        word = _SAYS.match(name.lower())
        for part, words in _PART.items():
            if word is not None and word[0] in words:
                return part
    return None


def _hidden(file: Path, folder: Path) -> bool:
    return any(name.startswith(".") for name in file.relative_to(folder).parts) or not file.is_file()


def _columns(table: Table, image: str | None, label: str | None) -> Columns:
    schema = opened(table, lambda file: file.schema_arrow)
    features = _features(schema)
    there = f"{table.path} has the columns {', '.join(schema.names) or '(none)'}"
    for setting, column in (("image_column", image), ("label_column", label)):
        if column is not None and schema.names.count(column) != 1:
            raise ValueError(f"data.{setting}: {there}; got {column!r}, must be one of them")
    if image is None:
        found = _of_type(features, "Image") or [each.name for each in schema if _holds_images(each.type)]
        if len(found) != 1:
            what = f"of which {' and '.join(found)} hold images" if found else "of which none holds images as bytes"
            raise ValueError(f"data.image_column: {there}, {what}; name one")
        image = found[0]
    elif not _holds_images(schema.field(image).type):
        raise ValueError(f"data.image_column: {image} in {table.path} holds {schema.field(image).type}, must be bytes")
    if label is None:
        found = _of_type(features, "ClassLabel") or [each for each in _LABELS if each in schema.names][:1]
        found = ["label"] if "label" in found else found
        if len(found) != 1:
            what = f"of which {' and '.join(found)} are classes" if found else f"none of {', '.join(_LABELS)}"
            raise ValueError(f"data.label_column: {there}, {what}; name one")
        label = found[0]
    names = features.get(label, {}).get("names")
    return Columns(image, label, tuple(str(name) for name in names) if isinstance(names, list) and names else None)


def _features(schema: "pa.Schema") -> dict[str, dict[str, Any]]:
    """What `datasets` noted of each column; nothing where somebody else wrote the file."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    if not isinstance(noted, dict):
        return {}
    return {name: each for name, each in noted.items() if isinstance(each, dict) and name in schema.names}


def _of_type(features: Mapping[str, Mapping[str, Any]], kind: str) -> list[str]:
    return [name for name, feature in features.items() if feature.get("_type") == kind]


def _holds_images(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(each.name == "bytes" and _holds_images(each.type) for each in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
