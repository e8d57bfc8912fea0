"""Figures read back from their artists: points are the fitted networks, lines are the fits, captions count."""

import subprocess
import sys

import matplotlib
import numpy as np
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lawjax import plots
from lawjax.errors import UserError
from lawjax.report.fits import affine, power_law

STATUSES = ("fitted", "step limit", "diverged")


def experiment1(n_seeds=4, per_seed=30):
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(n_seeds):
        for index in range(per_seed):
            n = int(rng.choice([100, 200, 500, 1000, 2000]))
            d, k = int(rng.integers(50, n + 1)), int(rng.integers(10, n + 1))
            status = STATUSES[1 if index % 10 == 3 else 2 if index % 15 == 4 else 0]
            proxy = None if status == "diverged" else 5 + 3 * np.sqrt(n / k) + rng.normal()
            row = {"n": n, "d": d, "k": k, "seed": seed, "status": status, "fitted": status == "fitted"}
            rows.append(row | {"proxy": proxy, "ascent": proxy and 1.2 * proxy, "epsilon": 0.02})
    return pl.DataFrame(rows)


def experiment2(seeds=(0, 1, 2), unfitted=("k = 10n/d", 20)):
    rng = np.random.default_rng(1)
    rows = []
    for seed in seeds:
        for d in (20, 100, 1000, 5000):
            for rule in ("k = n", "k = 10n/d"):
                fitted = (rule, d) != unfitted
                proxy = (11.0 if rule == "k = n" else 2 * np.sqrt(d)) * (1 + 0.05 * rng.normal())
                row = {
                    "n": 10_000,
                    "d": d,
                    "k": 10_000 if rule == "k = n" else 100_000 // d,
                    "seed": seed,
                    "epsilon": 0.1,
                }
                row |= {"width_rule": rule, "fitted": fitted, "status": "fitted" if fitted else "step limit"}
                rows.append(row | {"proxy": proxy, "linear_part": 0.6 * proxy, "residual": 0.8 * proxy})
    return pl.DataFrame(rows)


def factor_table(n_factors=9):
    tables = []
    for factor in range(n_factors):
        for index, setting in enumerate(("usual", "less", "more")):
            table = experiment2(seeds=(0, 1, 2), unfitted=None).with_columns(
                pl.lit(f"factor {factor}").alias("factor"),
                pl.lit(setting).alias("setting"),
                pl.lit(index == 0).alias("is_default"),
                pl.col("proxy") * (1 + index + factor),
            )
            if setting == "more":
                lost = pl.lit(factor == 0) | ((pl.col("d") == 20) & (factor == 1))
                table = table.with_columns(
                    fitted=~lost, status=pl.when(lost).then(pl.lit("diverged")).otherwise("status")
                )
            tables.append(table)
    return pl.concat(tables)


def caption(figure):
    return " ".join(figure.get_supxlabel().split())


def legend(axes):
    return " | ".join(" ".join(text.get_text().split()) for text in axes.get_legend().get_texts())


def lines(axes, part):
    return [line for line in axes.get_lines() if part in str(line.get_label())]


def offsets(collection):
    points = np.asarray(collection.get_offsets())
    return points[np.lexsort(points.T)]


def test_figure2_plots_each_fitted_network_once():
    table = experiment1()
    fitted = table.filter(pl.col("fitted"))
    axes, bar = plots.figure2(table).axes
    (points,) = axes.collections
    expected = np.stack([np.sqrt(fitted["n"] / fitted["k"]), fitted["proxy"]], axis=1)
    np.testing.assert_allclose(offsets(points), expected[np.lexsort(expected.T)])
    assert sorted(points.get_array()) == sorted(fitted["d"])
    assert points.get_cmap().name == "viridis" and isinstance(points.norm, matplotlib.colors.LogNorm)
    assert bar.get_ylabel() == "dimension d"
    assert "sqrt{n/k}" in axes.get_xlabel() and "maximum random gradient" in axes.get_ylabel()


