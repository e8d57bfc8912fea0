"""Figures of the frontier: every network that fits is drawn where it is, the law's line has the constant it says."""

import itertools
import re

import numpy as np
import polars as pl
import pytest

from lawjax import UserError, plots

USUAL = {"model": "gaussian", "activation": "relu", "fit": "0.02", "domain": "space", "effort": 1}
LABELS = {
    "k = n, smoothest found",
    "k = 10 n/d, smoothest found",
    "k = n, trained by Adam",
    "k = 10 n/d, trained by Adam",
}


def row(source, n, d, k, seed, **changes):
    upper = (1.5 if source == "frontier" else 6.0) * np.sqrt(n / k) * (1 + 0.01 * seed)
    measured = {"lower": 0.95 * upper, "upper": upper, "floor": 0.5, "theorem4": 0.8, "fitted": True}
    return {"source": source, **USUAL, "n": n, "d": d, "k": k, "seed": seed, **measured, **changes}


@pytest.fixture
def table():
    rows = [
        row(source, n, d, k, seed)
        for source, (n, d), seed in itertools.product(("frontier", "adam"), ((100, 20), (200, 20), (200, 40)), range(2))
        for k in (n, 10 * n // d, n // 4, n // 8)
    ]
    rows += [row("frontier", 100, 20, 25, seed, fit=fit) for fit in ("0.5", "exact") for seed in range(2)]
    rows += [row("frontier", 100, 20, 25, 0, activation="tanh"), row("frontier", 100, 64, 25, 0, model="digits")]
    rows += [row("frontier", 100, 20, 12, 5, fitted=False, upper=100.0)]
    return pl.DataFrame(rows, infer_schema_length=None)


def caption(figure):
    return figure.get_supxlabel().replace("\n", " ")


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_law_is_drawn_through_brackets(table):
    left, middle, right = plots.frontier_law(table).axes
    segments = {tuple(np.round(np.asarray(part)[:, 1], 6)) for lines in left.collections for part in _segments(lines)}
    own = table.filter("fitted", n=100, d=20, **USUAL)
    assert segments == {tuple(np.round(pair, 6)) for pair in own.select("lower", "upper").rows()}
    [law] = [label for label in labels(left) if "the law" in label]
    assert float(re.search(r"1\.\d+", law)[0]) == pytest.approx(1.5 * 1.005, abs=0.011)
    for line in middle.lines:  # the collapse: all the same constant here
        np.testing.assert_allclose(line.get_ydata(), 1.5 * 1.005, rtol=1e-9)
    *curves, bend = right.lines  # the other one: a constant over sqrt(k/d)
    for line in curves:
        np.testing.assert_allclose(line.get_ydata() * np.sqrt(line.get_xdata()), 1.5 * 1.005, rtol=1e-9)
    np.testing.assert_allclose(bend.get_ydata(), np.maximum(1.0, np.asarray(bend.get_xdata()) ** -0.5))
    assert "1 of 49 networks asked for did not fit" in caption(plots.frontier_law(table))


def _segments(lines):
    return lines.get_segments() if hasattr(lines, "get_segments") else []


def test_flatness_is_drawn_for_the_n_with_most_dimensions(table):
    figure = plots.frontier_flat(table)
    [axes] = figure.axes
    assert set(labels(axes)) >= LABELS
    assert "n = 200" in caption(figure)
    [line] = [line for line in axes.lines if line.get_label() == "k = n, smoothest found"]
    np.testing.assert_allclose(line.get_xdata(), [20, 40])


def test_factors_have_a_curve_for_every_setting(table):
    fit, activation, model = plots.frontier_factors(table).axes
    assert set(labels(fit)) == {"ε = 0.02", "ε = 0.5", "exact fit"}
    assert set(labels(activation)) == {"ReLU", "tanh"}
    assert set(labels(model)) == {"Gaussian", "digits, labels at random"}


def test_constructions_are_beside_the_frontier_on_the_sphere(table):
    sphere = {"model": "sphere", "domain": "sphere"}
    rows = [row(source, 100, 20, k, 0, **sphere) for source in ("frontier", "adam") for k in (10, 25)]
    rows += [row("caps", 100, 20, 100, 0, **sphere), row("ramps", 100, 20, 200, 0, **sphere, fitted=False)]
    rows += [row("form", 100, 20, 20, 0, **sphere, activation="power:2", fit="exact")]
    figure = plots.frontier_constructions(pl.concat([table, pl.DataFrame(rows)]))
    drawn = " ".join(labels(figure.axes[0]))
    assert "caps" in drawn and "form" in drawn and "smoothest found" in drawn and "ramps" not in drawn
    points = np.concatenate([collection.get_offsets() for collection in figure.axes[0].collections[1::2]])
    np.testing.assert_allclose(sorted(points[:, 0]), np.sqrt(sorted([10, 4, 10, 4, 1, 5])))


def test_the_constant_is_the_least_over_widths():
    sizes = itertools.product(("0.02", "exact"), (4,), (100, 400), (10, 20), range(2))
    rows = [
        {"fit": fit, "ratio": ratio, "n": n, "d": n // ratio, "k": k, "seed": seed, "fitted": True}
        | dict.fromkeys(("lower", "upper"), (2.0 + (fit == "exact") + (k == 10)) * np.sqrt(n / k))
        for fit, ratio, n, k, seed in sizes
    ]
    table = pl.DataFrame(rows)
    [axes] = plots.frontier_constant(table).axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 2 and np.asarray(line.get_xdata())[0] == 100]
    np.testing.assert_allclose([line.get_ydata() for line in drawn], [[2.0, 2.0], [3.0, 3.0]])
    with pytest.raises(UserError, match="fits"):
        plots.frontier_constant(table.with_columns(fitted=False))


def test_depth_has_a_curve_for_each_number_of_layers():
    rows = [
        {
            "layers": layers,
            "neurons": m,
            "n": 50,
            "d": 10,
            "seed": 0,
            "fitted": m > 4,
            "lower": 1.0,
            "upper": 2.0 / layers,
        }
        for layers in (1, 2)
        for m in (4, 8, 16)
    ]
    figure = plots.frontier_depth(pl.DataFrame(rows), 0.02)
    [axes] = figure.axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[8, 16], [8, 16]]
    assert "2 of 6 networks asked for did not fit" in caption(figure)


@pytest.mark.parametrize(
    "draw",
    [
        plots.frontier_law,
        plots.frontier_flat,
        plots.frontier_factors,
        plots.frontier_constructions,
        plots.frontier_constant,
        lambda table: plots.frontier_depth(table, 0.02),
    ],
    ids=["law", "flat", "factors", "constructions", "constant", "depth"],
)
def test_other_tables_are_refused(draw, table):
    with pytest.raises(UserError, match="run experiments"):
        draw(pl.DataFrame({"n": [1]}))
    if draw in (plots.frontier_law, plots.frontier_flat, plots.frontier_factors, plots.frontier_constructions):
        with pytest.raises(UserError, match="fits"):
            draw(table.with_columns(fitted=False))
