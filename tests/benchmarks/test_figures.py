"""Nothing on a figure hides anything else: each mark and curve is taken away, and the pixels that change counted."""

import json

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from benchmarks import evidence
from benchmarks.figures import figure_of
from benchmarks.rows import marks, panel, plot


def pixels(figure, artists):
    """The picture of `artists` alone, without axes, text and what else there is on the figure: int [H, W, 4]."""
    (axes,) = figure.axes
    figure.set_layout_engine("none")  # it is laid out, and that takes longer than the drawing
    axes.set_axis_off()
    for artist in [*axes.get_children(), *figure.legends]:
        artist.set_visible(artist in artists)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).astype(int)


def changed(one, other):
    return np.abs(one - other).sum(axis=2) > 150


def seen(figure, artists):
    """For each of the artists two pictures, bool [H, W]: where it is when drawn alone, and where it is seen of all."""
    nothing, everything = pixels(figure, []), pixels(figure, artists)
    for artist in artists:
        others = [other for other in artists if other is not artist]
        yield changed(pixels(figure, [artist]), nothing), changed(everything, pixels(figure, others))


def shares_of_marks(figure):
    """The share of each mark's pixels that the other marks leave to be seen, by label."""
    (axes,) = figure.axes
    lines = {bar.get_label(): bar.lines[0] for bar in axes.containers}
    both = zip(lines, seen(figure, list(lines.values())), strict=True)
    return {label: (alone & among).sum() / alone.sum() for label, (alone, among) in both}


def test_every_mark_of_the_committed_figure_is_seen():
    found = json.loads((evidence.RESULTS / "early_stopping.json").read_text())["results"]["plots"][0]
    strong = [one for one in found["panels"] if one["title"] == "slow start: strong"]
    shares = shares_of_marks(figure_of({**found, "panels": strong}))
    assert len(shares) == 10
    assert min(shares.values()) > 0.55, shares


def test_three_marks_at_one_place_are_all_seen():
    points = {
        "a": [20, 0.1, 0.05, 0.2],
        "b": [20, 0.1, 0.05, 0.2],
        "c": [20.1, 0.1, 0.05, 0.2],
        "d": [60, 0.5, 0.4, 0.6],
    }
    one = marks("cost", x="%", y="points", points=points, aim=(26, 0.05), x_ticks=(10, 20, 50))
    shares = shares_of_marks(figure_of(plot("a.png", [one])))
    assert min(shares.values()) > 0.55, shares


def test_curves_on_one_another_are_all_seen():
    """In each column of the picture that a curve crosses, some of it is seen."""
    line = [(0, 1), (50, 2), (100, 2)]
    series = {"first": [line], "second": [line], "third": [line], "fourth": [line]}
    figure = figure_of(plot("a.png", [panel("the same", x="s", y="trials", series=series)]))
    (axes,) = figure.axes
    for curve, (alone, among) in zip(axes.lines, seen(figure, list(axes.lines)), strict=True):
        crossed = alone.any(axis=0)
        assert (among.any(axis=0) & crossed).sum() > 0.9 * crossed.sum(), curve.get_label()


def test_colours_and_marks_of_ten_labels_differ():
    points = {str(number): [10 + number, 0.1, 0.05, 0.2] for number in range(10)}
    one = marks("cost", x="%", y="points", points=points, aim=(26, 0.05), x_ticks=(10, 20))
    (axes,) = figure_of(plot("a.png", [one])).axes
    lines = [bar.lines[0] for bar in axes.containers]
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 10
