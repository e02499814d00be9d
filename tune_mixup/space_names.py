"""Which file a search space lies in, found by name or path without running it: a wrong name is refused at once."""

from pathlib import Path

from tune_mixup.faults import cut, shown, suggest
from tune_mixup.given_files import read_file

PATH = 500
"""Characters of a path that are shown: no path that anyone types has more."""
MOST_BYTES = 1_000_000
"""How large a file of a space may be."""


def space_file(name: str | Path) -> Path:
    """The file of the space that ships as `name`, or the absolute path of a user's own `.py` file.

    Raises ValueError in one line where there is none, and for what can't be read as a file of Python.
    """
    if Path(name).suffix == ".py":
        return _own_file(Path(name))
    shipped = shipped_spaces()
    known = sorted(file.stem for file in shipped.glob("*.py") if file.stem != "__init__")
    if str(name) in known:
        return shipped / f"{name}.py"
    if not str(name).strip():
        raise ValueError(f"got {shown(str(name))}, must be the name of a search space, or the path of a .py file")
    if len(str(name)) < 1000 and Path(f"{name}.py").is_file():
        raise ValueError(f"there is no search space {shown(str(name))}; did you mean {name}.py?")
    raise ValueError(
        f"there is no search space {shown(str(name))}{suggest(str(name), known)}"
        " (your own is given by the path of its .py file)"
    )


def is_shipped(file: Path) -> bool:
    """Whether a space's file is one of ours."""
    return file.parent == shipped_spaces()


def shipped_spaces() -> Path:
    """The folder of the spaces that ship: inside the installed package, in a checkout beside it."""
    package = Path(__file__).absolute().parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def _own_file(name: Path) -> Path:
    """The absolute path of a user's file. Raises ValueError for what can't be read as a file of Python."""
    try:
        path = name.expanduser().absolute()
        read_file(path, most_bytes=MOST_BYTES)
    except FileNotFoundError:
        raise ValueError(
            f"there is no file {cut(str(name), PATH)}; give the path of a .py file that defines SPACE"
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ValueError(
            f"{cut(str(name), PATH)} can't be read ({why}); give the path of a .py file that defines SPACE"
        ) from None
    return path
