"""Renders results into the table and the figures of docs/performance.md, whatever was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import BENCHMARKS
from benchmarks.evidence import read

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
HEAD = ("measurement", "ours", "other", "ratio or value", "target", "met", "file")


def render(docs: Path) -> str:
    """Write the table between the markers of `docs/performance.md` and the figures beside it; returns the table.

    A page that does not exist is made, with a title and the markers. Raises ValueError for one without markers.
    """
    results, missing = _results()
    lines = markdown_table({name: found["results"].get("rows", []) for name, found in results.items()})
    lines += ["", *_where(results)]
    if missing:
        lines += ["", f"Not measured: {', '.join(f'`{name}`' for name in missing)}."]
    table = "\n".join(lines)
    page = docs / "performance.md"
    text = page.read_text() if page.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    page.write_text(between_markers(text, table))
    for found in results.values():
        for plot in found["results"].get("plots", []):
            draw(plot, docs)
    return table


def between_markers(text: str, inside: str) -> str:
    """`text` with `inside` for what stood between the markers. Raises ValueError unless each occurs once, in order."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"docs/performance.md: must hold {BEGIN} and behind it {END}, once each; put them back")
    return f"{before}{BEGIN}\n{inside}\n{END}{after}"


def markdown_table(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Name of the file -> rows, as a Markdown table; notes follow it, numbered."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    notes: list[str] = []
    for name, found in rows.items():
        for row in found:
            mark = ""
            if row["note"]:
                if row["note"] not in notes:
                    notes.append(row["note"])
                mark = f" ({notes.index(row['note']) + 1})"
            cells = [row["measurement"] + mark, *_cells(row), f"`{name}`"]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if notes:
        lines += [""] + [f"{number}. {note}" for number, note in enumerate(notes, start=1)]
    return lines


def text_table(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows of one measurement for a terminal."""
    table = [HEAD[:-1], *((row["measurement"], *_cells(row)) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD) - 1)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return [*lines, *(f"{row['measurement']}: {row['note']}" for row in rows if row["note"])] if rows else [name]


def draw(plot: Mapping[str, Any], folder: Path) -> None:
    """Write the figure that `benchmarks.rows.plot` describes into `folder`."""
    from matplotlib.figure import Figure

    panels = plot["panels"]
    figure = Figure(figsize=(5.5 * len(panels), 3.8), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for number, (label, curves) in enumerate(panel["series"].items()):
            for which, curve in enumerate(curves):
                x, y = zip(*curve, strict=True)
                axes.plot(
                    x, y, color=f"C{number}", label=label if which == 0 else None, linewidth=1.5,
                    drawstyle="steps-post" if panel["steps"] else "default",
                )  # fmt: skip
        axes.set_title(panel["title"], fontsize=10)
        axes.set_xlabel(panel["x"])
        axes.set_ylabel(panel["y"])
        axes.legend(frameon=False, fontsize=9)
        axes.grid(alpha=0.3)
    figure.savefig(folder / plot["file"], dpi=110)


def number(value: float | None, unit: str = "") -> str:
    """Three digits, or all of a large number, with its unit; nothing for None."""
    if value is None:
        return ""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text}{unit}" if unit in ("", "x") else f"{text} {unit}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    met = {True: "yes", False: "no", None: ""}[row["met"]]
    return [
        number(row["ours"], row["unit"]),
        number(row["other"], row["unit"]),
        number(row["value"], row["value_unit"]),
        row["target"] or "",
        met,
    ]


def _results() -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What was measured by this command, in the order of the registry, and the names of what was not."""
    results, missing = {}, []
    for name in BENCHMARKS:
        try:
            found = read(name)
        except FileNotFoundError:
            missing.append(name)
            continue
        if "rows" in found["results"]:
            results[name] = found
        else:
            missing.append(name)
    return results, missing


def _where(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """On what it was measured, one line for each machine."""
    machines: dict[str, list[str]] = {}
    for name, found in results.items():
        on = found["machine"]
        processor = on.get("gpu") or f"{on['cores']} cores of {on['cpu']}"
        with_ = ", ".join(f"{package} {found['versions'][package]}" for package in ("python", "torch", "ray", "optuna"))
        machines.setdefault(f"{processor}, {with_}", []).append(name)
    return [
        f"Measured on {machine}: {', '.join(f'`{name}`' for name in names)}." for machine, names in machines.items()
    ]
