"""Rewrites the imports of Python files by `renames.json`: old module and class names become today's.

    python .ci/rewrite_names.py FILE...

`modules` maps a module to its successor, `names` single names of a module that went elsewhere ("module:name"), `words`
is a list of further replacements, regular expression -> text, for what is no import. Files are changed in place.
"""

import ast
import json
import re
import sys
from pathlib import Path

MAP = json.loads(Path(__file__).with_name("renames.json").read_text())


def rewrite(text: str) -> str:
    """The text of a module with today's names."""
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    renamed: dict[str, str] = {}
    for node in sorted(ast.walk(tree), key=lambda node: -getattr(node, "lineno", 0)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            made = _import(node, renamed)
            if made is not None:
                indent = " " * node.col_offset
                new = "".join(f"{indent}{line}\n" for line in made)
                lines[node.lineno - 1 : node.end_lineno] = [new]
    text = "".join(lines)
    for old, new in MAP["names"].items():  # "module.name" in a string, as monkeypatch has it
        text = re.sub(rf"\b{re.escape(old.replace(':', '.'))}\b", new.replace(":", "."), text)
    today = {*MAP["modules"].values(), *(new.partition(":")[0] for new in MAP["names"].values())}
    for old in sorted(MAP["modules"], key=len, reverse=True):
        below = [name.removeprefix(old) for name in today if name.startswith(f"{old}.")]
        not_today = "".join(rf"(?!{re.escape(part)}\b)" for part in below)
        text = re.sub(rf"(?<![\w.]){re.escape(old)}(?=[\"'.:\s)]|$){not_today}", MAP["modules"][old], text)
    for old, new in renamed.items():
        text = re.sub(rf"(?<![\w.\"']){old}\b(?!\s*=[^=])", new, text)
    for pattern, new in MAP["words"].items():
        text = re.sub(pattern, new, text)
    return text


def _import(node: ast.ImportFrom, renamed: dict[str, str]) -> list[str] | None:
    """The lines that import the same under today's names; None where nothing changes."""
    targets: dict[str, list[str]] = {}
    for alias in node.names:
        full = f"{node.module}:{alias.name}"
        submodule = f"{node.module}.{alias.name}"
        as_ = f" as {alias.asname}" if alias.asname else ""
        if full in MAP["names"]:
            module, name = MAP["names"][full].split(":")
            if name != alias.name and not alias.asname:
                renamed[alias.name] = name
            targets.setdefault(module, []).append(name + as_)
        elif submodule in MAP["modules"]:
            module, _, name = MAP["modules"][submodule].rpartition(".")
            if name != alias.name and not as_:
                as_ = f" as {alias.name}"
            targets.setdefault(module, []).append(name + as_)
        else:
            module = MAP["modules"].get(str(node.module), str(node.module))
            targets.setdefault(module, []).append(alias.name + as_)
    same = [alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in node.names]
    if targets == {node.module: same}:
        return None
    return [f"from {module} import {', '.join(names)}" for module, names in targets.items()]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(rewrite(path.read_text()))
