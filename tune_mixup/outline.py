"""What settings there are, read from the source of the package without running it.

To know them otherwise, torch and Optuna must be imported, which takes seconds; a slip of the pen is refused before.
What is known here is a little more than what is allowed: all keys of all mixing methods, whichever is chosen. So
nothing that is valid is refused, and what passes is validated later.
"""

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tune_mixup.faults import near, no_such_name, no_such_setting, none_of

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Source:
    """The source of a module: a file, or those of a package."""

    name: str
    """Below `tune_mixup`: `config`, `mixing`."""

    @cached_property
    def head(self) -> list[ast.stmt]:
        """What the module says, or the package's `__init__`; nothing where no source is there."""
        return _parsed(self._files()[0])

    def rest(self) -> Iterator[ast.stmt]:
        """What the other modules of a package say."""
        return itertools.chain.from_iterable(_parsed(file) for file in self._files()[1:])

    def _files(self) -> list[Path]:
        path = PACKAGE.joinpath(*self.name.split("."))
        if not path.is_dir():
            return [path.with_name(f"{path.name}.py")]
        return [path / "__init__.py", *sorted(path.glob("[!_]*.py"))]

    @cached_property
    def imported(self) -> dict[str, "Source"]:
        """What the module imports from the package: name -> where it comes from."""
        found = [node for node in self.head if isinstance(node, ast.ImportFrom)]
        return {
            alias.asname or alias.name: Source(str(node.module).removeprefix("tune_mixup."))
            for node in found
            for alias in node.names
            if str(node.module).startswith("tune_mixup.")
        }

    def assigned(self, name: str) -> ast.expr | None:
        """What the module assigns to `name`."""
        for node in self.head:
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    return value
                case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name:
                    return value
        return None

    def fields(self, owner: str) -> dict[str, ast.expr]:
        """The fields of a class and of the classes that it is derived from: name -> annotation."""
        found: dict[str, ast.expr] = {}
        for node in self.head:
            if isinstance(node, ast.ClassDef) and node.name == owner:
                for base in (base.id for base in node.bases if isinstance(base, ast.Name)):
                    found |= self.imported[base].fields(base) if base in self.imported else self.fields(base)
                found |= dict(_annotated(node))
        return found

    def all_fields(self) -> set[str]:
        """The fields of all classes."""
        classes = (node for node in [*self.head, *self.rest()] if isinstance(node, ast.ClassDef))
        return {"name"} | {name for one in classes for name, _ in _annotated(one)}

    def registry(self, name: str) -> list[str]:
        """The keys of a registry, and of those that it takes in."""
        value = self.assigned(name)
        if not isinstance(value, ast.Dict):
            return []
        keys: list[str] = []
        for key, below in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant):
                keys.append(str(key.value))
            elif key is None and isinstance(below, ast.Name):
                keys += self.imported.get(below.id, self).registry(below.id)
        return keys


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ValueError in one line for nested settings whose key, name or choice is a slip of the pen for another.

    `sweep` holds what is said of a sweep, the rest is of its trials. Parts from outside of the package, and sections
    below theirs, are not looked at.
    """
    given = dict(settings)
    of_sweep = given.pop("sweep", {})
    if isinstance(of_sweep, Mapping):
        old = Source("sweep_parts").registry("FLAT")  # what these are called now is said later
        _check(of_sweep, "sweep.", Source("sweep_config"), "SweepConfig", also=("scheduler", "max_epochs", *old))
    _check(given, "", Source("config"), "TrialConfig", also=("sweep",))


def check_metric(name: str) -> None:
    """Raise ValueError in one line for a slip of the pen in the name of what a sweep is ranked by."""
    known = [f"val_{one}{ending}" for one in Source("metrics").registry("METRICS") for ending in ("", "_median")]
    if name not in known and near(name, known) is not None:
        raise ValueError(no_such_name("--metric", name, known))


def check_mixers(names: Sequence[str]) -> None:
    """Raise ValueError in one line for a name that no mixing method has."""
    known = Source("mixing").registry("MIXERS")
    for name in names:
        if known and name not in known:
            raise ValueError(no_such_name("--mixers", name, known))


def _check(settings: Mapping[str, Any], prefix: str, source: Source, owner: str, *, also: tuple[str, ...] = ()) -> None:
    fields = source.fields(owner) if settings else {}
    for key, value in settings.items():
        whole = f"{prefix}{key}"
        match fields.get(key):
            case None if fields and key not in also and near(key, [*fields, *also]) is not None:
                raise ValueError(no_such_setting(whole, value, [*fields, *also]))
            case ast.Name(id=kind) if kind in (imported := _imported(source, owner)):
                _check_part(value, f"{whole}.", imported[kind], kind)
            case ast.Name(id=kind) if isinstance(value, Mapping):
                _check(value, f"{whole}.", source, kind)
            case ast.Subscript(value=ast.Name(id="Literal"), slice=slice_) if isinstance(value, str):
                choices = [str(each.value) for each in ast.walk(slice_) if isinstance(each, ast.Constant)]
                if value not in choices:
                    raise ValueError(none_of(whole, value, choices))


def _imported(source: Source, owner: str) -> dict[str, Source]:
    """What the annotations of a class may name: what its module imports, and those of its bases."""
    found = dict(source.imported)
    for node in source.head:
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for base in (base.id for base in node.bases if isinstance(base, ast.Name) and base.id in found):
                found |= _imported(found[base], base)
    return found


def _check_part(value: Any, prefix: str, source: Source, kind: str) -> None:
    """The same for the settings of one of several parts, or its name alone, which must be one that there is.

    What is known of names with a dot, and of well-known ones that are left out, is said later.
    """
    match source.assigned(kind):
        case ast.Subscript(slice=ast.Tuple(elts=[_, ast.Call(args=[ast.Name(id=registry), *_])])):
            names = source.registry(registry)
        case None if isinstance(value, Mapping):  # one section of settings, of which there is no other
            return _check(value, prefix, source, kind)
        case _:
            return
    settings = {"name": value} if isinstance(value, str) else value
    if not isinstance(settings, Mapping):
        return
    name = settings.get("name")
    if isinstance(name, str) and ":" in name:
        return
    if isinstance(name, str) and "." not in name and names and name not in [*names, *source.registry("WHY_NOT")]:
        raise ValueError(no_such_name(f"{prefix}name", name, names))
    known = sorted(source.all_fields())
    for key in settings:
        if key not in known and near(key, known) is not None:
            raise ValueError(no_such_setting(f"{prefix}{key}", settings[key], known))


def _annotated(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """The fields that a class declares itself."""
    for line in node.body:
        match line:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if not name.startswith("_"):
                if not ast.unparse(annotation).startswith("ClassVar"):
                    yield name, annotation


def _parsed(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_bytes()).body if file.is_file() else []
