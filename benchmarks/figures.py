"""Draws the figures that results describe (`benchmarks.rows`), so that nothing in them hides anything else.

Curves that lie on one another are drawn with falling width, so that the edges of the lower ones are seen. Of marks at
one place the later ones in the list become rings around the first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#000000", "#CC79A7", "#D55E00", "#56B4E9", "#882255", "#999933", "#332288")
"""The colours of Okabe and Ito, and three of Tol's: people with a colour vision deficiency can tell them apart too."""
MARKERS = "osD^vPX*hp<>"
MARK, RING_STEP = 7.0, 10.0
"""Diameter of a mark, and how much wider each ring around it is: points."""
THINNEST, WIDER = 1.2, 0.7
"""Width of the last curve, and how much wider each earlier one is: points."""
HIDES = 0.6
"""Marks whose centres are nearer than this share of their diameter would hide each other."""
DPI = 110


def draw(plot: Mapping[str, Any], folder: Path) -> None:
    """Write the figure that `benchmarks.rows.plot` describes into `folder`."""
    figure_of(plot).savefig(folder / plot["file"], dpi=DPI)


def figure_of(plot: Mapping[str, Any]) -> "Figure":
    """The figure of a plot, laid out."""
    from matplotlib.figure import Figure

    panels = plot["panels"]
    of_marks = "points" in panels[0]
    figure = Figure(figsize=(4.8 if of_marks else 5.5, 4.8 if of_marks else 3.8), layout="constrained", dpi=DPI)
    figure.set_figwidth(figure.get_figwidth() * len(panels))
    all_axes = figure.subplots(1, len(panels), squeeze=False, sharey=of_marks)[0]
    drawn = []
    for axes, panel in zip(all_axes, panels, strict=True):
        if of_marks:
            drawn.append((axes, _marks(axes, panel)))
        else:
            _lines(axes, panel)
        axes.set_title(panel["title"], fontsize=10)
        axes.set_xlabel(panel["x"])
        axes.set_ylabel(panel["y"])
    if of_marks:  # one axis on the left and one legend for all panels
        for axes in all_axes[1:]:
            axes.set_ylabel("")
        columns = min(6, 2 * len(panels))
        figure.legend(
            *all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns, frameon=False
        )
    figure.draw_without_rendering()  # only now is it known where a mark lies on the picture
    for axes, marks in drawn:
        _ring(axes, marks)
    return figure


def _lines(axes: "Axes", panel: Mapping[str, Any]) -> None:
    count = len(panel["series"])
    for number, (label, curves) in enumerate(panel["series"].items()):
        width = THINNEST + WIDER * (count - 1 - number)
        for which, curve in enumerate(curves):
            x, y = zip(*curve, strict=True)
            axes.plot(
                x, y, color=_colour(number), label=label if which == 0 else None, linewidth=width,
                drawstyle="steps-post" if panel["steps"] else "default",
            )  # fmt: skip
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.3)


def _marks(axes: "Axes", panel: Mapping[str, Any]) -> "list[ErrorbarContainer]":
    drawn = []
    for number, (label, (x, y, low, high)) in enumerate(panel["points"].items()):
        marker = MARKERS[number % len(MARKERS)]
        bars = [[y - low], [high - y]]
        drawn.append(
            axes.errorbar(x, y, yerr=bars, fmt=marker, color=_colour(number), markersize=MARK, capsize=3, label=label)
        )
    x, y = panel["aim"]
    axes.axvline(x, color="grey", linestyle=":", linewidth=1, label="what was aimed at")
    axes.axhline(y, color="grey", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(panel["x_ticks"], [f"{tick:g}" for tick in panel["x_ticks"]])
    axes.minorticks_off()
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    return drawn


def _ring(axes: "Axes", marks: "list[ErrorbarContainer]") -> None:
    """Make rings of the marks that would hide an earlier one, each wider than the one inside of it."""
    lines = [mark.lines[0] for mark in marks]
    places = [axes.transData.transform(line.get_xydata()[0]) for line in lines]
    near = HIDES * MARK * DPI / 72
    rings = [0] * len(lines)
    for number, place in enumerate(places):
        inside = [rings[other] for other in range(number) if np.linalg.norm(places[other] - place) < near]
        rings[number] = max(inside) + 1 if inside else 0
    for line, ring in zip(lines, rings, strict=True):
        line.set_zorder(3 - ring / len(lines))
        if ring:
            line.set(markersize=MARK + ring * RING_STEP, markerfacecolor="none", markeredgewidth=1.8)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
