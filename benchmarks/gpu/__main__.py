"""Runs the cells; see the package."""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.evidence import machine, versions
from benchmarks.gpu import Size, correctness, headline, ladder, limits, sharing, size

Cell = Callable[[Size, dict[str, Any]], Iterable[dict[str, Any]]]
CELLS: dict[str, Cell] = {
    "correctness": correctness.measure,
    "ladder": ladder.measure,
    "headline": headline.measure,
    "sharing": sharing.measure,
}
"""In the order of their worth."""


def run(cells: Iterable[str], *, minutes: float, keep: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The results of the cells, as far as the minutes go; `keep` gets them all again after every result."""
    began = time.monotonic()
    large = size()
    ceilings = limits.ceilings(large)
    found: dict[str, Any] = {"ceilings": ceilings, "rehearsal": large.device.type == "cpu"}
    for cell in cells:
        found[cell] = []
        for result in CELLS[cell](large, ceilings):
            found[cell].append(result)
            print(f"{time.monotonic() - began:6.0f} s  {cell}: {result}", flush=True)
            keep(found)
            if time.monotonic() - began > 60 * minutes:
                found[cell].append({"cut_off": "the minutes were up"})
                keep(found)
                return found
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--to", type=Path, default=Path("gpu.json"))
    arguments = parser.parse_args()

    def keep(found: dict[str, Any]) -> None:
        evidence = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": f"python -m benchmarks.gpu --cells {' '.join(arguments.cells)} --minutes {arguments.minutes:g}",
            "machine": machine(),
            "versions": versions(),
            "results": found,
        }
        arguments.to.write_text(json.dumps(evidence, indent=2) + "\n")

    run(arguments.cells, minutes=arguments.minutes, keep=keep)


if __name__ == "__main__":
    main()
