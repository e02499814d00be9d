"""Nobody else's private API is used outside the five files that hold it, and the documentation lists them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOMES = {
    "tune_mixup/pydantic_internals.py",
    "tune_mixup/optuna_internals.py",
    "tune_mixup/torch_internals.py",
    "tune_mixup/cluster/ray_internals.py",
    "tune_mixup/cli/typer_internals.py",
}
DOCUMENTED = {"_asdict", "_replace", "_fields", "_make", "_exit"}
"""Names that begin with an underscore and are documented: those of named tuples, and os._exit."""


def is_private(name):
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def defined(tree):
    """The private names that a module defines: functions, classes, variables, and attributes of self and cls."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name


def used(tree):
    """Private attributes of other objects, private modules, and keywords, each with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if is_private(name) or name.startswith("__pydantic"):
                yield name, node.lineno
            case ast.ImportFrom(module=str(module), names=names) if not module.startswith("tune_mixup"):
                for part in (*module.split("."), *(alias.name for alias in names)):
                    if is_private(part):
                        yield part, node.lineno
            case ast.Import(names=names):
                for part in (part for alias in names for part in alias.name.split(".")):
                    if is_private(part):
                        yield part, node.lineno
            case ast.keyword(arg=str(name)) if is_private(name):
                yield name, node.value.lineno


def foreign(sources):
    """`path:line: name` for each private name in `sources` (path -> text) that none of them defines."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    own = {name for tree in trees.values() for name in defined(tree)} | DOCUMENTED
    return [
        f"{path}:{line}: {name}" for path, tree in trees.items() for name, line in used(tree) if name not in own
    ]  # fmt: skip


def package():
    files = [file for room in ("tune_mixup", "search_spaces") for file in sorted((ROOT / room).rglob("*.py"))]
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def test_private_api_is_used_in_its_five_files_only():
    found = [line for line in foreign(package()) if line.partition(":")[0] not in HOMES]
    assert not found, f"move this into the library's *_internals.py and give it a contract test: {found}"


def test_each_of_the_five_files_has_some():
    assert {line.partition(":")[0] for line in foreign(package())} == HOMES


@pytest.mark.parametrize(
    "text",
    ["study._storage", "from optuna.storages.journal._storage import X", "import torch._dynamo", "init(_temp_dir=1)",
     "torch._foreach_mul_(x, 2)", "model.__pydantic_private__", "from ray import _private"],
)  # fmt: skip
def test_private_api_is_found(text):
    assert len(foreign({"a.py": text})) == 1


@pytest.mark.parametrize("text", ["self._x", "def _f(): 0\nobject._f()", "pair._asdict()", "x.__dict__", "os._exit(1)"])
def test_private_names_of_our_own_are_not(text):
    assert foreign({"a.py": text}) == []


def test_the_documentation_lists_every_private_name():
    section = (ROOT / "docs" / "design.md").read_text().split("## Private API that we use")[1].split("\n## ")[0]
    names = {line.rpartition(" ")[2] for line in foreign(package())}
    missing = {name for name in names if not re.search(rf"\b{re.escape(name.rstrip('_'))}", section)}
    assert not missing, f"docs/design.md does not list {sorted(missing)}"
    for home in HOMES:
        assert f"`{home}`" in section, f"docs/design.md does not name {home}"
    for named in re.findall(r"`(tests/[\w/]+\.py)`", section):
        assert (ROOT / named).is_file(), f"docs/design.md names {named}, which is not there"
