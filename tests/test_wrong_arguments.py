"""Every public function given the wrong thing for every argument: one sentence, never another exception."""

import dataclasses
import inspect
import warnings

import jax
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

import lawjax
from lawjax import (
    Dataset,
    TwoLayer,
    UserError,
    activations,
    constructions,
    data,
    fits,
    frontier,
    lipschitz,
    lower_bounds,
    plots,
    tensors,
)
from lawjax.lipschitz.lower.effort import Annealing, Patterns, SmoothWalks, Walks
from lawjax.sweep import ProbeConfig
from lawjax.sweep.grid import Grid
from lawjax.sweep.store import Store
from lawjax.train.config import TrainingConfig
from lawjax.tuning import Tuning

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 3))
DATASET = Dataset(X, np.array([1.0, -1, 1, -1, 1, -1]))
NETWORK = TwoLayer(RNG.standard_normal((4, 3)), RNG.standard_normal(4), RNG.standard_normal(4))
FORM = TwoLayer(RNG.standard_normal((4, 3)), np.zeros(4), RNG.standard_normal(4), activation="power:2")
KEY = jax.random.key(0)
STACK = TwoLayer(np.ones((2, 4, 3)), np.ones((2, 4)), np.ones((2, 4)))


class Stranger:
    """What no function knows, and whose text is of no use."""

    def __repr__(self):
        raise RuntimeError("no text\nat all")


