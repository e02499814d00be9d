"""Modules from outside the package: where they lie, which ones they import, and which ones a sweep's workers need.

Workers never read a user's space file. They need the modules of the parts that the settings name
(`my_package.my_module:Mine`) and what those import; installed packages they have.
"""

import ast
import contextlib
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_PART = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_][\w.]*")


def part_modules(values: object) -> Iterator[str]:
    """The dotted module of each text `module:Name` in nested plain values."""
    if isinstance(values, str):
        if match := _PART.fullmatch(values):
            yield match[1]
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from part_modules(value)
    elif isinstance(values, Sequence):
        for value in values:
            yield from part_modules(value)


def module_files(values: object) -> list[str]:
    """The modules that workers need to resolve the parts named in nested plain values: `.py` files, package folders.

    Each is an absolute path of a top-level module, such as Ray takes as `py_modules`. They are the modules of the
    parts and what those import of the modules that lie beside them or that are imported here from elsewhere, also
    inside functions. Installed packages and texts that only look like a part are left out.
    """
    needed: dict[str, Path] = {}
    for module in part_modules(values):
        name = module.partition(".")[0]
        if (path := located(name)) is not None:
            needed |= {name: path, **imports_of(path, _for_workers)}
    return sorted(str(path) for path in needed.values())


def module_folders(files: Iterable[str]) -> list[str]:
    """The folders from which Python imports the modules of `module_files`, for PYTHONPATH and `importing_from`."""
    return list(dict.fromkeys(str(Path(file).parent) for file in files))


@contextlib.contextmanager
def importing_from(folders: Iterable[str | Path]) -> Iterator[None]:
    """Let modules in the folders be imported inside the block, before others; what was imported stays imported."""
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = before


def imports_of(path: Path, find: Callable[[str, Path], Path | None]) -> dict[str, Path]:
    """The top-level modules that a module imports, and those that they import, as far as `find` finds them.

    `path` is a file or a package folder; `find` gets a name and the folder of the module that imports it. Reads the
    import statements, and so sees those inside functions, but none that are made with importlib.
    """
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        one = waiting.pop()
        for name in sorted(_import_statements(one)):
            if name not in found and (place := find(name, one.parent)) is not None:
                found[name] = place
                waiting.append(place)
    return found


def beside(name: str, folder: Path) -> Path | None:
    """The top-level module `name` in a folder: its `.py` file or its package folder. None for tune_mixup itself."""
    file, package = folder / f"{name}.py", folder / name
    if name == "tune_mixup":
        return None
    if (package / "__init__.py").is_file():
        return package
    if file.is_file():
        return file
    return package if any(package.glob("*.py")) else None


def located(name: str) -> Path | None:
    """Where a top-level module lies that is imported, or else could be; None for an installed one and for none."""
    module = sys.modules.get(name)
    path = _place(PathFinder.find_spec(name) if module is None else getattr(module, "__spec__", None))
    return None if path is None or name == "tune_mixup" or is_installed(path) else path


def found_on_path(name: str) -> Path | None:
    """Where Python would find a top-level module now, installed or not, if it were not imported yet."""
    return _place(PathFinder.find_spec(name))


def is_installed(path: Path) -> bool:
    """Whether a module is part of Python or of an installed package."""
    standard = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return any(part in ("site-packages", "dist-packages") for part in path.parts) or any(
        path.is_relative_to(folder) for folder in standard
    )


def _for_workers(name: str, folder: Path) -> Path | None:
    return located(name) if name in sys.modules else beside(name, folder)


def _place(spec: ModuleSpec | None) -> Path | None:
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).absolute()
    return Path(spec.origin).absolute() if spec.has_location and spec.origin else None


def _import_statements(path: Path) -> set[str]:
    """The top-level names that a file, or any file of a package folder, imports; relative imports left out."""
    names: set[str] = set()
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):  # it can't be imported either
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    return names
