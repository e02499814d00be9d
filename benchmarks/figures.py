"""Draws the figures that results describe (`benchmarks.rows`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX*hp<>"


def draw(plot: Mapping[str, Any], folder: Path) -> None:
    """Write the figure that `benchmarks.rows.plot` describes into `folder`."""
    from matplotlib.figure import Figure

    panels = plot["panels"]
    of_marks = "points" in panels[0]
    figure = Figure(figsize=(4.2 if of_marks else 5.5, 4.4 if of_marks else 3.8), layout="constrained")
    figure.set_figwidth(figure.get_figwidth() * len(panels))
    all_axes = figure.subplots(1, len(panels), squeeze=False, sharey=of_marks)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        (_marks if of_marks else _lines)(axes, panel)
        axes.set_title(panel["title"], fontsize=10)
        axes.set_xlabel(panel["x"])
        axes.set_ylabel(panel["y"])
    if of_marks:  # one axis on the left and one legend for all panels
        for axes in all_axes[1:]:
            axes.set_ylabel("")
        figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(folder / plot["file"], dpi=110)


def _lines(axes: "Axes", panel: Mapping[str, Any]) -> None:
    for number, (label, curves) in enumerate(panel["series"].items()):
        for which, curve in enumerate(curves):
            x, y = zip(*curve, strict=True)
            axes.plot(
                x, y, color=f"C{number}", label=label if which == 0 else None, linewidth=1.5,
                drawstyle="steps-post" if panel["steps"] else "default",
            )  # fmt: skip
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.3)


def _marks(axes: "Axes", panel: Mapping[str, Any]) -> None:
    for number, (label, (x, y, low, high)) in enumerate(panel["points"].items()):
        axes.errorbar(
            x, y, yerr=[[y - low], [high - y]], fmt=MARKERS[number % len(MARKERS)], color=f"C{number}", markersize=7,
            capsize=3, label=label,
        )  # fmt: skip
    x, y = panel["aim"]
    axes.axvline(x, color="grey", linestyle=":", linewidth=1)
    axes.axhline(y, color="grey", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(panel["x_ticks"], [f"{tick:g}" for tick in panel["x_ticks"]])
    axes.minorticks_off()
    axes.set_yscale("log")