NOTHING_KNOWN = [Stranger(), b"\0", 1j, [[1.0], [2.0, 3.0]], {"a": 1}, lambda: None]
WRONG = {
    "network": [None, "f.npz", 3.0, np.eye(3), STACK, DATASET, *NOTHING_KNOWN],
    "networks": [None, "f.npz", 3.0, np.eye(3), [None], [NETWORK, "a"], DATASET, *NOTHING_KNOWN],
    "dataset": [
        *(None, "d.npz", 3.0, np.eye(3), NETWORK, (X,), (X, X), Dataset(X, DATASET.y[:-1]), Dataset(X, 2 * DATASET.y)),
        *(Dataset(X * np.nan, DATASET.y), Dataset(X * 1j, DATASET.y), Dataset([["a"]], [1]), Dataset(None, None)),
        *NOTHING_KNOWN,
    ],
    "whole": [None, "3", np.nan, np.inf, -np.inf, -1, 2.5, [], [1], np.ones(2), *NOTHING_KNOWN],
    "optional whole": ["3", np.nan, np.inf, -1, 0, 2.5, [], [1], *NOTHING_KNOWN],
    "positive": [None, "1.5", np.nan, np.inf, -1.0, 0.0, [], [1.0], np.ones(2), 10**400, *NOTHING_KNOWN],
    "number": [None, "1.5", np.nan, [], np.ones(2), *NOTHING_KNOWN],
    "share": [None, "0.5", np.nan, 1.5, -0.5, [], np.ones(2), *NOTHING_KNOWN],
    "pair": [None, "ab", 1.0, (), (1.0,), (1.0, np.nan), ("a", "b"), (1.0, 2.0, 3.0), *NOTHING_KNOWN],
    "flag": [None, "yes", 2, np.nan, [], np.ones(2), *NOTHING_KNOWN],
    "domain": [None, "cube", "", 3, np.nan, [], ["space"], *NOTHING_KNOWN],
    "sphere": [None, "sphere", 3, np.nan, [], lipschitz.Ball(), *NOTHING_KNOWN],
    "domains": [None, [], ["cube"], 3, [None], [["space"]], *NOTHING_KNOWN],
    "activation": [None, "sin", "", "power:x", "power:0", "polynomial:nan", 3, np.nan, [], *NOTHING_KNOWN],
    "key": [None, 0, "a", 2.5, np.nan, [], np.zeros(2), jax.random.split(KEY), *NOTHING_KNOWN],
    "optional key": [0, "a", 2.5, np.nan, [], np.zeros(2), jax.random.split(KEY), *NOTHING_KNOWN],
    "points": [None, "a", 3.0, X[0], X[:, :2], X[None], X * np.nan, X * 1j, [["a", "b", "c"]], [], *NOTHING_KNOWN],
    "optional points": ["a", 3.0, X[0], X[:, :2], X * np.nan, X * 1j, [["a", "b", "c"]], [], *NOTHING_KNOWN],
    "values": [None, "a", 3.0, X, np.ones(5), [np.nan] * 6, ["a"] * 6, [1j] * 6, *NOTHING_KNOWN],
    "optional values": ["a", 3.0, X, np.ones(5), [np.nan] * 6, ["a"] * 6, [1j] * 6, *NOTHING_KNOWN],
    "weights": [None, "a", 3.0, np.ones(9), [["a"]], np.full((4, 3), np.nan), np.ones((4, 3)) * 1j, *NOTHING_KNOWN],
    "constant": ["a", np.ones(3), np.nan, [1j], *NOTHING_KNOWN],
    "any optional points": ["a", 3.0, X[0], X * np.nan, X * 1j, [["a", "b", "c"]], [], *NOTHING_KNOWN],
    "any points": [None, "a", 3.0, X[0], X[None], X * np.nan, X * 1j, [["a", "b", "c"]], [], *NOTHING_KNOWN],
    "optional": [3.5, "config", [1], np.ones(2), *NOTHING_KNOWN],
    "path": [None, 3, 2.5, [], np.ones(2), "no/such/folder/file", Stranger(), 1j, {"a": 1}],
    "any": [],
    "any path": [None, 3, 2.5, [], np.ones(2), Stranger(), 1j, {"a": 1}],
    "widths": [None, "3", np.nan, np.inf, -1, 0, 2.5, [], [0], [2, 2], [2.5], ["a"], *NOTHING_KNOWN],
    "factors": [None, 3, "n", [], {}, {"n": None}, {"n": np.ones(5)}, {"n": -np.ones(6)}, *NOTHING_KNOWN[:4]],
    "groups": [None, 3, "a", np.ones(5), X, [1, "a", None, {}, 2, 3], *NOTHING_KNOWN],
    "dtype": [None, "float33", 3, np.int32, "complex64", *NOTHING_KNOWN],
    "table": [None, 3, "table.parquet", [], {}, np.ones(3), pl.DataFrame(), pl.DataFrame({"n": [1]}), *NOTHING_KNOWN],
    "tensor": [None, "a", 3.0, np.ones((2, 3)), np.full((2, 2), np.nan), [["a"]], [[1j]], *NOTHING_KNOWN],
    "fit": [None, "x", "", "1.5", "0", "-0.5", "nan", 2, [], *NOTHING_KNOWN],
    "problems": [None, 3, "a", [None], [DATASET], [frontier.Problem(None, 2, KEY)], [frontier.Problem(DATASET, 0, KEY)]]
    + [[frontier.Problem(DATASET, 2, 0)], [frontier.Problem(DATASET, 2, KEY, [None])], *NOTHING_KNOWN],
    "grid": [None, "100", 3, [], [0], [-1], [2.5], ["a"], [np.nan], *NOTHING_KNOWN],
}
QUICK = frontier.FrontierConfig(steps=1, starts=1)
TRAIN = TrainingConfig(step_limit=1)
PARTS = {
    field.name: field.default for field in dataclasses.fields(lipschitz.Search) if isinstance(field.default, Tuning)
}
ON = {"domain": ("domain", "sphere")}
OF_NETWORK = {"network": ("network", NETWORK)}
OF_DATA = {"dataset": ("dataset", DATASET)}
FIT = {"n_resamples": ("whole", 10), "level": ("share", 0.9), "rng_seed": ("whole", 0)}
LINE = {"x": ("values", np.arange(1.0, 7)), "y": ("values", X[:, 0] ** 2 + 1), "groups": ("groups", [0, 0, 1, 1, 2, 2])}
DRAW = {"key": ("key", KEY), "n": ("whole", 4), "d": ("whole", 3), "dtype": ("dtype", np.float32)}
FIRST = {
    name: next(iter(inspect.signature(getattr(plots, name)).parameters), "")
    for name in plots.__all__
    if callable(getattr(plots, name))
}
FIGURES = {getattr(plots, name): first for name, first in FIRST.items() if first in ("table", "cells")}


