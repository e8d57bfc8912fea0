"""Exact constants for d <= 2: known answers, the enumeration of cells, and the checker, which goes its own way."""

import json
import math

import numpy as np
import pytest

import lawjax
from lawjax import TwoLayer, UserError, check
from lawjax.domains import Ball, Sphere, named
from lawjax.lipschitz import certify, exact_circle, exact_space
from lawjax.lipschitz.lower import cells

HAT = TwoLayer([[1.0]] * 3, [1.0, 0.0, -1.0], [1.0, -2.0, 1.0])
RIM = TwoLayer(  # integers put kinks through points of the unit circle
    [[-1, 1], [1, 1], [-1, 0], [0, -1], [-2, -1], [0, -2], [1, -1], [0, -1], [-2, -2]],
    [-2, 1, 0, 0, -2, 2, -1, -1, -2],
    [2, -2, 1, 2, -2, 2, -2, -2, -2],
    activation="abs",
)
KNOWN = {  # network, domain, tangential, value
    "hat": (HAT, "space", False, 1.0),
    "hat, both ends on kinks": (HAT, "sphere", False, 0.0),
    "ramp": (TwoLayer([[2.0], [2.0]], [0.0, -1.0], [1.0, -1.0]), "space", False, 2.0),
    "clip": (TwoLayer([[1.0], [1.0]], [1.0, -1.0], [1.0, -1.0]), "ball", False, 1.0),
    "|x|": (TwoLayer([[1.0], [-1.0]], [0.0, 0.0], [1.0, 1.0]), "space", False, 1.0),
    "|x| + |y|": (TwoLayer(np.eye(2), np.zeros(2), np.ones(2), 0.0, "abs"), "space", False, math.sqrt(2)),
    "|x| + |y|, along": (TwoLayer(np.eye(2), np.zeros(2), np.ones(2), 0.0, "abs"), "sphere", True, 1.0),
    "0": (TwoLayer([[1.0, 2.0]] * 2, [0.3, 0.3], [1.0, -1.0]), "space", False, 0.0),
    "x": (TwoLayer([[1.0], [-1.0]], [0.0, 0.0], [1.0, -1.0]), "sphere", False, 1.0),
    "tangent": (TwoLayer([[3.0, 4.0]], [-5.0], [1.0]), "sphere", False, 0.0),
    "tangent from inside": (TwoLayer([[3.0, 4.0]], [5.0], [1.0]), "ball", False, 5.0),
    "thin cap": (TwoLayer([[1.0, 0.0]], [-(1.0 - 2.0**-40)], [1.0]), "sphere", True, math.sqrt(2.0**-39 - 2.0**-80)),
    "unused column": (TwoLayer([[1.0, 0.0, 0.0]], [-0.5], [2.0]), "sphere", False, 2.0),
    "kinks on the rim": (RIM, "sphere", True, 18.35755975068582),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers(name, tmp_path):
    network, domain, tangential, value = KNOWN[name]
    found = lawjax.bracket(network, named(domain, tangential=tangential))
    assert found.lower == pytest.approx(value, rel=1e-9, abs=0.0)
    assert found.upper == pytest.approx(value, rel=1e-13, abs=0.0)
    record = found.proof.record(network)
    network.save(tmp_path / "f.npz")
    for bound, holds in ((record["bound"], True), (record["bound"] * (1 - 1e-9), value == 0.0)):
        (tmp_path / "c.json").write_text(json.dumps({**record, "bound": bound}))
        valid, why = check.check(tmp_path / "f.npz", tmp_path / "c.json")
        assert valid == holds, why


def small_networks(count, seed):
    rng = np.random.default_rng(seed)
    for i in range(count):
        k = int(rng.integers(1, 12))
        draw = (lambda *shape: rng.integers(-3, 4, shape)) if i % 2 else lambda *shape: rng.standard_normal(shape)
        yield TwoLayer(draw(k, 2), draw(k), draw(k), 0.0, ("relu", "abs", "leaky_relu")[i % 3])


@pytest.mark.parametrize("radius", [0.5, 1.0, 5.0])
def test_every_cell_is_gone_through(radius):
    """Against enumeration by corners, on networks in general position and of small integers."""
    for f in small_networks(60, int(10 * radius)):
        space = cells.steepest(f)
        circle, ball = (cells.steepest(f, named(domain, radius)) for domain in ("sphere", "ball"))
        along = cells.steepest(f, Sphere(radius, tangential=True))
        truths = exact_space(f), exact_circle(f, Sphere(radius)), exact_circle(f, Sphere(radius, tangential=True))
        for found, truth in zip((space, circle, along), truths, strict=True):
            assert found.upper == pytest.approx(truth, rel=1e-9, abs=1e-12)
            assert found.lower == pytest.approx(found.upper, rel=1e-9)
        assert circle.upper <= ball.upper * (1 + 1e-12) and ball.upper <= space.upper * (1 + 1e-12)
        assert np.linalg.norm(ball.witness) <= radius * (1 + 1e-15)
        assert np.linalg.norm(circle.witness) == pytest.approx(radius, rel=1e-15)


@pytest.mark.parametrize(
    ("domain", "tangential"), [("space", False), ("ball", False), ("sphere", False), ("sphere", True)]
)
def test_the_checker_agrees(domain, tangential):
    for f in small_networks(12, 5):
        found = certify(f, named(domain, 1.5, tangential))
        record = found.record(f)
        assert found.bound <= record["bound"] <= found.bound * (1 + 1e-13)
        if found.bound > 0:
            statement = check.statement_of(record)
            assert not check.proves(f.W, f.b, f.a, f.activation.name, statement, found.bound * (1 - 1e-12))


def test_cells_thinner_than_floats_are_apart():
    """Two kinks with no float between them: the bound is the truth, and the witness is next to the cell."""
    f = TwoLayer([[1.0], [3.0]], [-1.0 / 3.0, -1.0], [7.0, -7.0 / 3.0])
    found = lawjax.bracket(f)
    assert found.lower == pytest.approx(found.upper, rel=1e-15)
    assert found.upper == pytest.approx(7.0, rel=1e-9)
    assert found.witness[0] == pytest.approx(1.0 / 3.0, rel=1e-15)


def test_many_neurons_on_a_line():
    """A sawtooth of 2000 teeth, each of slope 1 or -1, where the relaxation is some 40 times too large."""
    k = 2000
    places = np.linspace(-1.0, 1.0, k)
    heights = np.where(np.arange(k) % 2, -2.0, 2.0)
    heights[0] = 1.0
    f = TwoLayer(np.ones((k, 1)), -places, heights)
    found = lawjax.bracket(f)
    assert found.lower == found.upper == 1.0


@pytest.mark.parametrize("of", ["W", "a"])
@pytest.mark.parametrize("exponent", [-1060, -600, 600, 1000])
def test_any_size(of, exponent):
    f = TwoLayer([[1.0, 2.0], [-1.0, 0.5], [0.25, -1.0]], [0.5, 0.25, -1.0], [1.0, -2.0, 3.0])
    scaled = {"W": f.W, "b": f.b, "a": f.a}
    for name in ("W", "b") if of == "W" else ("a",):
        scaled[name] = np.ldexp(scaled[name], exponent)
    found, before = lawjax.bracket(TwoLayer(**scaled)), lawjax.bracket(f)
    assert found.upper == pytest.approx(np.ldexp(before.upper, exponent), rel=1e-12)
    assert found.lower == pytest.approx(found.upper, rel=1e-9)


def test_what_is_no_proof_by_cells_is_refused(tmp_path):
    f = TwoLayer(np.eye(3), np.zeros(3), np.ones(3))
    record = certify(f).record(f)
    f.save(tmp_path / "f.npz")
    for change in ({"proof": {"by": "cells"}}, {"proof": {**record["proof"], "by": "cells"}}):
        (tmp_path / "c.json").write_text(json.dumps({**record, **change}))
        assert not check.check(tmp_path / "f.npz", tmp_path / "c.json")[0]
    with pytest.raises(UserError, match="radius"):
        lawjax.bracket(HAT, Ball("1"))
