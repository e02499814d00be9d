"""A cell of the half-hour: its parts one after the other, those that time nothing beside each other.

It begins nothing that it cannot finish: when the time left is too short for all parts that have not begun, those of the
least worth are dropped, and named. Results stay in the order of the parts.
"""

import importlib
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from benchmarks import gpu
from benchmarks.gpu import process
from benchmarks.gpu.parts import PARTS, Part
from benchmarks.gpu.process import Ended
from benchmarks.rows import row

LIMIT_S = 460.0
TOGETHER = 4
"""Parts beside each other, of those that may be."""


def measure(
    cell: str = "gpu_lean", limit_s: float | None = None, journal: Path | None = None
) -> Iterator[dict[str, Any]]:
    """All that has been found so far, anew after each part; `journal` is the file that the parts append to."""
    if journal is None:
        with tempfile.TemporaryDirectory() as folder:
            yield from measure(cell, limit_s, Path(folder) / "journal.jsonl")
        return
    journal.unlink(missing_ok=True)
    journal.parent.mkdir(parents=True, exist_ok=True)
    known = {"limit_s": limit_s or LIMIT_S, "rehearsal": gpu.size().device.type == "cpu"}
    for _ in run(cell, PARTS[cell], journal, limit_s=known["limit_s"]):
        yield {**folded(PARTS[cell], journal), **known}


def run(cell: str, parts: Mapping[str, Part], journal: Path, *, limit_s: float) -> Iterator[str]:
    """Run the parts within `limit_s`; the name of each when it has ended, and how it did in the journal."""
    ends_at = time.monotonic() + limit_s
    pending, running = dict(parts), dict[Future[Ended], str]()
    with ThreadPoolExecutor(TOGETHER) as pool:
        while pending or running:
            for name in dropped(pending, ends_at - time.monotonic()):
                print(f"{name}: not begun, the time is short", flush=True)
                process.append(journal, {"part": name, "dropped": f"not begun: {limit_s:.0f} s are too short for all"})
                del pending[name]
                yield name
            while pending and _may_begin(next(iter(pending.values())), [parts[name] for name in running.values()]):
                name, part = next(iter(pending.items()))
                del pending[name]
                print(f"{name}: {part.title} (about {part.about_s:.0f} s)", flush=True)
                command = [sys.executable, "-m", "benchmarks.gpu.part", cell, name, str(journal)]
                left_s = max(1.0, min(part.limit_s, ends_at - time.monotonic()))
                running[pool.submit(process.run, command, limit_s=left_s)] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name, ended = running.pop(future), future.result()
                process.append(journal, {"part": name, "ended": ended._asdict()})
                print(f"{name}: {ended.failed or 'done'}, {ended.seconds:.1f} s", flush=True)
                yield name


def dropped(pending: Mapping[str, Part], left_s: float) -> list[str]:
    """The parts to drop: those of the least worth, the later first, until the rest fits into `left_s`."""
    kept, found = dict(pending), []
    while kept and _about_s(kept.values()) > left_s:
        name = min(reversed(kept), key=lambda name: kept[name].worth)
        found.append(name)
        del kept[name]
    return found


def folded(parts: Mapping[str, Part], journal: Path) -> dict[str, Any]:
    """The journal as the file of a cell: rows, results by part, and what failed or was dropped, with the reason."""
    told = list(process.lines(journal))
    found: dict[str, list[dict[str, Any]]] = {
        name: [line["result"] for line in told if line["part"] == name and "result" in line] for name in parts
    }
    ended = {line["part"]: line["ended"] for line in told if "ended" in line}
    failed = {name: ended[name]["failed"] for name in parts if name in ended and ended[name]["failed"]}
    wrong = {name: f"{one['what']}: {one['value']:g}" for name in parts for one in found[name] if _is_wrong(one)}
    left_out = {line["part"]: line["dropped"] for line in told if "dropped" in line}
    reasons = [(name, f"failed: {why}") for name, why in failed.items()] + list(left_out.items())
    rows = [
        one for module in dict.fromkeys(part.module for part in parts.values()) for one in _rows(module, parts, found)
    ]
    return {
        "rows": [*rows, *(row(parts[name].title, value=None, value_unit="", note=why) for name, why in reasons)],
        "failed": {**wrong, **failed},
        "dropped": left_out,
        "seconds": {name: one["seconds"] for name, one in ended.items()},
        "measured": {name: results for name, results in found.items() if results},
    }


def _rows(
    module: str, parts: Mapping[str, Part], found: Mapping[str, Sequence[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What a module makes of its parts' results; should it fail, a row that says so, for the results are whole."""
    own = [result for name, part in parts.items() if part.module == module for result in found[name]]
    try:
        made: list[dict[str, Any]] = importlib.import_module(f"{__package__}.{module}").rows(own, found)
    except Exception as error:
        return [row(f"rows of {module}", value=None, value_unit="", note=f"{type(error).__name__}: {error}")]
    return made


def _is_wrong(result: Mapping[str, Any]) -> bool:
    return "at_most" in result and result["value"] > result["at_most"]


def _may_begin(part: Part, running: Sequence[Part]) -> bool:
    """Whether nothing would be timed beside something else."""
    if not part.beside:
        return not running
    return len(running) < TOGETHER and all(other.beside for other in running)


def _about_s(parts: Iterable[Part]) -> float:
    return sum(part.about_s / (TOGETHER if part.beside else 1) for part in parts)
