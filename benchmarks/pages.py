"""The pages that show measured numbers: each has a table between two markers, which is made of results alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.evidence import read
from benchmarks.registry import CELLS
from benchmarks.tables import markdown_table

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
VERSIONS = ("python", "torch", "ray", "optuna")

Results = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Page:
    """A file of the repository with a table in it."""

    path: str
    """Below the repository's root."""
    inside: Callable[[Results], str]
    """What stands between its markers."""


def all_rows(results: Results) -> str:
    """Every row of every cell, on what it was measured, and which cells were not measured."""
    lines = [*markdown_table({name: found["results"]["rows"] for name, found in results.items()}), "", *_where(results)]
    missing = [f"`{name}`" for name in CELLS if name not in results]
    return "\n".join([*lines, *(["", f"Not measured: {', '.join(missing)}."] if missing else [])])


def headlines(results: Results) -> str:
    """The rows that the registry names for the README, and on what they were measured.

    Raises ValueError for a row that its cell has not: a headline must not vanish unseen.
    """
    shown: dict[str, list[Mapping[str, Any]]] = {}
    for name, found in results.items():
        rows = {row["measurement"]: row for row in found["results"]["rows"]}
        for wanted in CELLS[name].headlines:
            if wanted not in rows:
                raise ValueError(f"registry: {name} has no row {wanted!r} in its results; name one that it has")
            shown.setdefault(name, []).append(rows[wanted])
    return "\n".join([*markdown_table(shown), "", *_where({name: results[name] for name in shown})])


PAGES = (Page("docs/performance.md", all_rows), Page("README.md", headlines))


def results() -> Results:
    """What has been measured, in the order of the registry."""
    found = {}
    for name in CELLS:
        try:
            found[name] = read(name)
        except FileNotFoundError:
            continue
    return found


def rendered(page: Page, root: Path, found: Results) -> str:
    """The page's text as it should be. One that does not exist is made, with a title and the markers.

    Raises ValueError for one without markers.
    """
    path = root / page.path
    text = path.read_text() if path.exists() else f"# {path.stem.capitalize()}\n\n{BEGIN}\n{END}\n"
    return between_markers(text, page.inside(found), page.path)


def between_markers(text: str, inside: str, name: str = "the page") -> str:
    """`text` with `inside` for what stood between the markers. Raises ValueError unless each occurs once, in order."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"{name}: must hold {BEGIN} and behind it {END}, once each; put them back")
    return f"{before}{BEGIN}\n{inside}\n{END}{after}"


def _where(results: Results) -> Sequence[str]:
    """On what it was measured, one line for each machine."""
    machines: dict[str, list[str]] = {}
    for name, found in results.items():
        on = found["machine"]
        processor = on.get("gpu") or f"{on['cores']} cores of {on['cpu']}"
        versions = found["versions"]
        with_ = ", ".join(f"{package} {versions[package]}" for package in VERSIONS if package in versions)
        machines.setdefault(f"{processor}, {with_}", []).append(name)
    return [
        f"Measured on {machine}: {', '.join(f'`{name}`' for name in names)}." for machine, names in machines.items()
    ]
