"""`python -m benchmarks`: list the cells, run them, render what they found."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.evidence import path_of, write
from benchmarks.registry import CELLS, Found, measure
from benchmarks.report import outdated, render
from benchmarks.tables import text_table
from tune_mixup.cli.errors import FAILED, code_and_line
from tune_mixup.schema import suggest

ROOT = Path(__file__).resolve().parents[1]

Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Run these and no others.")]
Gpu = Annotated[bool, typer.Option("--gpu", help="Run the GPU set, three cells of eight minutes (docs/gpu.md).")]
Everything = Annotated[bool, typer.Option("--all", help="Run those too that are in neither set.")]
Minutes = Annotated[float | None, typer.Option(help="Begin nothing new, and cut off what grows, after these.")]
To = Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Write there, and not to benchmarks/results.")]
SyneTune = Annotated[
    str | None,
    typer.Option("--syne-tune", metavar="PYTHON", help="Interpreter that has Syne Tune 0.13, for honest_search."),
]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; fail where a page is not up to date.")]


def run(
    names: Names = None,
    gpu: Gpu = False,
    everything: Everything = False,
    minutes: Minutes = None,
    to: To = None,
    syne_tune: SyneTune = None,
) -> int:
    """Measure and write NAME.json; without a name or an option the CPU set."""
    cells = chosen(names, gpu=gpu, everything=everything)
    if to is None and any(CELLS[name].on_gpu for name in cells) and not _has_gpu():
        raise ValueError("there is no GPU here; --to FOLDER rehearses its cells at tiny sizes and writes there")
    ends_at = None if minutes is None else time.monotonic() + 60 * minutes
    if len(cells) == 1:
        return _one(cells[0], ends_at, to, syne_tune)
    about = sum(CELLS[name].about_s for name in cells) / 60
    print(f"{len(cells)} cells, about {about:.0f} minutes on an idle machine", flush=True)
    failed = []
    for name in cells:
        left = [] if ends_at is None else ["--minutes", f"{(ends_at - time.monotonic()) / 60:.3f}"]
        if ends_at is not None and ends_at <= time.monotonic():
            print(f"\n{name}: not begun, the minutes were up", flush=True)
            continue
        print(f"\n{name}: {CELLS[name].title} (about {CELLS[name].about_s} s)", flush=True)
        # a process of its own: no cell finds what another left (threads, heap, a Ray, loaded data)
        command = [
            sys.executable,
            "-m",
            "benchmarks",
            "run",
            name,
            *left,
            *(["--to", str(to.absolute())] if to else []),
            *(["--syne-tune", syne_tune] if syne_tune else []),
        ]
        if subprocess.run(command, cwd=ROOT).returncode:
            failed.append(name)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}; what they said is above")
    return 0


def show() -> int:
    """Every cell: name, seconds, what it needs, what it measures, and its target."""
    width = max(map(len, CELLS))
    for name, cell in CELLS.items():
        needs = ", ".join(sorted(cell.needs))
        aim = f"; target: {cell.target}" if cell.target else ""
        print(f"{name:{width}}  {cell.about_s:5d} s  {needs:15}  {cell.title}{aim}")
    return 0


def report(check: Check = False) -> int:
    """Render benchmarks/results into the tables of docs/performance.md and README.md, and the figures."""
    if check:
        old = outdated(ROOT)
        if old:
            raise RuntimeError(f"not up to date: {', '.join(old)}; run python -m benchmarks report")
        print("README.md and docs/performance.md are up to date")
        return 0
    print(render(ROOT))
    return 0


def chosen(names: Sequence[str] | None, *, gpu: bool, everything: bool) -> list[str]:
    """The cells to run, in the order of the registry. Raises ValueError for a name that is not there."""
    for name in names or ():
        if name not in CELLS:
            raise ValueError(f"run: got {name!r}, which is no cell{suggest(name, list(CELLS))}")
    if names and (gpu or everything):
        raise ValueError("run: got names together with --gpu or --all; give one or the other")
    if names:
        return [name for name in CELLS if name in names]
    return [
        name
        for name, cell in CELLS.items()
        if (everything or cell.by_default) and (cell.on_gpu == gpu or (gpu and everything))
    ]


def _one(name: str, ends_at: float | None, to: Path | None, syne_tune: str | None) -> int:
    """Run one cell in this process and write what it found whenever that has grown.

    Raises RuntimeError when a part of it failed.
    """
    found: Found = {}
    limit_s = None if ends_at is None else max(0.0, ends_at - time.monotonic())
    in_parts = CELLS[name].of_parts
    journal = path_of(name, to).with_suffix(".jsonl")
    for found in measure(name, limit_s=limit_s, journal=journal, syne_tune=syne_tune):
        late = not in_parts and ends_at is not None and time.monotonic() > ends_at
        path = write(name, {**found, "cut_off": "the minutes were up"} if late else found, to)
        if late:
            break
    print("\n".join(text_table(name, found.get("rows", []))))
    print(path)
    if found.get("failed"):
        raise RuntimeError("; ".join(f"{part}: {why}" for part, why in found["failed"].items()))
    return 0


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 a measurement failed, 2 bad input; what went wrong is one line on stderr."""
    app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    app.command("list")(show)
    app.command()(report)
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="python -m benchmarks", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (ValueError, RuntimeError, typer.TyperException, KeyboardInterrupt) as error:
        code, line = code_and_line(error)
        print(f"benchmarks: {line}", file=sys.stderr, flush=True)
        return code or FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
