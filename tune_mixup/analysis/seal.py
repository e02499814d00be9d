"""What shows that an exported file is read as it was written: all its configurations, each with all its settings.

Other programs drop columns, sort rows and reformat numbers on the way. Whoever reads such a file must not train
something else instead, least of all a default.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

FORMAT = 1
"""The format of exported files; the first ones say none, and have no seals."""


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the file's format, and with `of` (how many there are) and `check` in each configuration."""
    entries = document["configurations"]
    return {
        **{key: value for key, value in document.items() if key != "configurations"},
        "format": FORMAT,
        "configurations": [
            {**entry, "of": len(entries), "check": _seal(entry["rank"], len(entries), entry["config"])}
            for entry in entries
        ],
    }


def opened(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The configurations of a document, best first, as nested or dotted plain values.

    Raises ValueError where one is missing or is not what was exported. A document of the first format is taken as it
    is.
    """
    entries = document["configurations"]
    if not isinstance(entries, Sequence) or not entries or not all(_holds_config(entry) for entry in entries):
        raise ValueError("it holds no configuration")
    if "format" not in document and not any("check" in entry for entry in entries):
        return [dict(entry["config"]) for entry in entries]
    if (found := document.get("format", FORMAT)) != FORMAT:
        raise ValueError(f"its format is {found!r}, but this version of tune_mixup reads {FORMAT}")
    for entry in entries:
        _check(entry)
    in_order = sorted(entries, key=lambda entry: int(entry["rank"]))
    count = in_order[0]["of"]
    ranks = [entry["rank"] for entry in in_order]
    if ranks != list(range(1, count + 1)):
        raise ValueError(f"it holds the ranks {', '.join(str(rank) for rank in ranks)} of 1 to {count}")
    return [dict(entry["config"]) for entry in in_order]


def _holds_config(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("config"), Mapping) and bool(entry["config"])


def _check(entry: Mapping[str, Any]) -> None:
    for key in ("rank", "of", "check"):
        if key not in entry:
            raise ValueError(f"a configuration in it has lost its {key}")
    rank, of = entry["rank"], entry["of"]
    if not isinstance(rank, int) or not isinstance(of, int) or entry["check"] != _seal(rank, of, entry["config"]):
        raise ValueError(
            f"the settings of rank {rank} are not those that were exported; export them again, and change settings "
            "with --set"
        )


def _seal(rank: int, of: int, config: Mapping[str, Any]) -> str:
    text = json.dumps([rank, of, _alike(config)], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _alike(value: Any) -> Any:
    """The value with a whole number written in one way: some programs write 1.0 as 1."""
    if isinstance(value, Mapping):
        return {str(key): _alike(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [_alike(below) for below in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