def read_run(root):
    return Store(root).table()


# function: {argument: (kind, a right value)}
CALLS = {
    TwoLayer: {
        "W": ("weights", NETWORK.W),
        "b": ("optional", NETWORK.b),
        "a": ("values", NETWORK.a),
        "c": ("constant", 0.0),
        "activation": ("activation", "relu"),
    },
    TwoLayer.load: {"path": ("path", None)},
    activations.get: {"name": ("activation", "relu")},
    data.dataset: {"x": ("any points", X), "y": ("values", DATASET.y)},
    data.load: {"path": ("path", None)},
    data.gaussian: DRAW,
    data.sphere: DRAW,
    data.low_rank: {**DRAW, "rank": ("whole", 2)},
    data.clustered: {**DRAW, "clusters": ("whole", 2), "spread": ("share", 0.5)},
    data.floor: OF_DATA,
    constructions.linear: OF_DATA,
    constructions.caps: {**OF_DATA, "threshold": ("share", 0.9)},
    constructions.ramps: {**OF_DATA, "width": ("positive", 0.25)},
    constructions.grouped_caps: {**OF_DATA, "k": ("whole", 3), "clustered": ("flag", False)},
    constructions.tensor: {**OF_DATA, "order": ("whole", 2), "exact": ("flag", False)},
    constructions.partial_tensor: {**OF_DATA, "coordinates": ("whole", 2)},
    constructions.smoothest_quadratic: {**OF_DATA, "steps": ("whole", 10), "tolerance": ("positive", 0.1)},
    fits.affine: {**LINE, **FIT},
    fits.power_law: {**LINE, **FIT},
    fits.monomial: {"factors": ("factors", {"n": np.arange(1.0, 7)}), **{k: LINE[k] for k in ("y", "groups")}, **FIT},
    fits.proportion: {"successes": ("whole", 1), "trials": ("whole", 3), "level": ("share", 0.9)},
    lower_bounds.floor: {**OF_DATA, "epsilon": ("number", 0.1)},
    lower_bounds.conjecture1: {**OF_DATA, "k": ("whole", 3)},
    lower_bounds.theorem3: {**OF_DATA, "k": ("whole", 3), "biases": ("flag", False)},
    lower_bounds.theorem3_path: OF_DATA,
    lower_bounds.theorem4: {
        **OF_DATA,
        "k": ("whole", 3),
        "values": ("optional values", X[:, 0]),
        "errors": ("optional values", X[:, 0] ** 2),
        "epsilon": ("number", 0.1),
    },
    lower_bounds.theorem5: {**OF_DATA, "order": ("whole", 2)},
    lower_bounds.theorem6: {**OF_DATA, "degree": ("whole", 2)},
    lower_bounds.markov_coefficient: {"degree": ("whole", 3), "power": ("whole", 1)},
    lower_bounds.theorem7: {**OF_DATA, "k": ("whole", 3)},
    lower_bounds.bubeck_sellke: {**OF_DATA, "k": ("whole", 3)},
    lower_bounds.network_bounds: {**OF_NETWORK, **OF_DATA},
    lower_bounds.all: {**OF_DATA, "k": ("whole", 3), "activation": ("activation", "relu")},
    lower_bounds.table: {"bounds": ("networks", [lower_bounds.conjecture1(DATASET, 3)])},
    tensors.power_form: {"directions": ("weights", FORM.W), "coefficients": ("values", FORM.a), "order": ("whole", 2)},
    tensors.data_form: {**OF_DATA, "order": ("whole", 2)},
    tensors.order_of: {"form": ("network", FORM)},
    tensors.dense: {"form": ("network", FORM)},
    tensors.decompose: {"T": ("tensor", np.eye(2))},
    tensors.operator_norm: {
        "form": ("network", FORM),
        "key": ("optional key", KEY),
        "starts": ("whole", 2),
        "steps": ("whole", 2),
    },
    tensors.frobenius_norm: {"form": ("network", FORM)},
    tensors.nuclear_norm_bound: {"form": ("network", FORM)},
    tensors.largest_eigenvalues: {"form": ("network", FORM), "k": ("whole", 2)},
    tensors.lipschitz_bound: {"form": ("network", FORM)},
    tensors.lemma4_ratio: {**OF_DATA, "points": ("points", X), "order": ("whole", 2)},
    tensors.lemma5_ratio: {**OF_DATA, "order": ("whole", 2)},
    lipschitz.ascend: {
        **OF_NETWORK,
        "key": ("key", KEY),
        "n_starts": ("whole", 2),
        "steps": ("whole", 2),
        "sphere": ("sphere", lipschitz.Sphere()),
        "dimension": ("optional whole", 3),
        "starts": ("optional points", X),
        "annealing": ("optional", Annealing()),
    },
    lipschitz.max_random_gradient: {
        **OF_NETWORK,
        "key": ("key", KEY),
        "n_points": ("whole", 2),
        "dimension": ("optional whole", 3),
    },
    lipschitz.Search: {
        "starts": ("whole", 2),
        "steps": ("whole", 2),
        "points": ("any optional points", X),
        "key": ("optional key", KEY),
        "large": ("whole", 1000),
        "close": ("pair", (1e-9, 1e-3)),
        "measured": ("whole", 16),
        **{name: ("optional", part) for name, part in PARTS.items()},
    },
    **{type(part): {"rounds": ("whole", 2)} for part in (Patterns(), Walks(), SmoothWalks())},
    Annealing: {"sharpness": ("pair", (1.0, 100.0)), "momentum": ("positive", 0.5)},
    lipschitz.bracket: {"networks": ("networks", NETWORK), **ON, "search": ("optional", lipschitz.Search(2, 2))},
    lipschitz.brackets: {
        "networks": ("networks", [NETWORK]),
        "domains": ("domains", ["sphere"]),
        "search": ("optional", lipschitz.Search(2, 2)),
    },
    lipschitz.certify: {**OF_NETWORK, **ON, "by_cells": ("flag", True)},
    lipschitz.exact_space: OF_NETWORK,
    lipschitz.exact_circle: {
        "network": ("network", TwoLayer([[1.0, 2.0]], [0.1], [1.0])),
        "circle": ("sphere", lipschitz.Sphere()),
    },
    lipschitz.kink_bound: {**OF_NETWORK, "sphere": ("sphere", lipschitz.Sphere()), "tried": ("whole", 3)},
    lipschitz.Ball: {"radius": ("positive", 1.0)},
    lipschitz.Sphere: {"radius": ("positive", 1.0), "tangential": ("flag", False)},
    lipschitz.pair_bound: {**OF_NETWORK, "x": ("points", X)},
    lipschitz.path_product: OF_NETWORK,
    lipschitz.spectral_product: OF_NETWORK,
    lipschitz.polynomial_bound: {"network": ("network", FORM), **ON, "ascents": ("flag", True)},
    frontier.FrontierConfig: {
        "epsilon": ("share", 0.1),
        "activation": ("activation", "relu"),
        "domain": ("domain", "space"),
        "steps": ("whole", 1),
        "starts": ("whole", 1),
        "rate": ("positive", 1.0),
    },
    frontier.epsilon_of: {"fit": ("fit", "0.5")},
    frontier.search_all: {"problems": ("problems", [frontier.Problem(DATASET, 2, KEY)]), "config": ("optional", QUICK)},
    frontier.search: {
        **OF_DATA,
        "k": ("whole", 2),
        "config": ("optional", QUICK),
        "key": ("optional key", KEY),
        "initial": ("networks", ()),
    },
    frontier.search_deep: {
        **OF_DATA,
        "k": ("whole", 2),
        "config": ("optional", QUICK),
        "key": ("optional key", KEY),
        "inner": ("optional whole", 2),
    },
    frontier.resized: {**OF_NETWORK, "k": ("whole", 2)},
    frontier.shrunk: {**OF_NETWORK, **OF_DATA, "epsilon": ("number", 0.1), "constant": ("flag", True)},
    frontier.interpolating: {**OF_NETWORK, **OF_DATA, "biases": ("flag", True)},
    TrainingConfig: {
        "epsilon": ("positive", 0.1),
        "optimizer": ("activation", "adam"),
        "learning_rate": ("positive", 0.1),
        "optimizer_options": ("optional", ()),
        "step_limit": ("whole", 10),
        "batch_size": ("optional whole", None),
        "hidden_scale": ("positive", 1.0),
        "readout_scale": ("positive", 1.0),
        "batch_norm": ("flag", True),
        "readout_bias": ("flag", True),
        "activation": ("activation", "relu"),
        "dtype": ("dtype", "float32"),
    },
    lawjax.memorize: {
        **OF_DATA,
        "widths": ("widths", 2),
        "key": ("key", KEY),
        "config": ("optional", TRAIN),
        "chunk": ("whole", 1),
    },
    lawjax.loss_curve: {
        **OF_DATA,
        "width": ("whole", 2),
        "key": ("key", KEY),
        "steps": ("whole", 1),
        "config": ("optional", TRAIN),
    },
    ProbeConfig: {
        "points": ("whole", 1),
        "ascent_starts": ("whole", 1),
        "ascent_steps": ("whole", 1),
        "brackets": ("flag", True),
    },
    Grid: {"n": ("grid", (10,)), "d": ("grid", (3,)), "k": ("grid", (2,)), "seeds": ("whole", 1)},
    read_run: {"root": ("any path", None)},
    NETWORK.save: {"path": ("path", None)},
    **{function: {name: ("table", None)} for function, name in FIGURES.items()},
    plots.frontier_depth: {"table": ("table", None), "epsilon": ("any", 0.1)},
    plots.save: {"figure": ("any", Figure()), "path": ("any path", None)},
}
CASES = [(call, name) for call, arguments in CALLS.items() for name in arguments]
NONE_RIGHT = ("path", "any path", "table")  # no right value at hand: only wrong ones are passed


