"""Tables for every figure, from one network to a grid, with numbers that lie where a legend or a label might be."""

import itertools

import polars as pl

from lawjax import plots

CONFIGURATION = {"data_model": "gaussian", "optimizer": "adam", "learning_rate": 1e-3, "optimizer_options": "{}"}
CONFIGURATION |= {"epsilon": 0.02, "step_limit": 3000, "batch_size": None, "hidden_scale": 1.0, "readout_scale": 1.0}
CONFIGURATION |= {"batch_norm": True, "readout_bias": True, "activation": "relu", "dtype": "float32", "points": 1000}
CONFIGURATION |= {"ascent_starts": 32, "ascent_steps": 40}


def network(n, d, k, seed, steepness=1.0, loose=1.2, **others):
    """A row of a sweep: a proxy near `steepness` sqrt(n/k), certificates `loose` times the lower bound."""
    proxy = steepness * (n / k) ** 0.5 * (1.0 + 0.1 * seed) + 0.01 * d
    row = {"n": n, "d": d, "k": k, "seed": seed, "status": "fitted", "fitted": True, "steps": 10, "proxy": proxy}
    row |= {"linear_part": 0.5 * proxy, "residual": 0.7 * proxy, "ascent": 1.05 * proxy, "lower_space": 1.1 * proxy}
    row |= {"upper_space": 1.1 * loose * proxy, "lower_sphere": 1.1 * proxy, "upper_sphere": 1.1 * loose * proxy}
    return {**row, "spectral_product": 3.0 * loose * proxy, **CONFIGURATION, **others}


def frame(rows):
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col("batch_size").cast(pl.Int64))


def sweep(n, d, k, seeds):
    return frame([network(*each, loose=1.1 + each[2] / 200) for each in itertools.product(n, d, k, range(seeds))])


