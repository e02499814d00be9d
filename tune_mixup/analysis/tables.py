"""Exported configurations as a table: one row each, with the whole configuration in one cell and a column per setting.

The columns per setting are for people and programs that compare; what is read is the whole configuration, and a row
whose columns say something else is refused.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tune_mixup.analysis.cells import decode, encode, is_empty, says
from tune_mixup.reading import parse_json
from tune_mixup.schema import flatten

WHOLE, SETTING = "configuration", "config."
"""The column with all settings, and how the names of the columns per setting begin."""
Row = Mapping[str, Any]


def as_table(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per configuration of a sealed document; all rows have all columns, None where a setting is not there."""
    header = {key: document[key] for key in ("sweep", "metric", "direction", "rule", "note", "format")}
    header["written_with"] = json.dumps(document["versions"])
    table = []
    for entry in document["configurations"]:
        metrics = {f"metrics.{key}": value for key, value in entry["metrics"].items()}
        settings = {f"{SETTING}{key}": encode(value) for key, value in flatten(entry["config"]).items()}
        whole = {"check": entry["check"], WHOLE: json.dumps(entry["config"], allow_nan=False)}
        table.append(
            {**{key: entry[key] for key in ("rank", "of", "trial", "epoch")}, **metrics, **settings, **header, **whole}
        )
    columns = dict.fromkeys(key for row in table for key in row)
    return [{key: row.get(key) for key in columns} for row in table]


def from_table(names: Sequence[Any], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The document of a table that `as_table` made, whatever has become of it since; settings alone of its header.

    Raises ValueError that names the column for a cell that says something else than what was exported, and for a
    column that is missing or doubled.
    """
    columns = [str(name).strip() for name in names]
    rows = [row for row in rows if not all(is_empty(cell) for cell in row)]
    for name, count in Counter(columns).items():
        if count > 1 and (name.startswith(SETTING) or name in ("rank", "of", "check", "format", WHOLE)):
            raise ValueError(f"it has {count} columns {name}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} cells and the first line {len(columns)} names")
    table = [dict(zip(columns, row, strict=True)) for row in rows]
    if "versions" in columns and not {WHOLE, "check", "of"} & set(columns):
        return {"configurations": _of_first_format(columns, table)}
    for name in ("rank", "of", "format", "check", WHOLE):
        if name not in columns:
            raise ValueError(f"the column {name} is missing")
    entries = [_entry(row) for row in table]
    formats = {entry.pop("format") for entry in entries}
    return {"format": formats.pop() if len(formats) == 1 else None, "configurations": entries}


def _entry(row: Row) -> dict[str, Any]:
    rank, of, found = (_whole_number(name, row[name]) for name in ("rank", "of", "format"))
    try:
        config = parse_json(str(row[WHOLE]))
    except ValueError as error:
        raise ValueError(f"the column {WHOLE} of rank {rank} is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"the column {WHOLE} of rank {rank} holds no settings")
    settings = {f"{SETTING}{key}": value for key, value in flatten(config).items()}
    for name, value in settings.items():
        if name not in row:
            raise ValueError(f"the column {name} is missing")
        if not says(row[name], value):
            got = "nothing" if is_empty(row[name]) else repr(row[name])
            raise ValueError(
                f"{name} of rank {rank} has {got}, but {encode(value)} was exported; put that back, and change "
                "settings with --set"
            )
    for name, cell in row.items():
        if name.startswith(SETTING) and name not in settings and not says(cell, None):
            raise ValueError(f"{name} of rank {rank} has {cell!r}, but the exported settings have no such key")
    return {"rank": rank, "of": of, "format": found, "check": row["check"], "config": config}


def _whole_number(name: str, cell: Any) -> int:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer():
        raise ValueError(f"{name} has {cell!r}, must be a whole number")
    return int(number)


def _of_first_format(columns: Sequence[str], table: Sequence[Row]) -> list[dict[str, Any]]:
    """The configurations of a table without seals, where a setting that a row does not have is an empty cell.

    A column that is empty in every row was not written so.
    """
    settings = [name for name in columns if name.startswith(SETTING)]
    for name in settings:
        if all(is_empty(row[name]) for row in table):
            raise ValueError(f"the column {name} has been emptied")
    return [
        {
            "config": {
                name.removeprefix(SETTING): decode(row[name]) if isinstance(row[name], str) else row[name]
                for name in settings
                if not is_empty(row[name])
            }
        }
        for row in table
    ]
