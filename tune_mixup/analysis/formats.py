"""The file formats of exported configurations: a document goes in, an equal one's configurations come out.

YAML and JSON hold a header and nested configurations. CSV and parquet hold one row per configuration: a cell of a
`config.` column is the value itself where that is a plain text, else JSON, so that types survive; a key that a
configuration does not have is an empty cell (CSV) or null (parquet).
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

from tune_mixup.reading import dump_json, dump_yaml, parse_json, parse_yaml
from tune_mixup.schema import flatten

Document = dict[str, Any]
"""What is exported: a header, and under `configurations` rank, trial, epoch, metrics and config of each."""


def _write_yaml(file: BinaryIO, document: Document) -> None:
    file.write(dump_yaml(document).encode())


def _read_yaml(file: BinaryIO) -> Any:
    return parse_yaml(file.read().decode())


def _write_json(file: BinaryIO, document: Document) -> None:
    file.write(dump_json(document).encode())


def _read_json(file: BinaryIO) -> Any:
    return parse_json(file.read())


# Tables


def _write_csv(file: BinaryIO, document: Document) -> None:
    table = _table(document)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    file.write(text.getvalue().encode())


def _read_csv(file: BinaryIO) -> Any:
    text = io.StringIO(file.read().decode(), newline="")
    return _configs(list(csv.DictReader(text)))


def _write_parquet(file: BinaryIO, document: Document) -> None:
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame(_table(document)).to_parquet(buffer, index=False)
    file.write(buffer.getvalue())


def _read_parquet(file: BinaryIO) -> Any:
    import pandas as pd

    return _configs(pd.read_parquet(io.BytesIO(file.read())).to_dict("records"))


def _table(document: Document) -> list[dict[str, Any]]:
    """One row per configuration; all rows have all columns, None where a configuration lacks the key."""
    header = {key: document[key] for key in ("sweep", "metric", "direction", "rule", "note")}
    header["versions"] = json.dumps(document["versions"])
    table = []
    for entry in document["configurations"]:
        metrics = {f"metrics.{key}": value for key, value in entry["metrics"].items()}
        config = {f"config.{key}": _encode(value) for key, value in flatten(entry["config"]).items()}
        table.append({**{key: entry[key] for key in ("rank", "trial", "epoch")}, **metrics, **config, **header})
    columns = dict.fromkeys(key for row in table for key in row)
    return [{key: row.get(key) for key in columns} for row in table]


def _configs(table: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    return [
        {
            key.removeprefix("config."): _decode(cell)
            for key, cell in row.items()
            if isinstance(key, str) and key.startswith("config.") and isinstance(cell, str) and cell
        }
        for row in table
    ]


def _encode(value: Any) -> str:
    """The text itself if it is printable and cannot be taken for JSON, else JSON; never empty."""
    plain = isinstance(value, str) and value != "" and value.isprintable() and _decode(value) is value
    return value if plain else json.dumps(value, allow_nan=False)


def _decode(cell: str) -> Any:
    try:
        return parse_json(cell)
    except ValueError:
        return cell


class Format(NamedTuple):
    """How a document is written to a file and how what configurations there are is read from one."""

    write: Callable[[BinaryIO, Document], None]
    read: Callable[[BinaryIO], Any]


FORMATS = {
    ".yaml": Format(_write_yaml, _read_yaml),
    ".json": Format(_write_json, _read_json),
    ".csv": Format(_write_csv, _read_csv),
    ".parquet": Format(_write_parquet, _read_parquet),
}
