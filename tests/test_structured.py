"""Brackets of structured networks against exact constants: no fault of tests/bracket_faults.py, whatever the kind."""

import json

import numpy as np
import pytest
from bracket_faults import QUESTIONS, faults, truth
from exact_oracles import exact
from structured_networks import KINDS, ROUGH, SMOOTH, structured

import lawjax
from lawjax import TwoLayer, UserError, check, constructions
from lawjax.domains import Ball, Space, Sphere, named
from lawjax.lipschitz import DisjointCaps, certify
from lawjax.lipschitz.lower.evaluate import gradient_norms

LARGE = "dense_line"
REFUSABLE = ROUGH | {"sparse_readout", "tiny_rows"}  # their sizes are beyond what the checker takes
HAT = TwoLayer([[1.0]] * 3, [1.0, 0.0, -1.0], [1.0, -2.0, 1.0])
# Kinks that meet on the rim: a point a little inside the circle sees a cell that the circle does not.
NINE = TwoLayer(
    [[-1, 1], [1, 1], [-1, 0], [0, -1], [-2, -1], [0, -2], [1, -1], [0, -1], [-2, -2]],
    [-2, 1, 0, 0, -2, 2, -1, -1, -2],
    [2, -2, 1, 2, -2, 2, -2, -2, -2],
    activation="abs",
)


def seeds_of(kind, count, smooth=False):
    """Seeds of networks of a kind."""
    names = [name for name in KINDS if not (smooth and name in ROUGH)]
    return range(names.index(kind), count * len(names), len(names))


def assert_right(one, tmp_path, domain, tangential):
    """The bracket has no fault, and its certificate is proved; extreme sizes may be refused in a sentence."""
    kind, f, radius = one
    found = record = None
    try:
        found = lawjax.bracket(f, named(domain, radius, tangential))
        record = found.proof.record(f)
    except UserError:
        assert kind in (ROUGH if found is None else REFUSABLE), one
    if found is not None:
        true = truth(f, domain, radius, tangential, found.lower)
        assert faults(f, domain, radius, tangential, found, true) == [], (one, found, true)
    if record is None:
        return
    f.save(tmp_path / "f.npz")
    (tmp_path / "f.json").write_text(json.dumps(record))
    valid, why = check.check(tmp_path / "f.npz", tmp_path / "f.json")
    assert valid, (one, why)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != LARGE])
def test_a_network_of_each_kind_for_each_question(kind, tmp_path):
    for seed, question in zip(seeds_of(kind, 4), QUESTIONS, strict=True):
        assert_right(structured(seed), tmp_path, *question)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_networks_of_each_kind(kind, tmp_path):
    for seed in seeds_of(kind, 10 if kind == LARGE else 50):
        for question in QUESTIONS:
            assert_right(structured(seed), tmp_path, *question)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ROUGH])
def test_a_smooth_network_of_each_kind(kind, tmp_path):
    number = list(KINDS).index(kind)
    assert_right(structured(seeds_of(kind, 1, smooth=True)[0], smooth=True), tmp_path, *QUESTIONS[number % 4])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ROUGH])
def test_many_smooth_networks_of_each_kind(kind, tmp_path):
    for seed in seeds_of(kind, 15, smooth=True):
        for question in QUESTIONS:
            assert_right(structured(seed, smooth=True), tmp_path, *question)


@pytest.mark.parametrize(
    ("f", "value"),
    [
        (HAT, 1.0),
        (TwoLayer([[1.0], [-1.0]], [0.0, 0.0], [1.0, 1.0]), 1.0),  # |x|
        (TwoLayer([[1.0], [1.0]], [0.5, -0.5], [3.0, -3.0]), 3.0),  # a ramp
        (TwoLayer(np.concatenate([np.eye(3), -np.eye(3)]), np.zeros(6), np.ones(6)), 3**0.5),  # sum |x_i|
        (TwoLayer([[1.0, 2.0], [1.0, 2.0]], [0.5, 0.5], [1.0, -1.0]), 0.0),
    ],
)
def test_sums_that_cancel_cost_nothing(f, value):
    found = lawjax.bracket(f)
    assert value * (1 - 1e-9) <= found.lower <= found.upper <= value * (1 + 1e-9) + 1e-14


def test_a_smooth_ramp():
    """No slopes are known but those of [0, 1], and one neuron's less the other's is at most 1."""
    f = TwoLayer([[1.0], [1.0]], [0.5, -0.5], [1.0, -1.0], activation="tanh")
    x = np.linspace(-5, 5, 100_001)
    value = np.abs(np.cosh(x + 0.5) ** -2 - np.cosh(x - 0.5) ** -2).max()
    found = lawjax.bracket(f)
    assert value * (1 - 1e-12) <= found.lower <= found.upper <= 1.0 + 1e-9