def called(call):
    return f"{getattr(call, '__module__', '')}.{getattr(call, '__qualname__', call)}"


@pytest.mark.parametrize("call, name", CASES, ids=[f"{called(call)}-{name}" for call, name in CASES])
def test_a_wrong_argument_gets_one_sentence(call, name):
    arguments = {key: right for key, (_, right) in CALLS[call].items()}
    kind = CALLS[call][name][0]
    faults = []
    for value in WRONG[kind]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                call(**arguments | {name: value})
        except UserError as error:
            text = str(error)
            if "\n" in text or not 20 < len(text) < 400 or not text.endswith((".", ")")):
                faults.append(f"no sentence: {text!r}")
        except Exception as error:
            faults.append(f"{shown(value)}: {type(error).__name__}: {str(error)[:80]!r}")
        else:
            faults.append(f"{shown(value)} is accepted")
    assert not faults, "\n".join(faults)


def shown(value):
    try:
        return repr(value)[:50]
    except RuntimeError:
        return "a stranger"


def test_right_arguments_are_taken():
    for call, arguments in CALLS.items():
        if not any(kind in NONE_RIGHT for kind, _ in arguments.values()):
            call(**{key: right for key, (_, right) in arguments.items()})


def test_every_public_function_is_in_the_table():
    known = {called(call) for call in CALLS}
    for room in (lawjax, constructions, data, fits, lower_bounds, tensors, lipschitz, frontier, plots):
        names = getattr(room, "__all__", [name for name in vars(room) if not name.startswith("_")])
        for name in names:
            thing = getattr(room, name)
            if inspect.isfunction(thing) and thing.__module__.startswith(room.__name__):
                assert called(thing) in known or name in NOT_FOR_USERS, called(thing)


NOT_FOR_USERS = ("checked", "twins", "float64", "centre", "differences", "distances", "style")