def test_figure2_draws_the_fit_over_seeds_and_prints_its_interval():
    table = experiment1()
    fitted = table.filter(pl.col("fitted"))
    x = np.sqrt(fitted["n"] / fitted["k"]).to_numpy()
    fit = affine(x, fitted["proxy"], fitted["seed"])
    axes = plots.figure2(table).axes[0]
    (line,) = lines(axes, "affine fit")
    np.testing.assert_allclose(line.get_xdata(), [x.min(), x.max()])
    np.testing.assert_allclose(line.get_ydata(), fit.intercept + fit.slope * np.array([x.min(), x.max()]))
    shown = [float(word.strip("[],")) for word in legend(axes).split("slope ")[1].split()[:3]]
    np.testing.assert_allclose(shown, [fit.slope, *fit.slope_interval], atol=0.0051)


def test_figure2_draws_the_steepest_line_through_the_origin_below_all_points():
    table = experiment1()
    axes = plots.figure2(table).axes[0]
    (line,) = lines(axes, "Conjecture 1")
    (x0, x1), (y0, y1) = line.get_xdata(), line.get_ydata()
    x, y = offsets(axes.collections[0]).T
    assert (x0, y0) == (0, 0) and x1 == x.max()
    gaps = y - x * y1 / x1
    assert gaps.min() == pytest.approx(0, abs=1e-9) and (gaps > -1e-9).all()
    assert "lower estimates of Lip(f)" in legend(axes)
    assert "lower bounds on Lip(f)" in legend(plots.figure2(table, "ascent").axes[0])


def bracketed(table):
    """With brackets: lower bounds 1.1 times the proxy and certificates 1.3 times it."""
    return table.with_columns(
        lower_space=1.1 * pl.col("proxy"), upper_space=1.3 * pl.col("proxy"), spectral_product=2.6 * pl.col("proxy")
    )


def vertical_lines(axes):
    return np.array([path for collection in axes.collections for path in getattr(collection, "get_segments", list)()])


def test_figure2_shows_brackets_beside_the_proxy():
    table = bracketed(experiment1())
    fitted = table.filter("fitted")
    left, right, _ = plots.figure2(table).axes
    lines = vertical_lines(right)
    assert lines.shape == (len(fitted), 2, 2) and not len(vertical_lines(left))
    np.testing.assert_allclose(np.sort(lines[:, 0, 1]), np.sort(fitted["lower_space"]))
    np.testing.assert_allclose(np.sort(lines[:, 1, 1]), np.sort(fitted["upper_space"]))
    c = (fitted["lower_space"] / (fitted["n"] / fitted["k"]).sqrt()).min()
    assert any(f"c = {c:.3g}" in text.get_text() for text in right.get_legend().get_texts())


@pytest.mark.parametrize("make", [plots.figure1, plots.figure3])
def test_figures_1_and_3_show_brackets_behind_the_proxy(make):
    table = bracketed(experiment2())
    axes = make(table).axes[0]
    fitted = table.filter("fitted")
    lines = vertical_lines(axes)
    assert len(lines) == len(fitted)
    np.testing.assert_allclose(np.sort(lines[:, 1, 1]), np.sort(fitted["upper_space"]))
    assert axes.get_ylim()[1] > fitted["upper_space"].max()


def test_ratios_are_medians_over_networks_of_one_shape():
    table = bracketed(experiment1())
    figure = plots.ratios(table)
    panels = figure.axes[:3]
    for axes, value in zip(panels, (1 / 1.1, 1.3 / 1.1, 2.0), strict=True):
        assert f"median {value:.2f}" in axes.get_title()
    fitted = table.filter("fitted")
    shapes = {(row["k"] / row["n"], row["d"] / row["n"]) for row in fitted.iter_rows(named=True)}
    assert len(panels[0].collections[0].get_offsets()) == len(shapes)
    with pytest.raises(UserError, match="upper_space"):
        plots.ratios(experiment1())


