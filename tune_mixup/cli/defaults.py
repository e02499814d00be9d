"""What is said once for all commands: defaults of options, from `TUNE_MIXUP_*` variables and an options file.

The command line wins over the environment, that over the file, and that over what a space and the program assume. The
file is `tune_mixup.toml` in the current folder, or `[tool.tune_mixup]` in the `pyproject.toml` there. An option that
says what a sweep is (its name, its space) comes from neither, nor does what has been promised to a sweep change by
them: `resume` takes the folder and the cluster from there, and no more.
"""

import contextlib
import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tune_mixup.faults import shown
from tune_mixup.given_files import read_file, text_of
from tune_mixup.options import Flag, Options

FILE, TABLE_FILE = "tune_mixup.toml", "pyproject.toml"
PREFIX = "TUNE_MIXUP_"
MOST_BYTES = 1_000_000
PLACES = ("root", "address", "data-root")
"""Options that all verbs take from here which have them."""
OTHER_VARIABLES = ("DATA", "TRACEBACK", "SPACE_SECONDS", "PRIVATE_RAY", "LOGICAL_GPUS")
"""Variables with our prefix that are no options."""
PLANNING = ("sweep", "check")
"""The verbs that take the options of a sweep from here."""
_SETTINGS = {
    "max-epochs": ("training.epochs", "sweep.max_epochs"),
    "seed": ("seed", "sweep.seed"),
    "scheduler": ("sweep.scheduler", "sweep.stopping", "sweep.stopping.name"),
    "sampler": ("sweep.sampler", "sweep.sampler.name"),
    "data-root": ("data.root",),
}
"""Option -> the settings that say the same, where they are not called like it."""


@dataclass(frozen=True)
class Default:
    """A default that somebody has given."""

    option: str
    """Without the two hyphens in front."""
    parameter: str
    """The verb's parameter."""
    text: str
    """As it would stand on the command line."""
    source: str
    """The file, or the variable."""

    def words(self) -> str:
        """What it says, and where."""
        return f"--{self.option} {self.text} (from {self.source})"


def given_defaults() -> dict[str, Default]:
    """Option -> its default, by file and environment.

    Raises ValueError that names the source for an option that there is not, a value that is no text, number or truth,
    and for two files; OSError for a file that can't be read.
    """
    parameters = {**{place: place.replace("-", "_") for place in PLACES}, **dict(_options())}
    found = {
        option: Default(option, parameters[option], text, source)
        for option, text, source in (*_of_file(parameters), *_of_environment(parameters))
    }
    if "DATA" in {name.removeprefix(PREFIX) for name in os.environ}:
        found.pop("data-root", None)  # a variable of its own has always said it, and wins over the file
    return found


def in_force(given: Mapping[str, Default], verb: str, arguments: Sequence[str]) -> dict[str, Default]:
    """Those of `given` that the verb takes, and that no option and no `--set` of the command line says otherwise."""
    said = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    settings = set(_set_keys(arguments))
    return {
        option: default
        for option, default in given.items()
        if (option in PLACES or verb in PLANNING)
        and f"--{option}" not in said
        and settings.isdisjoint(_settings(default))
    }


def told_of(text: str, defaults: Mapping[str, Default]) -> str:
    """The defaults that a message is about, with their sources; empty where it is about none.

    It begins with what it is about, or names the place that a default gives, or something in there.
    """
    return ", ".join(default.words() for default in defaults.values() if _is_about(text, default))


def _is_about(text: str, default: Default) -> bool:
    names = {f"--{default.option}", default.parameter, *_settings(default)}
    if any(re.match(rf"{re.escape(name)}(?![\w-])", text) for name in names):
        return True
    places = {default.text, str(Path(default.text).expanduser().resolve())} - {"."}
    return default.option in PLACES and any(
        re.search(rf"(?<![\w/.~-]){re.escape(place)}(?![\w-])", text) for place in places
    )


def _settings(default: Default) -> tuple[str, ...]:
    return _SETTINGS.get(default.option, (f"sweep.{default.parameter}",))


def _options() -> Iterator[tuple[str, str]]:
    """The options of a sweep, but for its name -> their parameters."""
    for key, hint in get_type_hints(Options, include_extras=True).items():
        for flag in getattr(hint, "__metadata__", ()):
            if isinstance(flag, Flag) and key != "name":
                yield flag.name or key.replace("_", "-"), key


def _of_file(parameters: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    own = _table(Path(FILE))
    shared = _section(_section(_table(Path(TABLE_FILE)), "tool"), "tool.tune_mixup")
    if own is not None and shared is not None:
        raise ValueError(f"{FILE} and [tool.tune_mixup] of {TABLE_FILE} both give options; keep one of the two")
    source = FILE if own is not None else f"[tool.tune_mixup] of {TABLE_FILE}"
    for key, value in (own or shared or {}).items():
        if key not in parameters:
            raise ValueError(f"{source}: there is no option {key!r} to give there{_meant(key, list(parameters))}")
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            raise ValueError(f"{source}: {key}: got {str(value)[:80]!r}, must be a text or a number")
        yield key, str(value), source


def _of_environment(parameters: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, text in sorted(os.environ.items()):
        key = name.removeprefix(PREFIX).lower().replace("_", "-")
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in OTHER_VARIABLES or not text:
            continue
        if key == "data-root":
            raise ValueError(f"{name}: there is no such variable; {PREFIX}DATA says where data sets live")
        if key not in parameters:
            names = [f"{PREFIX}{one.upper().replace('-', '_')}" for one in parameters if one != "data-root"]
            raise ValueError(f"{name}: there is no such variable{_meant(name, [*names, PREFIX + 'DATA'])}")
        yield key, text, name


def _table(path: Path) -> dict[str, Any] | None:
    """The content of a TOML file; None where there is none. Raises ValueError that names it."""
    try:
        return tomllib.loads(text_of(read_file(path, most_bytes=MOST_BYTES)))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: can't be read as TOML ({error}); mend it") from None


def _section(table: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    """The section of `pyproject.toml` called `name` in the table above it; None where there is none."""
    found = None if table is None else table.get(name.rpartition(".")[2])
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{TABLE_FILE}: {name}: got {shown(found)}, must be a section; write [{name}] above its keys")
    return found


def _set_keys(arguments: Sequence[str]) -> Iterator[str]:
    """The dotted keys that `--set` gives, those of a mapping one by one; what can't be read is refused later."""
    from tune_mixup.reading import parse_yaml
    from tune_mixup.schema import flatten

    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "--set" or word.startswith("--set="):
            assignment = following if word == "--set" else word.removeprefix("--set=")
            key, _, text = assignment.partition("=")
            with contextlib.suppress(ValueError):
                yield from flatten({key.strip(): parse_yaml(text)})


def _meant(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(known)}"
