"""Every figure, from one network to a grid: nothing lies under a legend or off the page, and formulas are formulas."""

import re

import figure_tables
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.text import Text

from lawjax import plots

FIGURES = {
    f"{name}, {size}": figure
    for size in ("SMALL", "MIDDLE", "LARGE")
    for name, figure in getattr(figure_tables, size).items()
}


@pytest.fixture(scope="module", params=FIGURES)
def figure(request):
    make, table = FIGURES[request.param]
    made = make(table)
    draw(made)
    return made


def draw(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)


def is_data(artist, axes):
    return artist.get_transform() == axes.transData


def test_no_legend_covers_anything(figure):
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend() is not None)]
    boxes = [legend.get_window_extent() for legend in legends]
    texts = [text for axes in figure.axes for text in (axes.xaxis.label, axes.yaxis.label, axes.title)]
    texts = [text.get_window_extent() for text in [*texts, figure._supxlabel] if text.get_text()]
    panels = [axes.get_window_extent() for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        for other in (*panels, *texts, *boxes[i + 1 :]):
            assert not box.overlaps(other)


def test_every_point_is_inside_its_panel(figure):
    """Only brackets may leave a figure, and then a legend says how far."""
    for axes in figure.axes:
        inside = axes.get_window_extent().padded(0.5)
        ends_of_brackets = []
        places = []
        for collection in axes.collections:
            if isinstance(collection, PathCollection):
                places += list(collection.get_offsets())
            if isinstance(collection, LineCollection) and is_data(collection, axes):
                ends_of_brackets += [end for segment in collection.get_segments() for end in segment]
        for line in axes.lines:
            if is_data(line, axes) and line.get_label() != "_ticks":
                places += list(np.column_stack(line.get_data()))
        assert all(inside.contains(*axes.transData.transform(place)) for place in np.array(places, float))
        if not all(inside.contains(*axes.transData.transform(end)) for end in ends_of_brackets):
            said = " ".join(" ".join(text.get_text().split()) for text in axes.get_legend().get_texts())
            assert "the highest that leaves the figure ends at" in said


def test_a_legend_has_no_entry_for_a_curve_that_cannot_be_seen(figure):
    for axes in figure.axes:
        for line in axes.lines:
            if len(np.unique(line.get_xdata())) == 1 and is_data(line, axes) and line.get_label()[0] != "_":
                assert line.get_marker() not in ("None", "", None), line.get_label()


def test_no_formula_is_written_literally(figure):
    for text in figure.findobj(Text):
        outside = re.sub(r"(?<!\\)\$[^$]*\$", "", text.get_text())
        assert not re.search(r"[\^\\]|_\{|sqrt|\$", outside), text.get_text()


def test_every_panel_says_what_its_axes_are(figure):
    for axes in figure.axes:
        if axes.lines or any(isinstance(each, PathCollection) for each in axes.collections):
            assert any(other.get_xlabel() for other in axes.get_shared_x_axes().get_siblings(axes))
            beside = axes.get_shared_y_axes().get_siblings(axes)
            assert figure._supylabel is not None or any(other.get_ylabel() for other in beside)


def test_a_legend_takes_as_many_columns_as_fit_above_its_axes():
    figure = plots.figure3(figure_tables.LARGE["figure3"][1])
    draw(figure)
    for axes in figure.axes:
        assert axes.get_legend().get_window_extent().width <= axes.get_window_extent().width


def test_what_changes_nothing_shows_beside_the_default():
    axes = plots.factors(figure_tables.MIDDLE["factors"][1]).axes[0]
    widths = {line.get_color(): line.get_linewidth() for line in axes.lines}
    assert widths.pop("#000000") > max(widths.values())
