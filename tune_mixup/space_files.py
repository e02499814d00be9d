"""Search spaces by name, or from a user's own Python file, which may import the modules beside it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from tune_mixup.given_files import read_file
from tune_mixup.outside import beside, found_on_path, importing_from, imports_of, is_installed, located, part_modules
from tune_mixup.faults import describe
from tune_mixup.schema import suggest
from tune_mixup.search_space import SearchSpace
from tune_mixup.time_limits import TookTooLong, limited
from tune_mixup.words import short

MOST_BYTES = 1_000_000
"""How large a file of a space may be."""
LIMIT_S, REMIND_S = 60.0, 5.0
"""How long the file may run unless TUNE_MIXUP_SPACE_SECONDS says otherwise, and when it is said that it still runs."""


def load_space(name: str | Path) -> SearchSpace:
    """The space that ships as `search_spaces/<name>.py`, or the one that a user's own `.py` file defines as SPACE.

    A user's file finds the modules beside it, and beside the package that it is part of. Those that it imports or names
    parts of stay imported in this process, so that the parts are found; nothing else stays changed. What it prints goes
    to stderr. Raises ValueError in one line when there is no such space, when its file fails, is no regular file, is
    too large or runs for too long, and when it has no SPACE. A file that ends the process by `os._exit` is not stopped.
    """
    path = Path(name)
    if path.suffix == ".py":
        path = _own_file(path)
        folders = _folders(path)
    else:
        shipped = shipped_spaces()
        known = sorted(file.stem for file in shipped.glob("*.py") if file.stem != "__init__")
        if str(name) not in known:
            raise ValueError(
                f"there is no search space {str(name)!r}{suggest(str(name), known)}, or give a path to a .py"
            )
        path, folders = shipped / f"{name}.py", []
    with _kept_if_it_fails():
        _clear_names(path, folders)
        with _restored(), importing_from(folders):
            return _run(path, folders)


def shipped_spaces() -> Path:
    """The folder of the spaces that ship: inside the installed package, in a checkout beside it."""
    package = Path(__file__).absolute().parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def _folders(path: Path) -> list[Path]:
    """Where the modules lie that a user's file may import: beside it, and beside the package that it is part of."""
    root = path.parent
    while (root / "__init__.py").is_file() and root != root.parent:
        root = root.parent
    return list(dict.fromkeys((path.parent, root)))


def _own_file(name: Path) -> Path:
    """The absolute path of a user's file. Raises ValueError for what can't be read as a file of Python."""
    try:
        path = name.expanduser().absolute()
        read_file(path, most_bytes=MOST_BYTES)
    except FileNotFoundError:
        raise ValueError(f"there is no file {name}; give the path of a .py file that defines SPACE") from None
    except (OSError, ValueError, RuntimeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ValueError(f"{name} can't be read ({why}); give the path of a .py file that defines SPACE") from None
    return path


def _limit_s() -> float:
    text = os.environ.get("TUNE_MIXUP_SPACE_SECONDS") or str(LIMIT_S)
    try:
        limit_s = float(text)
    except ValueError:
        limit_s = 0
    if not 0 < limit_s < 1e8:
        raise ValueError(f"TUNE_MIXUP_SPACE_SECONDS: got {text!r}, must be a number of seconds above zero")
    return limit_s


def _run(path: Path, folders: list[Path]) -> SearchSpace:
    """Run the file as a module, which has to be known by its name meanwhile: dataclasses look it up."""
    module = ModuleType(f"search_space_{path.stem}")
    module.__file__ = str(path)
    module.__package__ = ".".join(path.parent.relative_to(folders[-1]).parts) if folders else ""
    outer = sys.modules.get(module.__name__)  # a file that builds on a space may have its name
    sys.modules[module.__name__] = module
    limit_s = _limit_s()
    try:
        with contextlib.redirect_stdout(sys.stderr), limited(limit_s, remind_s=REMIND_S, remind=lambda: _remind(path)):
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
            space = getattr(module, "SPACE", None)
            if isinstance(space, SearchSpace):
                for part in part_modules(space.model_dump(mode="json")):
                    if any(beside(part.partition(".")[0], folder) for folder in folders):
                        import_module(part)
    except TookTooLong:
        raise ValueError(
            f"{path} still runs after {limit_s:g} s; let it do nothing but define SPACE, or give it more time with "
            "TUNE_MIXUP_SPACE_SECONDS"
        ) from None
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error)}") from None
    except SystemExit:
        raise ValueError(f"{path} ends the program when imported; let it do nothing but define SPACE") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(f"{path} fails when imported: {short(error)}; {_advice(error)}") from None
    finally:
        del sys.modules[module.__name__]
        if outer is not None:
            sys.modules[module.__name__] = outer
    if not isinstance(space, SearchSpace):
        raise ValueError(f"{path} must define SPACE = SearchSpace(...), got {type(space).__name__}")
    return space


def _remind(path: Path) -> None:
    if sys.stderr is not None:
        print(f"tune-mixup: {path} still runs after {REMIND_S:g} s", file=sys.stderr, flush=True)


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "search_spaces":
        return "get a space that ships with `from tune_mixup import load_space` and load_space('mixup')"
    return "mend the file"


def _clear_names(path: Path, folders: list[Path]) -> None:
    """Make way for the modules beside a space: forget those of the same name that lay beside another space.

    Raises ValueError for a module whose name Python, an installed package or the running program uses for another: only
    one of the two can be imported.
    """

    def find(name: str, _: Path) -> Path | None:
        return next(filter(None, (beside(name, folder) for folder in folders)), None)

    package = path.parent.relative_to(folders[-1]).parts[:1] if folders else ()
    own = {name: folders[-1] / name for name in package}
    for name, file in {**own, **imports_of(path, find)}.items():
        there = found_on_path(name)
        if name in sys.stdlib_module_names or (there is not None and is_installed(there)):
            raise ValueError(f"{path} imports {file}, which has the name of an installed module; rename it")
        loaded = located(name) if name in sys.modules else None
        if loaded is None or loaded == file:
            continue
        if loaded == there:
            raise ValueError(f"{path} imports {file}, but this program has imported {loaded} as {name}; rename one")
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            del sys.modules[module]


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Give the environment back as it was, and write no byte code: who looks at a space leaves nothing beside it."""
    environment, silent = dict(os.environ), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = silent
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)


@contextlib.contextmanager
def _kept_if_it_fails() -> Iterator[None]:
    """Forget what a block that fails has imported from outside the installed packages, so that it is read again."""
    before = dict(sys.modules)
    try:
        yield
    except BaseException:
        for name in [name for name in sys.modules if name not in before]:
            if located(name.partition(".")[0]) is not None:
                del sys.modules[name]
        sys.modules.update({name: module for name, module in before.items() if name not in sys.modules})
        raise
