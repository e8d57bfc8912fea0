"""How hard to look: lower bounds stay lower bounds whatever the numbers are; corners see every cell that has one."""

import dataclasses

import jax
import numpy as np
import pytest
from lipschitz_networks import random_network

from lawjax import TwoLayer, UserError, bracket
from lawjax.domains import Ball, Space, Sphere
from lawjax.lipschitz import Search, ascend, exact_space
from lawjax.lipschitz.lower.corners import corner_points
from lawjax.lipschitz.lower.effort import (
    Annealing,
    Ascents,
    Corners,
    Following,
    Patterns,
    SmoothWalks,
    Starts,
    Walks,
)
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.lower.exact import space_patterns
from lawjax.lipschitz.lower.walks import walk
from lawjax.tuning import Tuning

LEAST = Search(
    starts=1,
    steps=1,
    large=1,
    measured=1,
    patterns=Patterns(count=2, tilts=1, rounds=1, flips=1),
    first=Starts(given=1, paired=1, between=1, strongest=1, kinks=1, sides=(0.0, -1.0, 2.0), rims=(1.0, 0.9, 0.5, 0.1)),
    annealing=Annealing(sharpness=(1.0, 1.0), step_length=(0.1, 0.1), momentum=0.1, nudge=0.5),
    following=Following(first_step=0.01, longer=1.1, shorter=0.9),
    ascents=Ascents(space_radii=(2.0, 1.0, 0.5, 0.1), lengths=1, on_rim=1, work=1.0, fewest=1, batch=1),
    corners=Corners(most=1, around=1, at_random=1),
    walks=Walks(lines=2, rounds=1, patience=1, work=(1.0, 1.0), most=1, few=1),
    smooth_walks=SmoothWalks(
        samples=(1, 2), rounds=1, walkers=1, steps=1, work=1.0, lines=1, followed=(1, 1), to_the_end=(1, 1)
    ),
)


@pytest.mark.parametrize("activation", ["relu", "abs"])
def test_the_least_effort_gives_a_lower_bound_too(activation):
    random = np.random.default_rng(0)
    for _ in range(8):
        f = random_network(random, activation, max_d=4, max_k=6, scales=0.0)
        found = bracket(f, search=LEAST)
        assert gradient_norms(f, found.witness[None])[0] == pytest.approx(found.lower, rel=1e-12)
        assert found.lower <= exact_space(f) * (1 + 1e-9)


@pytest.mark.parametrize("domain", [Space(), Ball(2.0), Sphere(2.0)])
def test_the_least_effort_for_smooth_psi(domain):
    random = np.random.default_rng(1)
    f = TwoLayer(random.standard_normal((5, 3)), random.standard_normal(5), random.standard_normal(5), 0.0, "tanh")
    little, usual = bracket(f, domain, LEAST), bracket(f, domain)
    assert 0 < little.lower <= usual.lower * (1 + 1e-6) <= usual.upper * (1 + 2e-6)


def test_more_rounds_of_a_walk_never_lead_down():
    random = np.random.default_rng(2)
    f = TwoLayer(random.standard_normal((30, 8)), random.standard_normal(30), random.standard_normal(30))
    starts = random.standard_normal((3, 8))
    norms = [gradient_norms(f, walk(f, starts, Space(), rounds)) for rounds in (0, 1, 5, 50)]
    assert (np.diff(norms, axis=0) >= 0).all() and (norms[-1] > norms[0]).all()
    assert np.array_equal(walk(f, starts, tuning=Walks(rounds=5)), walk(f, starts, rounds=5))


def test_the_annealing_is_the_callers():
    """Slopes that stay smooth, or steps of no length to speak of, find less than the usual ones."""
    random = np.random.default_rng(3)
    f = TwoLayer(*(random.standard_normal(shape).astype(np.float32) for shape in ((60, 20), 60, 60)))
    key = jax.random.key(0)
    still = ascend(f, key, annealing=Annealing(step_length=(1e-6, 1e-6))).value
    assert ascend(f, key, steps=1).value <= still < ascend(f, key).value


def test_corners_see_every_cell_of_few_lines():
    """All cells of lines in general position in the plane have a corner."""
    random = np.random.default_rng(4)
    for k in (2, 5, 9):
        f = TwoLayer(random.standard_normal((k, 2)), random.standard_normal(k), np.ones(k))
        seen = corner_points(f, 1000, Space(), Corners()) @ f.W.T + f.b > 0
        assert {row.tobytes() for row in seen} == {row.tobytes() for row in space_patterns(f.W, f.b)}


@pytest.mark.parametrize("kind", [Annealing, Ascents, Corners, Following, Patterns, SmoothWalks, Starts, Walks])
def test_every_number_is_checked(kind):
    usual = kind()
    assert isinstance(usual, Tuning) and hash(usual) == hash(kind()) and usual == kind()
    for field in dataclasses.fields(kind):
        wrong = [None, "a", np.nan, [1.0, 2.0], ()]
        wrong += [] if isinstance(field.default, tuple) else [-1.0, 0]
        for value in wrong:
            with pytest.raises(UserError, match=f"{kind.__name__}.{field.name}"):
                dataclasses.replace(usual, **{field.name: value})
