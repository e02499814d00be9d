"""The repository's tests that are marked `gpu`, where pytest is there; without it the checks have said the same."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu import Result, Size
from benchmarks.gpu.facts import is_here
from benchmarks.gpu.process import ROOT
from benchmarks.rows import row

COMMAND = (sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/training")
"""Those of tests/gpu are the checks, which are parts of their own."""
WHAT = "tests marked gpu that fail"


def results(size: Size) -> Iterator[Result]:
    """One: how many failed, and what pytest said last."""
    if not is_here("pytest") or size.device.type == "cpu":
        yield {"why": "no pytest here" if size.device.type == "cuda" else "no GPU here"}
        return
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    failed = failures(lines[-1] if lines else "", done.returncode)
    yield {"what": WHAT, "value": failed, "at_most": 0, "said": lines[-20:]}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """How many failed."""
    return [
        row(WHAT, value=None, value_unit="", note=one["why"])
        if "why" in one
        else row(WHAT, value=one["value"], value_unit="", at_most=one["at_most"], note="".join(one["said"][-1:]))
        for one in own
    ]


def failures(summary: str, code: int) -> int:
    """Tests that failed or could not begin, by pytest's last line; at least one where its exit code says so."""
    numbers = [int(number) for number in re.findall(r"(\d+) (?:failed|errors?)", summary)]
    return max(sum(numbers), int(code != 0))
