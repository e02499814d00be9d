"""Which tests of a former commit stand here unchanged, once `renames.json` has been applied to them.

    git archive e112516 tests | tar x -C FOLDER
    python .ci/rewrite_names.py $(find FOLDER -name '*.py')
    python .ci/compare_tests.py FOLDER

Functions are compared as syntax trees, so layout and comments do not count.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path


def tests(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Name of a test -> the files that hold one of that name, each with its syntax tree."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file in sorted(root.rglob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                found[node.name].append((str(file.relative_to(root)), ast.dump(node)))
    return found


def main(folder: str) -> None:
    """Print how many are the same, and the names of the others."""
    before, today = tests(Path(folder)), tests(Path(__file__).parents[1] / "tests")
    same, changed, gone = 0, [], []
    for name, places in before.items():
        for file, tree in places:
            if name not in today:
                gone.append(f"{file}: {name}")
            elif any(tree == other for _, other in today[name]):
                same += 1
            else:
                changed.append(f"{file}: {name}")
    print(f"{same} the same, {len(changed)} changed, {len(gone)} gone")
    for title, names in (("changed", changed), ("gone", gone)):
        print(title, *names, sep="\n  ")


if __name__ == "__main__":
    main(sys.argv[1])