def rules(n, d, seeds, **others):
    rows = []
    for of_d, seed in itertools.product(d, range(seeds)):
        for rule, k in (("k = n", n), ("k = 10n/d", 10 * n // of_d)):
            loose = 1.2 + 100 / of_d  # where d is small, certificates leave the figure
            rows.append(network(n, of_d, k, seed, 2.0, loose, width_rule=rule, **{"epsilon": 0.1, **others}))
    return frame(rows)


def choices(n, d, seeds, factors):
    tables = []
    for factor in range(factors):
        for setting in range(4):
            words = {"factor": f"factor {factor}", "setting": f"a setting with a long name, {setting}"}
            tables.append(rules(n, d, seeds, **words, is_default=setting == 0))
    return pl.concat(tables)


def cells(d, points, shares):
    rows = []
    for of_d, ratio, share in itertools.product(d, points, shares):
        row = {"d": of_d, "n": ratio * of_d, "k": max(1, round(share * ratio)), "n_over_d": float(ratio)}
        row |= {"kd_over_n": float(share), "tried": 4, "fitted": 4 * (share > 1), "share": float(share > 1)}
        rows.append({**row, "low": 0.3, "high": 0.9, **CONFIGURATION})
    return frame(rows)


def built(names, ratios, seeds):
    rows = []
    for name, ratio, seed in itertools.product(names, ratios, range(seeds)):
        row = {"construction": name, "n": 100, "width": 100 // ratio, "seed": seed, "conditions": ratio < 10}
        rows.append({**row, "lower_sphere": 4.0 * ratio, "upper_sphere": 6.0 * ratio})
    return pl.DataFrame(rows)


def bounds(k, ratios, seeds):
    nothing = dict.fromkeys(("theorem4", "floor", "lower", "upper", "theorem7", "least_norm", "least_frobenius"))
    rows = []
    for seed in range(seeds):
        for of_k in k:
            row = {"kind": "trained", "n": 100, "d": 20, "k": of_k, "seed": seed, "fitted": True, **nothing}
            rows.append({**row, "theorem4": 3.0 / of_k, "floor": 1.5, "lower": 9.0, "upper": 10.0, "theorem2": None})
        for ratio in ratios:
            row = {"kind": "quadratic", "n": 10 * ratio, "d": 10, "k": 10, "seed": seed, "fitted": True, **nothing}
            row |= {"theorem7": 2.0 * ratio, "least_norm": 2.1 * ratio, "least_frobenius": 3.0 * ratio}
            rows.append({**row, "theorem2": 4.0 * ratio})
    return pl.DataFrame(rows, infer_schema_length=None)


def frontier(sizes, ratios, seeds):
    rows = []
    for (n, d), ratio, seed in itertools.product(sizes, ratios, range(seeds)):
        k = n // ratio
        one = {**plots.USUAL, "n": n, "d": d, "k": k, "seed": seed, "fitted": True, "floor": 0.5, "theorem4": 0.8}
        for source, upper in (("frontier", 1.5 * ratio**0.5), ("adam", 8.0)):
            for where in ({}, {"model": "sphere", "domain": "sphere"}):
                rows.append({"source": source, **one, "lower": 0.9 * upper, "upper": upper, **where})
        for change in ({"fit": "exact"}, {"fit": "0.5"}, {"activation": "tanh"}, {"model": "clustered"}):
            rows.append({"source": "frontier", **one, "lower": 2.0 * ratio**0.5, "upper": 2.1 * ratio**0.5, **change})
    return pl.DataFrame(rows)


def constants(n, ratios, fits, seeds):
    rows = []
    for of_n, ratio, fit, seed in itertools.product(n, ratios, fits, range(seeds)):
        row = {"fit": fit, "ratio": ratio, "n": of_n, "d": of_n // ratio, "k": 10, "seed": seed, "fitted": True}
        upper = (1.2 + 0.1 * ratio + 0.3 * (fit == "exact")) * (of_n / 10) ** 0.5
        rows.append({**row, "lower": 0.9 * upper, "upper": upper})
    return pl.DataFrame(rows)


def depths(neurons, layers, seeds):
    rows = []
    for m, of_layers, seed in itertools.product(neurons, layers, range(seeds)):
        row = {"layers": of_layers, "neurons": m, "n": 100, "d": 20, "seed": seed, "fitted": True}
        rows.append({**row, "lower": 0.8 * m ** (-0.2 * of_layers), "upper": m ** (-0.2 * of_layers)})
    return pl.DataFrame(rows)


def depth(table):
    return plots.frontier_depth(table, 0.02)


ONE_SIZE = [(100, 20)]
SMALL = {  # one network, or one of each kind
    "figure1": (plots.figure1, rules(1000, [20], 1)),
    "figure2": (plots.figure2, sweep([100], [20], [10], 1)),
    "figure3": (plots.figure3, rules(1000, [20], 1)),
    "ratios": (plots.ratios, sweep([100], [20], [10], 1)),
    "factors": (plots.factors, choices(1000, [20], 1, 1)),
    "capacity": (plots.capacity, cells([20], [2], [1])),
    "constructions": (plots.constructions, built(["linear"], [1], 1)),
    "lower_bounds": (plots.lower_bounds, bounds([10], [2], 1)),
    "law": (plots.frontier_law, frontier(ONE_SIZE, [1], 1)),
    "flat": (plots.frontier_flat, frontier(ONE_SIZE, [1], 1)),
    "frontier factors": (plots.frontier_factors, frontier(ONE_SIZE, [1], 1)),
    "frontier constructions": (plots.frontier_constructions, frontier(ONE_SIZE, [1], 1)),
    "constant": (plots.frontier_constant, constants([100], [2], ["exact"], 1)),
    "depth": (depth, depths([10], [1], 1)),
}
MIDDLE = {  # two or three of each size, two seeds
    "figure1": (plots.figure1, rules(1000, [10, 500], 2)),
    "figure2": (plots.figure2, sweep([100, 200], [20], [10, 100], 2)),
    "figure3": (plots.figure3, rules(1000, [10, 500], 2)),
    "ratios": (plots.ratios, sweep([100, 200], [20], [10, 100], 2)),
    "factors": (plots.factors, choices(1000, [20, 500], 2, 2)),
    "capacity": (plots.capacity, cells([20], [1, 2], [0.5, 8])),
    "constructions": (plots.constructions, built(["linear", "caps", "tensor"], [1, 25], 2)),
    "lower_bounds": (plots.lower_bounds, bounds([1, 100], [1, 5], 2)),
    "law": (plots.frontier_law, frontier([(100, 20), (200, 20)], [1, 10], 2)),
    "flat": (plots.frontier_flat, frontier([(100, 20), (100, 50)], [1, 2, 5], 2)),
    "frontier factors": (plots.frontier_factors, frontier([(100, 20)], [1, 10], 2)),
    "frontier constructions": (plots.frontier_constructions, frontier([(100, 20)], [1, 10], 2)),
    "constant": (plots.frontier_constant, constants([100, 400], [2, 4], ["0.02", "exact"], 2)),
    "depth": (depth, depths([10, 400], [1, 2], 2)),
}
LARGE = {
    "figure1": (plots.figure1, rules(10_000, [10, 20, 50, 100, 200, 500, 1000], 3)),
    "figure2": (plots.figure2, sweep([100, 200, 500, 1000], [20, 50, 100], [5, 10, 50, 100], 3)),
    "figure3": (plots.figure3, rules(10_000, [10, 20, 50, 100, 200, 500, 1000], 3)),
    "ratios": (plots.ratios, sweep([100, 200, 500, 1000], [20, 50, 100], [5, 10, 50, 100], 3)),
    "factors": (plots.factors, choices(1000, [20, 100, 500], 2, 7)),
    "capacity": (plots.capacity, cells([20, 50], [1, 2, 4, 8, 16, 32], [0.25, 0.5, 1, 2, 4, 8])),
    "constructions": (plots.constructions, built(["grouped caps", "tensor", "trained"], [1, 4, 10, 25, 100], 3)),
    "lower_bounds": (plots.lower_bounds, bounds([1, 2, 5, 10, 20, 50, 100], [1, 2, 5, 10, 20], 3)),
    "law": (plots.frontier_law, frontier([(100, 20), (200, 20), (200, 50), (400, 100)], [1, 2, 5, 10], 3)),
    "flat": (plots.frontier_flat, frontier([(400, 20), (400, 50), (400, 100)], [1, 2, 5, 10], 3)),
    "frontier factors": (plots.frontier_factors, frontier([(400, 100)], [1, 2, 5, 10], 3)),
    "frontier constructions": (plots.frontier_constructions, frontier([(400, 100)], [1, 2, 5, 10], 3)),
    "constant": (plots.frontier_constant, constants([100, 200, 400, 800], [2, 4, 8], ["0.02", "exact"], 3)),
    "depth": (depth, depths([10, 20, 50, 100, 400], [1, 2], 3)),
}
