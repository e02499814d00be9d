"""`python -m benchmarks`: run measurements, render what they found."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import BENCHMARKS, measure
from benchmarks.evidence import read, write
from benchmarks.report import render, text_table
from tune_mixup.cli.errors import FAILED, code_and_line
from tune_mixup.schema import suggest

ROOT = Path(__file__).resolve().parents[1]

Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME ...", help="Run these and no others.")]
More = Annotated[list[str] | None, typer.Argument(metavar="", hidden=True)]
Everything = Annotated[bool, typer.Option("--all", help="Run those too that are not in the CPU set.")]


def run(more: More = None, only: Only = None, everything: Everything = False) -> int:
    """Measure and write benchmarks/results/NAME.json; without options the CPU set."""
    names = chosen(only, more, everything=everything)
    if len(names) == 1:
        found = write(names[0], measure(names[0]))
        print("\n".join(text_table(names[0], read(names[0])["results"].get("rows", []))))
        print(found)
        return 0
    minutes = sum(BENCHMARKS[name].about_s for name in names) / 60
    print(f"{len(names)} measurements, about {minutes:.0f} minutes on two idle cores", flush=True)
    failed = []
    for name in names:
        print(f"\n{name}: {BENCHMARKS[name].title} (about {BENCHMARKS[name].about_s} s)", flush=True)
        # a process of its own: no measurement finds what another left (threads, heap, a Ray, loaded data)
        if subprocess.run([sys.executable, "-m", "benchmarks", "run", "--only", name], cwd=ROOT).returncode:
            failed.append(name)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}; what they said is above")
    return 0


def report() -> int:
    """Render benchmarks/results into the table and the plots of docs/performance.md."""
    print(render(ROOT / "docs"))
    return 0


def chosen(only: Sequence[str] | None, more: Sequence[str] | None, *, everything: bool) -> list[str]:
    """The measurements to run, in the order of the registry. Raises ValueError for a name that is not there."""
    if more and not only:
        raise ValueError(f"run: got {' '.join(more)}; names go behind --only")
    names = [*(only or ()), *(more or ())]
    for name in names:
        if name not in BENCHMARKS:
            raise ValueError(f"--only: got {name!r}, which is no measurement{suggest(name, list(BENCHMARKS))}")
    if names:
        return [name for name in BENCHMARKS if name in names]
    return [name for name, benchmark in BENCHMARKS.items() if everything or benchmark.by_default]


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 a measurement failed, 2 bad input; what went wrong is one line on stderr."""
    app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
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
