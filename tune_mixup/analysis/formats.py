"""The file formats of exported configurations: a document goes in, an equal one's configurations come out.

YAML and JSON hold a header and nested configurations, CSV and parquet a table with one row per configuration
(`tables.py`). CSV is read with commas, semicolons or tabs, as spreadsheets write it. All are sealed (`seal.py`).
"""

import csv
import io
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from tune_mixup.analysis.seal import sealed
from tune_mixup.analysis.tables import as_table, from_table
from tune_mixup.given_files import text_of
from tune_mixup.reading import dump_json, dump_yaml, parse_json, parse_yaml

Document = dict[str, Any]
"""What is exported: a header, and under `configurations` rank, trial, epoch, metrics and config of each."""
MOST_ROWS = 100_000
"""Rows of a parquet file, which may be a few bytes on disk and gigabytes in memory."""


def _write_yaml(file: BinaryIO, document: Document) -> None:
    file.write(dump_yaml(sealed(document)).encode())


def _read_yaml(content: bytes) -> Any:
    return parse_yaml(text_of(content))


def _write_json(file: BinaryIO, document: Document) -> None:
    file.write(dump_json(sealed(document)).encode())


def _read_json(content: bytes) -> Any:
    return parse_json(text_of(content))


# Tables


def _write_csv(file: BinaryIO, document: Document) -> None:
    table = as_table(sealed(document))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    file.write(text.getvalue().encode())


def _read_csv(content: bytes) -> Any:
    text = text_of(content)
    if text[:4].lower() == "sep=":  # a line with which some spreadsheets begin
        text = text.partition("\n")[2]
    try:
        names = [next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), []) for mark in ",;\t"]
        mark = max(zip(names, ",;\t", strict=True), key=lambda found: len(found[0]))[1]
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {error}") from None
    return from_table(lines[0] if lines else [], [line for line in lines[1:] if line])


def _write_parquet(file: BinaryIO, document: Document) -> None:
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame(as_table(sealed(document))).to_parquet(buffer, index=False)
    file.write(buffer.getvalue())


def _read_parquet(content: bytes) -> Any:
    import pandas as pd
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(io.BytesIO(content))
        size = sum(file.metadata.row_group(index).total_byte_size for index in range(file.metadata.num_row_groups))
        if file.metadata.num_rows > MOST_ROWS or size > PARQUET.most_bytes:
            raise ValueError(f"it has {file.metadata.num_rows:,} rows of {size:,} bytes, which is too much")
        frame = pd.read_parquet(io.BytesIO(content))
    except (ArrowException, OSError) as error:
        raise ValueError(f"it is no parquet file: {error}") from None
    cells = frame.astype(object).where(frame.notna(), None)
    rows = [[_plain(cell) for cell in row] for row in cells.itertuples(index=False, name=None)]
    return from_table(list(frame.columns), rows)


def _plain(cell: Any) -> Any:
    import numpy as np

    return cell.item() if isinstance(cell, np.generic) else cell


class Format(NamedTuple):
    """How a document is written to a file, and how what configurations there are is read from a file's content."""

    write: Callable[[BinaryIO, Document], None]
    read: Callable[[bytes], Any]
    most_bytes: int
    """How large a file is read; a larger one would take minutes."""


PARQUET = Format(_write_parquet, _read_parquet, 16_000_000)
FORMATS = {
    ".yaml": Format(_write_yaml, _read_yaml, 1_000_000),
    ".json": Format(_write_json, _read_json, 16_000_000),
    ".csv": Format(_write_csv, _read_csv, 16_000_000),
    ".parquet": PARQUET,
}
