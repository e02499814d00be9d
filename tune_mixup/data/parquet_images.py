"""The bytes of images in Parquet files by their place, of which as few as possible are in memory at once."""

import threading
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from tune_mixup.data.parquet_files import Table, opened
from tune_mixup.words import said


class Images:
    """The images of all files, one after the other: `images[place]`. Several threads may ask."""

    def __init__(self, tables: Sequence[Table], column: str, *, together: int) -> None:
        """`together`: how far apart places may be that are asked for at about the same time."""
        self._column = column
        groups = [(table, i, rows) for table in tables for i, rows in enumerate(opened(table, _rows_of_groups)) if rows]
        self._groups = [(table, i) for table, i, _ in groups]
        self._ends = [*accumulate(rows for _, _, rows in groups)]
        self._most = 2 + together // min((rows for _, _, rows in groups), default=1)
        self._kept: dict[int, pa.ChunkedArray | str] = {}
        self._lock = threading.Lock()

    def __getitem__(self, place: int) -> bytes:
        group = bisect_right(self._ends, place)
        with self._lock:
            if group not in self._kept:
                self._kept[group] = self._read(group)
                while len(self._kept) > self._most:
                    del self._kept[next(iter(self._kept))]
            images = self._kept[group]
        if isinstance(images, str):
            raise ValueError(images)
        cell: Any = images[place - (self._ends[group - 1] if group else 0)].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if content is None:
            raise ValueError("its bytes are not in the file" if isinstance(cell, dict) else "there is no image")
        return bytes(content)

    def _read(self, group: int) -> pa.ChunkedArray | str:
        table, number = self._groups[group]
        try:
            return opened(table, lambda file: file.read_row_group(number, columns=[self._column]).column(self._column))
        except ValueError as error:  # kept, so that it is not tried again for each of its rows
            return said(error, 120)


def _rows_of_groups(file: ParquetFile) -> list[int]:
    return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
