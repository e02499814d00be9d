"""Search spaces by name, or from a user's own Python file, which may import the modules beside it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from tune_mixup.faults import SettingsFault, describe
from tune_mixup.outside import beside, found_on_path, importing_from, imports_of, is_installed, located, part_modules
from tune_mixup.search_space import SearchSpace
from tune_mixup.space_names import is_shipped, space_file
from tune_mixup.space_names import shipped_spaces as shipped_spaces
from tune_mixup.time_limits import TookTooLong, limited
from tune_mixup.words import short

LIMIT_S, REMIND_S = 60.0, 5.0
"""How long the file may run unless TUNE_MIXUP_SPACE_SECONDS says otherwise, and when it is said that it still runs."""


def load_space(name: str | Path) -> SearchSpace:
    """The space that ships as `search_spaces/<name>.py`, or the one that a user's own `.py` file defines as SPACE.

    A user's file finds the modules beside it, and beside the package that it is part of. Those that it imports or names
    parts of stay imported in this process, so that the parts are found; nothing else stays changed. What it prints goes
    to stderr. Raises ValueError in one line when there is no such space, when its file fails, is no regular file, is
    too large or runs for too long, and when it has no SPACE. A file that ends the process by `os._exit` is not stopped.
    """
    path = space_file(name)
    folders = [] if is_shipped(path) else _folders(path)
    with _kept_if_it_fails():
        _clear_names(path, folders)
        with _restored(), importing_from(folders):
            return _run(path, folders)


def _folders(path: Path) -> list[Path]:
    """Where the modules lie that a user's file may import: beside it, and beside the package that it is part of."""
    root = path.parent
    while (root / "__init__.py").is_file() and root != root.parent:
        root = root.parent
    return list(dict.fromkeys((path.parent, root)))


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
    except SettingsFault as error:
        raise ValueError(f"{path}: {error}") from None
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