def test_no_lower_bound_of_a_cell_that_the_circle_does_not_meet():
    value = exact(NINE, "sphere", 1.0, True).surely
    assert value == pytest.approx(18.3576, abs=1e-4)
    found = lawjax.bracket(NINE, Sphere(tangential=True))
    assert abs(np.linalg.norm(found.witness) - 1.0) <= 1e-14
    assert found.lower == pytest.approx(value, rel=1e-9) and found.upper == pytest.approx(value, rel=1e-9)


def test_constructed_ramps_have_an_upper_bound_of_their_size():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 8))
    dataset = lawjax.Dataset(x / np.linalg.norm(x, axis=1, keepdims=True), rng.choice([-1.0, 1.0], 40))
    f = constructions.ramps(dataset).network
    found = lawjax.bracket(f)
    assert found.lower <= found.upper <= lawjax.lipschitz.path_product(f)


FORGED = {
    "lower > exact": {"lower": 5.1, "upper": 6.0},
    "upper < exact": {"lower": 4.0, "upper": 4.99999999999},
    "lower > upper": {"upper": 4.9},
    "NaN": {"lower": float("nan")},
    "(0, 0)": {"lower": 0.0, "upper": 0.0},
    "upper > path": {"upper": 7.1},
    "witness off its domain": {"witness": np.array([0.8, 0.600001])},
    "not attained": {"witness": np.array([-0.8, 0.6])},
    "lower, d <= 2": {"lower": 4.0, "witness": np.array([-0.6, 0.8])},
    "upper, d <= 2": {"upper": 5.00001},
}


@pytest.mark.parametrize("fault", FORGED)
def test_every_fault_is_seen(fault):
    f = TwoLayer(np.diag([3.0, 4.0]), np.zeros(2), np.ones(2))
    true = truth(f, "sphere", 1.0, False, 4.0)
    right = lawjax.Bracket(5.0, 5.0, np.array([0.8, 0.6]), lawjax.lipschitz.certify(f), Space())
    assert true == (5.0, 5.0, pytest.approx(5.0)) and faults(f, "sphere", 1.0, False, right, true) == []
    assert fault in faults(f, "sphere", 1.0, False, right._replace(**FORGED[fault]), true)


def test_a_witness_on_a_kink_shows_nothing():
    f = TwoLayer([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0], [1.0, 1.0])
    found = lawjax.Bracket(1.0, 1.0, np.array([0.0, 1.0]), lawjax.lipschitz.certify(f), Space())
    assert faults(f, "space", 1.0, False, found, truth(f, "space", 1.0, False)) == ["not attained"]


def test_there_are_smooth_networks_too():
    drawn = [structured(seed, smooth=True) for seed in range(60)]
    assert {one.network.activation.name for one in drawn} == set(SMOOTH) and not {one.kind for one in drawn} & ROUGH


@pytest.mark.parametrize("seed", [427, 484, 819, 1309, 1667, 1825])
def test_lines_that_touch_a_ball_and_kinks_far_away(seed):
    """Searches met 0/0 in the first, overflow in the second."""
    one = structured(seed)
    for domain, tangential in (("space", False), ("ball", False), ("sphere", False), ("sphere", True)):
        found = lawjax.bracket(one.network, named(domain, one.radius, tangential))
        true = truth(one.network, domain, one.radius, tangential, found.lower)
        assert faults(one.network, domain, one.radius, tangential, found, true) == []


def test_a_cap_that_only_the_checker_knows_apart(tmp_path):
    """Nearly tangent by 5e-10: the proof takes its slope for unknown, and so does the checker where it has a weight."""
    one = structured(1989)
    assert isinstance(certify(one.network, Ball(one.radius)), DisjointCaps)
    for question in QUESTIONS:
        assert_right(one, tmp_path, *question)


def test_a_witness_next_to_a_tangent_point():
    """The largest part along the circle is a limit at a point where two kinks touch it: floats get within 1e-7."""
    f = TwoLayer([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0]], [0.0, -2.0, 0.0], [1.0, 3.0, 0.5])
    found = lawjax.bracket(f, Sphere(2.0, tangential=True))
    attained = gradient_norms(f, found.witness[None], Sphere(2.0, tangential=True))[0]
    assert found.lower == pytest.approx(found.upper, rel=1e-12)
    assert found.lower * (1 - 1e-6) <= attained <= found.lower
