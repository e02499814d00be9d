"""Options that several verbs share, and how their texts become values."""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from tune_mixup.cli.names import space_names, sweep_names
from tune_mixup.faults import cut, shown
from tune_mixup.options import Flag, said
from tune_mixup.record.names import check_sweep_there, is_sweep, named

Space = Annotated[
    str,
    typer.Argument(
        help="A space that ships (quickstart, mixup, ...) or the path of a .py file.", autocompletion=space_names
    ),
]
Name = Annotated[
    str, typer.Argument(help="Name of the sweep under --root, or the path of its folder.", autocompletion=sweep_names)
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Fix a setting by its dotted key: mixing.alpha=0.4. Repeatable."),
]
DataRoot = Annotated[
    str | None, typer.Option(metavar="DIR", help="Where data sets live; else TUNE_MIXUP_DATA, else ~/data.")
]
Root = Annotated[Path, typer.Option(parser=named, metavar="DIR", help="Where sweeps live.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Base of all random numbers. Default: 0.")]
Address = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="An existing Ray cluster (auto, or HOST:PORT). Default: a local one."),
]
FromSpace = Annotated[
    str | None,
    typer.Option(
        "--space", metavar="SPACE", help="A search space; takes its first baseline.", autocompletion=space_names
    ),
]
FromFile = Annotated[
    Path | None,
    typer.Option("--config", parser=named, metavar="FILE", help="An exported file, or plain settings; - is stdin."),
]
Rank = Annotated[int | None, typer.Option("--rank", metavar="N", help="Which of an exported file's. Default: 1.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SWEEP",
        help="Begin with what another sweep has learnt: its name or folder.",
        autocompletion=sweep_names,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]

SETTING_FLAGS = {"data.root": "--data-root", "seed": "--seed", "data.name": "--data"}
"""Settings of a trial that have an option of their own in some verb."""


def parse_settings(
    assignments: Sequence[str] | None,
    data_root: str | None = None,
    *,
    seed: int | None = None,
    data: str | None = None,
) -> dict[str, Any]:
    """The settings of `--set` by dotted key, and those of the other options that verbs have for a trial's settings.

    Values are YAML (1.2 core schema) scalars, lists or mappings. Raises ValueError for an assignment without `=` or
    key, for a value that is no YAML or that no record can hold, for a key that is set twice, and for one that an option
    sets too.
    """
    from tune_mixup.plain_values import plain_by_key
    from tune_mixup.reading import parse_yaml
    from tune_mixup.schema import flatten

    given = {"data.root": data_root, "seed": seed, "data.name": data}
    if data_root is not None:
        given["data.root"] = str(_root(data_root))
    settings: dict[str, Any] = {}
    keys: set[str] = set()
    for assignment in assignments or ():
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ValueError(f"--set: got {shown(assignment)}, must be KEY=VALUE, such as mixing.alpha=0.4")
        try:
            value = parse_yaml(text)
            values = flatten({key: value})
        except ValueError as error:
            raise ValueError(
                f"--set {cut(key)}: got {shown(text)}, which is no YAML value ({error}); put it in quotes"
            ) from None
        if twice := next((one for one in (key, *values) if one in keys), None):
            raise ValueError(f"--set {cut(twice)} is given twice; keep one of the two")
        keys |= {key, *values}
        settings |= values
    for key in said(given):
        if key in settings:
            raise ValueError(f"{SETTING_FLAGS[key]} and --set {key} are the same setting; give one of the two")
    return plain_by_key({**said(given), **settings})


def _root(text: str) -> Path:
    try:
        return named(text)
    except ValueError as error:
        raise ValueError(f"--data-root: {error}") from None


def taking(declared: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a verb the flags that `declared`, a typed dict of `tune_mixup.options`, declares.

    They stand in place of the verb's parameter `options`, which gets what was given on the command line: option ->
    value as Python takes it. Raises ValueError that names the flag for a text that is no such value.
    """
    flags = dict(_flags(declared))

    def with_flags(verb: Callable[..., None]) -> Callable[..., None]:
        own = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in signature(verb).parameters.values()]
        parameters = [
            *(one for one in own if one.default is Parameter.empty and one.name != "options"),
            *(
                Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
                for key, (_, kind) in flags.items()
            ),
            *(one for one in own if one.default is not Parameter.empty),
        ]

        @wraps(verb)
        def run(**given: Any) -> None:
            options = said({key: given.pop(key) for key in flags})
            for key, text in options.items():
                flag, _ = flags[key]
                options[key] = text if flag.read is None else flag.read(text, _spelled(key, flag))
            verb(options=options, **given)

        run.__dict__["__signature__"] = Signature(parameters)  # what typer makes its parser from
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return with_flags


def _flags(declared: type) -> Iterator[tuple[str, tuple[Flag, Any]]]:
    """Option -> its flag and what typer makes of it; texts that the flag reads come as they are."""
    for key, hint in get_type_hints(declared, include_extras=True).items():
        for flag in getattr(hint, "__metadata__", ()):
            kind: Any = str if flag.read is not None else hint.__origin__
            option = typer.Option(_spelled(key, flag), metavar=flag.metavar, help=flag.help, min=flag.least)
            yield key, (flag, Annotated[kind | None, option])


def _spelled(key: str, flag: Flag) -> str:
    return f"--{flag.name or key.replace('_', '-')}"


def sweep_path(name: str, root: Path) -> Path:
    """The folder of a sweep given by its name under `root`, or by a path (with a separator, or to a sweep's folder).

    Raises ValueError for an empty name, and where there is no sweep.
    """
    path = named(name)
    is_path = len(path.parts) > 1 or path.is_absolute() or name in (".", "..")
    if not is_path and ((root / name).exists() or not is_sweep(path)):
        path = root.expanduser() / name
    check_sweep_there(path)
    return path
