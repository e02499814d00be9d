"""Reading configurations from a file: exported ones, or the plain settings that a person wrote."""

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tune_mixup.analysis.formats import FORMATS
from tune_mixup.analysis.seal import opened
from tune_mixup.given_files import read_file
from tune_mixup.schema import flatten, nest
from tune_mixup.words import said

STDIN = Path("-")
"""Stands for what is piped in: JSON where it can be read as such, else YAML."""


def read_configurations(path: Path | str) -> list[dict[str, Any]]:
    """The configurations in an exported file, best first, or the one in a plain YAML or JSON file.

    Each is nested plain values, to be parsed by `TrialConfig`; a plain file may have nested or dotted keys. An exported
    file comes back equal, whatever it went through: raises ValueError when it can't, when the file is of another kind,
    damaged or too large, and FileNotFoundError when there is none.
    """
    path = Path(path)
    if path == STDIN:
        return _from_stdin()
    suffix = ".yaml" if path.suffix.lower() == ".yml" else path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path}: got the suffix {path.suffix!r}, must be one of {', '.join(FORMATS)}")
    try:
        content = read_file(path, most_bytes=FORMATS[suffix].most_bytes)
    except ValueError as error:
        raise _unreadable(str(path), error) from None
    return _parsed(str(path), lambda: FORMATS[suffix].read(content))


def _from_stdin() -> list[dict[str, Any]]:
    """The configurations that stdin brings, in JSON or YAML. Raises ValueError for too much of it."""
    if sys.stdin is None:
        raise ValueError("--config -: there is no stdin to read from; give a file")
    most_bytes = max(FORMATS[suffix].most_bytes for suffix in (".json", ".yaml"))
    content = sys.stdin.buffer.read(most_bytes + 1)
    return _parsed("stdin", lambda: _json_or_yaml(content))


def _json_or_yaml(content: bytes) -> Any:
    """The value of a text in JSON, else in YAML, whose flow style looks like JSON. Raises ValueError for neither."""
    as_json, as_yaml = FORMATS[".json"], FORMATS[".yaml"]
    if content.lstrip()[:1] in (b"{", b"[") and len(content) <= as_json.most_bytes:
        with contextlib.suppress(ValueError):
            return as_json.read(content)
    if len(content) > as_yaml.most_bytes:
        raise ValueError(f"it has more than {as_yaml.most_bytes:,} bytes and is no JSON")
    return as_yaml.read(content)


def _parsed(name: str, read: Callable[[], Any]) -> list[dict[str, Any]]:
    try:
        values = read()
        if isinstance(values, Mapping) and "configurations" in values:
            values = opened(values)
        elif isinstance(values, Mapping):
            values = [values]
        if not isinstance(values, list) or not values or not all(isinstance(v, Mapping) and v for v in values):
            raise ValueError("it holds no configuration")
        return [nest(flatten(value)) for value in values]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> ValueError:
    return ValueError(
        f"{name}: can't be read as configurations ({said(error)}); give a file that `tune-mixup export` "
        "wrote, or a plain YAML file of settings such as mixing.alpha: 0.4"
    )
