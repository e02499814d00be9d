"""The one reader and writer of YAML (version 1.2, core schema)."""

import re
from collections.abc import Callable
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads 1.2 scalars; PyYAML's own rules are those of version 1.1."""

    yaml_implicit_resolvers = {}


class _Dumper(yaml.SafeDumper):
    """Quotes what either version would take for something else than a text."""


_SCALARS: tuple[tuple[str, list[str], str, Callable[[str], Any]], ...] = (
    ("null", [*"~nN", ""], r"~|null|Null|NULL|", lambda text: None),
    ("bool", [*"tTfF"], r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    ("int", [*"-+0123456789"], r"[-+]?[0-9]+", int),
    (
        "float",
        [*"-+.0123456789"],
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        lambda text: float(re.sub(r"\.(?=[iInN])", "", text)),
    ),
)


def _constructor(read: Callable[[str], Any]) -> Callable[[yaml.SafeLoader, yaml.ScalarNode], Any]:
    return lambda loader, node: read(loader.construct_scalar(node))


for _name, _starts, _pattern, _read in _SCALARS:
    _tag, _regexp = f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})\\Z")
    _Loader.add_implicit_resolver(_tag, _regexp, _starts)
    _Dumper.add_implicit_resolver(_tag, _regexp, _starts)
    _Loader.add_constructor(_tag, _constructor(_read))


def parse_yaml(text: str) -> Any:
    """The value of a YAML text (1.2 core schema, no tags). Raises ValueError in one line."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def dump_yaml(values: Any) -> str:
    """The YAML text of plain values, which any version of YAML reads back as they are."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False)
    return text
