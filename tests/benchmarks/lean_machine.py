"""`python lean_machine.py JOURNAL`: the parts of `gpu_lean` at tiny sizes where nothing but the lean wheels is there.

What may be imported is the standard library, this repository, what a machine with torch has, and the lean wheels.
"""

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = {"tune_mixup", "benchmarks", "search_spaces"}
NAMED = {"torch", "numpy", "torchvision", "torchaudio", "scipy", "pandas", "yaml", "_yaml", "filelock", "typer", "rich"}
THEIRS = {
    *(
        "functorch",
        "torchgen",
        "triton",
        "sympy",
        "mpmath",
        "networkx",
        "jinja2",
        "markupsafe",
        "fsspec",
        "typing_extensions",
    ),
    *("setuptools", "pkg_resources", "_distutils_hack", "packaging", "PIL"),
    *("dateutil", "pytz", "tzdata", "six"),
    *("click", "shellingham", "annotated_doc", "markdown_it", "mdurl", "pygments", "_cyutility"),
}
"""What torch, torchvision, pandas, typer and rich need themselves."""
LEAN = {"pydantic", "pydantic_core", "annotated_types", "typing_inspection", "ruamel"}
ALLOWED = OURS | NAMED | THEIRS | LEAN | set(sys.stdlib_module_names)


refused = set()
"""What was asked for and is not there."""


class Filtered:
    """A finder that finds nothing but what is allowed."""

    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first in ALLOWED or first.startswith(("_sysconfigdata_", "_cython_", "nvidia", "cuda")):
            return self.finder.find_spec(name, path, target)
        refused.add(first)
        return None


def main(journal):
    from benchmarks.gpu import TINY
    from benchmarks.gpu.half_hour import folded
    from benchmarks.gpu.part import run
    from benchmarks.gpu.parts import PARTS

    parts, seconds = PARTS["gpu_lean"], {}
    kinds = {
        (part.module, part.arguments.get("check"), part.arguments.get("rungs")): name for name, part in parts.items()
    }
    for name in parts:
        if name in kinds.values():  # of the methods and of the rules that draw partners one each
            began = time.process_time()
            run("gpu_lean", name, journal, TINY)
            seconds[name] = round(time.process_time() - began, 1)
    print(json.dumps({"found": folded(parts, journal), "parts": seconds, "refused": sorted(refused)}))


if __name__ == "__main__":
    sys.meta_path[:] = [Filtered(finder) for finder in sys.meta_path]
    sys.path.insert(0, str(ROOT))
    main(Path(sys.argv[1]))