def test_captions_count_every_network_asked_for():
    table = experiment1()
    ended = {status: int((table["status"] == status).sum()) for status in STATUSES}
    assert min(ended.values()) > 0
    text = caption(plots.figure2(table))
    assert f"{len(table)} networks asked for: {ended['fitted']} fitted, {ended['step limit']} step limit, " in text
    assert f"{ended['diverged']} diverged." in text
    assert "\N{GREEK SMALL LETTER EPSILON} = 0.02; 4 seeds; T = 1000 " in text
    assert "too narrow with fewer than five" in text
    assert "too narrow" not in caption(plots.figure2(experiment1(n_seeds=5)))
    assert "T = 50 " in caption(plots.figure2(table.with_columns(points=50)))
    assert "T = " not in caption(plots.figure2(table, "ascent"))
    table = experiment2()
    by_rule = caption(plots.figure1(table))
    assert "24 networks asked for: 21 fitted, 3 step limit, 0 diverged." in by_rule
    assert "plotted: 12 of 12 for k = n, 9 of 12 for k = 10n/d; n = 10,000." in by_rule
    shared = table.filter(width_rule="k = n", d=20).with_columns(width_rule=pl.lit("k = 10n/d"))
    both = caption(plots.figure1(pl.concat([table, shared])))  # a network of both rules is one network
    assert "24 networks asked for: 21 fitted, 3 step limit, 0 diverged." in both


def test_a_fitted_network_without_a_finite_measure_is_counted_and_not_plotted():
    table = experiment1()
    first = pl.int_range(pl.len()) == table["fitted"].arg_max()
    hurt = table.with_columns(proxy=pl.when(first).then(float("nan")).otherwise("proxy"))
    figure = plots.figure2(hurt)
    assert len(offsets(figure.axes[0].collections[0])) == int(table["fitted"].sum()) - 1
    assert "1 of the fitted not plotted" in caption(figure)


def test_a_single_seed_has_a_fit_without_an_interval():
    figure = plots.figure2(experiment1(n_seeds=1))
    assert len(lines(figure.axes[0], "affine fit")) == 1
    assert "[" not in legend(figure.axes[0])
    assert "1 seed;" in caption(figure) and "bootstrap" not in caption(figure)
    figure = plots.figure1(experiment2(seeds=(7,)))
    assert len(lines(figure.axes[0], "slope")) == 2
    assert "[" not in legend(figure.axes[0])


def test_networks_that_share_one_x_are_plotted_without_a_fit():
    table = experiment1().with_columns(n=200, d=100, k=50)
    axes = plots.figure2(table).axes[0]
    assert len(offsets(axes.collections[0])) == int(table["fitted"].sum())
    assert not lines(axes, "affine fit")
    axes = plots.figure1(experiment2().filter(pl.col("d") == 100)).axes[0]
    assert "one dimension, no fit" in legend(axes)


