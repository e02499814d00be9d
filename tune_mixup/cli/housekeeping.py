"""`delete`, `rename` and `copy`: what becomes of a whole sweep; each asks first, and none is done while one runs."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tune_mixup.cli.options import Json, Name, Root, sweep_path
from tune_mixup.record.names import check_name, command_for
from tune_mixup.record.sizes import in_words, size_of

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
To = Annotated[str, typer.Argument(help="The other name, in the same folder.")]


def delete(name: Name, yes: Yes = False, root: Root = Path("sweeps"), as_json: Json = False) -> None:
    """Delete a sweep with its trials, checkpoints and evaluations. There is no way back."""
    path, what = _found(name, root)
    _ask(f"Delete {what}", yes, done="deleted")

    from tune_mixup.record.moving import delete_sweep

    delete_sweep(path)
    print(json.dumps({"deleted": str(path)}) if as_json else f"deleted {path}")


def rename(name: Name, to: To, yes: Yes = False, root: Root = Path("sweeps"), as_json: Json = False) -> None:
    """Give a sweep another name."""
    path, what = _found(name, root)
    _check_free(path.parent, to)
    _ask(f"Rename {what} to {to}", yes, done="renamed")

    from tune_mixup.record.moving import rename_sweep

    target = rename_sweep(path, to)
    print(json.dumps({"renamed": str(path), "to": str(target)}) if as_json else f"{path} is {target} now")


def copy(name: Name, to: To, yes: Yes = False, root: Root = Path("sweeps"), as_json: Json = False) -> None:
    """Copy a sweep with all its files; the two then go on without each other."""
    path, what = _found(name, root)
    _check_free(path.parent, to)
    _ask(f"Copy {what} to {to}", yes, done="copied")

    from tune_mixup.record.moving import copy_sweep

    target = copy_sweep(path, path.parent, to)
    next_ = command_for("resume", target)
    said = json.dumps({"copied": str(path), "to": str(target)})
    print(said if as_json else f"{target} has all that {path} has; it goes on with `{next_}`")


def _found(name: str, root: Path) -> tuple[Path, str]:
    """The sweep's folder as it was named, and what to say of it before it is touched. Raises ValueError for none."""
    path = sweep_path(name, root).absolute()

    from tune_mixup.record.sweep_record import SweepRecord

    folder = SweepRecord.open(path).folder
    openings = len(folder.openings())
    times = f", which has opened the test split for {openings} settings" if openings else ""
    return path, f"the sweep {folder.name} ({in_words(size_of(folder.path))} in {folder.path}){times}"


def _check_free(root: Path, name: str) -> None:
    """Raise ValueError for what can't be a sweep's name, and for one that is taken."""
    from tune_mixup.record.folder import SweepFolder

    check_name(name)
    SweepFolder.check_free(root, name)


def _ask(question: str, yes: bool, *, done: str) -> None:
    """Raise ValueError where nobody can be asked, and RuntimeError where the answer is no."""
    if yes:
        return
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise ValueError(f"there is no terminal to ask in before this is {done}; give --yes to do it without asking")
    print(f"{question}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RuntimeError(f"nothing was {done}")
