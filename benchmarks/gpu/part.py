"""The process of one part: `python -m benchmarks.gpu.part CELL NAME JOURNAL`; the exit code is 1 when it fails."""

import importlib
import signal
import sys
from pathlib import Path
from types import FrameType

from benchmarks import gpu
from benchmarks.gpu import Size
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.process import append


def run(cell: str, name: str, journal: Path, size: Size) -> None:
    """Append each result of a part as it comes."""
    part = PARTS[cell][name]
    module = importlib.import_module(f"{__package__}.{part.module}")
    for result in module.results(size, **part.arguments):
        append(journal, {"part": name, "result": result})


def leave(signal_number: int, frame: FrameType | None) -> None:
    """At the limit: as an exception, so that what must be put away is."""
    raise SystemExit(f"stopped by {signal.Signals(signal_number).name}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, leave)
    run(sys.argv[1], sys.argv[2], Path(sys.argv[3]), gpu.size())