@pytest.mark.parametrize("make", [plots.figure1, plots.figure3])
def test_figures_1_and_3_show_both_width_rules_with_their_fits_and_the_law(make):
    table = experiment2()
    axes = make(table).axes[0]
    assert "sqrt{d}" in axes.get_xlabel() and "maximum random gradient" in axes.get_ylabel()
    for rule, words, power, (points,) in (
        ("k = n", "$k = n$: slope", 0, [c for c in axes.collections if c.get_label() == "_k = n"]),
        ("k = 10n/d", "$k = 10\\,n/d$: slope", 1, [c for c in axes.collections if c.get_label() == "_k = 10n/d"]),
    ):
        rows = table.filter((pl.col("width_rule") == rule) & pl.col("fitted"))
        x, y = np.sqrt(rows["d"].to_numpy()), rows["proxy"].to_numpy()
        expected = np.stack([x, y], axis=1)
        np.testing.assert_allclose(offsets(points), expected[np.lexsort(expected.T)])
        ends = np.array([x.min(), x.max()])
        (line,) = lines(axes, words)
        np.testing.assert_allclose(line.get_xdata(), ends)
        np.testing.assert_allclose(line.get_ydata(), affine(x, y, rows["seed"])(ends))
        exponent = power_law(x, y, rows["seed"]).exponent
        printed = line.get_label().split("sqrt{d}$ ")[1].split()[0].replace("\N{MINUS SIGN}", "-")
        assert float(printed) == pytest.approx(exponent, abs=0.0051)
        (law,) = lines(axes, f"law's shape for {words.split(':')[0]}")
        np.testing.assert_allclose(law.get_xdata(), ends)
        low, high = law.get_ydata()
        assert high / low == pytest.approx((ends[1] / ends[0]) ** power)
        above = int((y > low * (x / ends[0]) ** power * (1 + 1e-12)).sum())
        assert above == len(y) // 2  # through the median of the points
    colours = {line.get_color() for line in lines(axes, "slope")}
    assert len(colours) == 2 == len({line.get_marker() for line in lines(axes, "slope")})


def test_figure3_takes_the_gradient_apart():
    table = experiment2()
    left, right = plots.figure3(table).axes
    for rule in ("k = n", "k = 10n/d"):
        rows = table.filter((pl.col("width_rule") == rule) & pl.col("fitted")).sort("d")
        for column in ("linear_part", "residual"):
            points, curve = lines(right, f"_{rule} {column}")
            expected = np.stack([np.sqrt(rows["d"]), rows[column]], axis=1)
            drawn = np.stack(points.get_data(), axis=1)
            np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])
            middle = rows.group_by("d").agg(pl.col(column).median()).sort("d")
            np.testing.assert_allclose(curve.get_xdata(), np.sqrt(middle["d"]))
            np.testing.assert_allclose(curve.get_ydata(), middle[column])
    assert left.get_ylim() == right.get_ylim()
    assert "mean gradient" in legend(right) and "largest deviation" in legend(right)


def test_a_width_rule_that_never_fitted_is_named():
    table = experiment2().with_columns(fitted=pl.col("width_rule") == "k = n")
    assert "no network fitted" in legend(plots.figure1(table).axes[0])
    assert "0 of 12 for k = 10n/d" in caption(plots.figure1(table))


@pytest.mark.parametrize("n_factors", [1, 4, 5, 9])
def test_factors_draws_medians_over_seeds_in_a_panel_per_factor(n_factors):
    table = factor_table(n_factors)
    figure = plots.factors(table)
    titles = [axes.get_legend().get_title().get_text() for axes in figure.axes]
    assert titles == [f"factor {index}" for index in range(n_factors)]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for axes, title in zip(figure.axes, titles, strict=True):
        rows = table.filter((pl.col("factor") == title) & pl.col("fitted"))
        for (setting, rule), group in rows.group_by("setting", "width_rule"):
            (line,) = [line for line in axes.get_lines() if line.get_label() == f"_{setting} {rule}"]
            middle = group.group_by("d").agg(pl.col("proxy").median()).sort("d")
            np.testing.assert_allclose(line.get_xdata(), np.sqrt(middle["d"]))
            np.testing.assert_allclose(line.get_ydata(), middle["proxy"])
            assert line.get_linestyle() == ("-" if rule == "k = 10n/d" else "--")
            assert (line.get_color() == "#000000") == (setting == "usual")
    assert "more (none of 24 fitted)" in legend(figure.axes[0])
    if n_factors > 1:
        assert "more (18 of 24 fitted)" in legend(figure.axes[1])
    n_lost = 24 + 6 * (n_factors > 1)
    assert f"{72 * n_factors - n_lost} fitted, 0 step limit, {n_lost} diverged" in caption(figure)


