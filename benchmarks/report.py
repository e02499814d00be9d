"""Renders results into the pages that show them and into their figures, whatever was measured."""

from pathlib import Path

from benchmarks.figures import draw
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


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
