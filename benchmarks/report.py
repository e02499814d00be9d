"""Renders results into the pages that show them and into their figures, whatever was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages import PAGES, rendered, results


def render(root: Path) -> str:
    """Write the tables of all pages below `root`, and the figures into its `docs/`; returns what was written where.

    Raises ValueError for a page without its markers.
    """
    found = results()
    for page in PAGES:
        text = rendered(page, root, found)
        path = root / page.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    plots = [plot for one in found.values() for plot in one["results"].get("plots", [])]
    for plot in plots:
        draw(plot, root / "docs")
    return "\n".join([*(page.path for page in PAGES), *(f"docs/{plot['file']}" for plot in plots)])


def outdated(root: Path) -> list[str]:
    """The pages whose table is not what the results say. Figures are not looked at: their bytes vary by release."""
    found = results()
    return [page.path for page in PAGES if rendered(page, root, found) != _text(root / page.path)]


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


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