@pytest.mark.parametrize(
    ("make", "table"),
    [
        (plots.figure2, experiment1()),
        (plots.figure1, experiment2()),
        (plots.figure1, experiment2().with_columns(proxy=100 + pl.col("seed"))),  # high everywhere
        (plots.figure3, experiment2()),
        (plots.factors, factor_table(4)),
    ],
)
class TestEveryFigure:
    """What holds for each of the figures."""

    def test_nothing_to_plot_is_one_sentence(self, make, table):
        with pytest.raises(UserError, match=r"^The table has no rows to plot[^\n]*\.$"):
            make(table.clear())
        unfitted = table.with_columns(fitted=False, status=pl.lit("diverged"), proxy=pl.lit(None))
        with pytest.raises(UserError, match=rf"^None of the {len(table)} networks .*{len(table)} diverged[^\n]*\.$"):
            make(unfitted)
        with pytest.raises(UserError, match=r"lacks the column\(s\) proxy"):
            make(table.drop("proxy"))
        with pytest.raises(UserError, match="status holds no numbers"):
            make(table, "status")
        if "width_rule" in table.columns:
            with pytest.raises(UserError, match="Unknown width rule"):
                make(table.with_columns(width_rule=pl.lit("k = 7")))

    def test_the_order_of_the_rows_does_not_change_the_image(self, make, table, tmp_path):
        if make is plots.factors:  # panels and settings are in the order of the table
            reordered = table.sort("seed", descending=True, maintain_order=True)
        else:
            reordered = table.sample(fraction=1, shuffle=True, seed=3)
        for name, rows in (("a", table), ("b", reordered)):
            plots.save(make(rows), tmp_path / name)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

    def test_texts_neither_overlap_nor_leave_the_page(self, make, table, tmp_path):
        figure = make(table)
        plots.save(figure, tmp_path / "figure")
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        axes = [panel for panel in figure.axes if panel.get_legend() is not None]
        boxes = [figure._supxlabel.get_window_extent(renderer)]
        for panel in axes:
            boxes += [
                label.get_window_extent(renderer) for label in (panel.xaxis.label, panel.yaxis.label, panel.title)
            ]
            boxes.append(panel.get_window_extent(renderer))
        boxes = [box for box in boxes if box.width > 0 and box.height > 0]
        for index, box in enumerate(boxes):
            assert box.x0 >= -1 and box.y0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
            assert not any(box.overlaps(other) for other in boxes[index + 1 :])
        for panel in axes:  # no point, curve or fit under a legend; the law may leave the data and go where it must
            frame = panel.get_legend().get_window_extent(renderer)
            for points in panel.collections:
                assert not any(frame.contains(*xy) for xy in panel.transData.transform(points.get_offsets()))
            for line in panel.get_lines():
                if len(line.get_xdata()) and "law's shape" not in line.get_label():
                    path = line.get_path().transformed(panel.transData).interpolated(50)
                    assert not any(frame.contains(*xy) for xy in path.vertices)

    def test_the_style_is_undone(self, make, table):
        before = dict(matplotlib.rcParams)
        make(table)
        assert dict(matplotlib.rcParams) == before


def test_save_writes_both_files_whole_and_leaves_nothing_else(tmp_path):
    figure = plots.figure2(experiment1())
    paths = plots.save(figure, tmp_path / "new" / "folder" / "figure2.pdf")
    assert [path.name for path in paths] == ["figure2.png", "figure2.pdf"]
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["figure2.pdf", "figure2.png"]
    png, pdf = (path.read_bytes() for path in paths)
    assert png.startswith(b"\x89PNG") and png.endswith(b"IEND\xaeB`\x82")
    assert pdf.startswith(b"%PDF") and pdf.rstrip().endswith(b"%%EOF")
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == tuple(round(160 * inches) for inches in figure.get_size_inches())
    assert plots.save(figure, tmp_path / "run.v1")[0].name == "run.v1.png"


