"""The names that a shell completes where an argument asks for a space or a sweep."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer


def space_names(incomplete: str) -> Iterator[str]:
    """The spaces that ship and begin with a text."""
    from tune_mixup.space_names import shipped_spaces

    names = (file.stem for file in sorted(shipped_spaces().glob("[!_]*.py")))
    return (name for name in names if name.startswith(incomplete))


def sweep_names(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """The sweeps under `--root`, or what stands for it elsewhere, that begin with a text."""
    names = (file.parent.name for file in sorted(_root(ctx).expanduser().glob("[!.]*/sweep.yaml")))
    return (name for name in names if name.startswith(incomplete))


def _root(ctx: typer.Context) -> Path:
    """Where sweeps live; nothing is wrong with a command that is not finished, so faults elsewhere are not told."""
    from tune_mixup.cli.defaults import given_defaults

    source = ctx.get_parameter_source("root")
    if source is not None and source.name == "COMMANDLINE":
        return Path(ctx.params["root"])
    with contextlib.suppress(ValueError, OSError):
        if (default := given_defaults().get("root")) is not None:
            return Path(default.text)
    return Path("sweeps")
