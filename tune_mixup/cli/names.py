"""The names that a shell completes where an argument asks for a space or a sweep."""

from collections.abc import Iterator
from pathlib import Path

import typer


def space_names(incomplete: str) -> Iterator[str]:
    """The spaces that ship and begin with a text."""
    from tune_mixup.space_names import shipped_spaces

    names = (file.stem for file in sorted(shipped_spaces().glob("[!_]*.py")))
    return (name for name in names if name.startswith(incomplete))


def sweep_names(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """The sweeps under `--root` that begin with a text."""
    root = ctx.params.get("root") or Path("sweeps")
    names = (file.parent.name for file in sorted(Path(root).expanduser().glob("[!.]*/sweep.yaml")))
    return (name for name in names if name.startswith(incomplete))