def test_equal_figures_are_equal_files(tmp_path):
    first = plots.save(plots.figure2(experiment1()), tmp_path / "first")
    second = plots.save(plots.figure2(experiment1()), tmp_path / "second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_disk_that_takes_no_more_is_one_sentence_and_the_old_figure_stays(tmp_path):
    resource = pytest.importorskip("resource")
    figure = plots.figure2(experiment1())
    old = [path.read_bytes() for path in plots.save(figure, tmp_path / "figure")]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old[0]) // 2, limits[1]))
    try:
        with pytest.raises(UserError, match=r"^Cannot write the figure [^\n]*\.$"):
            plots.save(figure, tmp_path / "figure")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.pdf", "figure.png"]
    assert [path.read_bytes() for path in (tmp_path / "figure.png", tmp_path / "figure.pdf")] == old


def test_a_file_where_a_folder_should_be_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("not a folder")
    with pytest.raises(UserError, match=r"^Cannot write the figure [^\n]*\.$"):
        plots.save(plots.figure2(experiment1()), tmp_path / "taken" / "figure")


def test_plotting_does_not_start_pyplot():
    code = "import sys; from lawjax import plots; plots.figure1; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def built(conditions=(True, True, False)):
    rows = []
    for name in ("grouped caps", "tensor", "trained"):
        for k, holds in zip((100, 25, 4), conditions, strict=True):
            for seed in range(2):
                low = float(4.0 * 100 / k + seed)
                row = {"construction": name, "n": 100, "width": k, "seed": seed, "conditions": holds}
                rows.append(row | {"lower_sphere": low, "upper_sphere": 1.5 * low})
    return pl.DataFrame(rows)


def test_constructions_are_marks_with_lines_up_to_their_certificates():
    figure = plots.constructions(built())
    axes = figure.axes[0]
    (line,) = [c for c in axes.collections if hasattr(c, "get_segments") and len(c.get_segments()) == 3][:1]
    ends = np.array(line.get_segments())
    np.testing.assert_allclose(ends[:, :, 0], np.sqrt([[1, 1], [4, 4], [25, 25]]))
    np.testing.assert_allclose(ends[:, 1, 1], 1.5 * ends[:, 0, 1])
    marks = [c for c in axes.collections if hasattr(c, "get_offsets") and len(c.get_offsets())]
    filled = [c for c in marks if c.get_label() in ("grouped caps (Theorem 1)",)]
    np.testing.assert_allclose(filled[0].get_offsets(), [[1.0, 4.5], [2.0, 16.5]])
    assert "Open marks: 6 for which" in figure.get_supxlabel().replace("\n", " ")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("draw", [plots.constructions, plots.lower_bounds, plots.capacity])
def test_other_tables_are_refused_with_the_script_to_run(draw):
    with pytest.raises(UserError, match=r"run experiments/\w+\.py"):
        draw(pl.DataFrame({"n": [1]}))


def test_the_phase_diagram_shows_counts_and_intervals():
    cells = pl.DataFrame(
        {
            "d": [10, 10, 10, 10],
            "n": [20, 20, 40, 40],
            "k": [1, 4, 2, 8],
            "n_over_d": [2.0, 2.0, 4.0, 4.0],
            "kd_over_n": [0.5, 2.0, 0.5, 2.0],
            "tried": [5, 5, 5, 5],
            "fitted": [0, 5, 1, 4],
            "share": [0.0, 1.0, 0.2, 0.8],
            "low": [0.0, 0.6, 0.1, 0.5],
            "high": [0.4, 1.0, 0.5, 0.9],
        }
    )
    figure = plots.capacity(cells)
    top, below = figure.axes[0], figure.axes[1]
    assert sorted(text.get_text() for text in top.texts) == ["0", "1", "4", "5"]
    curves = [line for line in below.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_ydata() for line in curves], [[0.0, 1.0], [0.2, 0.8]])
    assert "20 networks, 5 for each" in figure.get_supxlabel().replace("\n", " ")
