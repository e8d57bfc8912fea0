"""How hard to look for a witness: `Search`, what users set, and the numbers that tune its parts.

Each part has its own frozen dataclass, named after the module that reads it. Pairs (small, large) are for networks of
at most and of more than `Search.large` weights.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import PRNGKeyArray
from numpy.typing import ArrayLike

from lawjax import arguments
from lawjax.errors import UserError
from lawjax.tuning import Tuning


@dataclass(frozen=True)
class Patterns(Tuning):
    """Sign patterns that a certificate's largest directions ask for (`lawjax.lipschitz.lower.sign_patterns`).

    Attributes:
        count: patterns of a network, an even number.
        tilts: products that turn random directions towards the certificate's largest.
        rounds: of rounding to signs, at most.
        flips: of single signs in a pattern, at most.
    """

    count: int = 8
    tilts: int = 3
    rounds: int = 20
    flips: int = 50


@dataclass(frozen=True)
class Starts(Tuning):
    """Points tried first (`lawjax.lipschitz.lower.starts`).

    Attributes:
        given: points given from which ascents start, the best ones.
        paired: points given between which the steepest pair is looked for.
        between: points tried between the steepest pair.
        strongest: neurons whose own directions are tried.
        kinks: those of the largest jumps along a sphere that are tried.
        sides: pre-activations where a smooth psi may be steepest: 0 (tanh), beyond (softplus), near sqrt(2) (GELU).
        rims: of the sine of a cap's angle: from beyond its rim to its middle.
    """

    given: int = 8
    paired: int = 500
    between: int = 400
    strongest: int = 32
    kinks: int = 64
    sides: tuple[float, float, float] = (0.0, -1.5, 1.5)
    rims: tuple[float, float, float, float] = (1.000001, 0.999999, 0.9, 0.5)


@dataclass(frozen=True)
class Annealing(Tuning):
    """The ascent on a sphere with smoothed slopes (`lawjax.lipschitz.lower.ascent`).

    Attributes:
        sharpness: of the sigmoids at the first and the last step, for pre-activations of typical size one.
        step_length: at the first and the last step, on the sphere of radius one.
        momentum: share of the last step's direction that is kept.
        nudge: relative size of the random part in the starts along neurons.
    """

    sharpness: tuple[float, float] = (2.0, 200.0)
    step_length: tuple[float, float] = (0.3, 0.03)
    momentum: float = 0.8
    nudge: float = 1e-3


@dataclass(frozen=True)
class Following(Tuning):
    """The ascent of the gradient norm itself, for smooth psi (`lawjax.lipschitz.lower.smooth_ascent`).

    Attributes:
        first_step: relative to the start's distance from 0.
        longer: factor of the step's length after a step upwards.
        shorter: and after one downwards, which is taken back.
    """

    first_step: float = 0.1
    longer: float = 1.7
    shorter: float = 0.35


@dataclass(frozen=True)
class Ascents(Tuning):
    """Where ascents of many networks start (`lawjax.lipschitz.lower.ascent_batches`).

    Attributes:
        space_radii: of the spheres of the ascents in R^d, relative to a typical kink's distance from 0.
        ball_radii: of those in the ball, relative to its own.
        reach: of the lengths of random starts for smooth psi, relative to the least and largest typical one.
        lengths: of them, at most.
        on_rim: times as many starts on the sphere and the ball's rim.
        work: floating-point operations of an ascent, roughly, above which it has fewer starts.
        fewest: starts that it has at least, where as many are asked for.
        batch: networks whose ascents run side by side on an accelerator.
    """

    space_radii: tuple[float, float, float, float] = (4.0, 1000.0, 1.0, 0.3)
    ball_radii: tuple[float, float, float] = (1.0, 0.7, 0.3)
    reach: tuple[float, float] = (0.1, 3.0)
    lengths: int = 16
    on_rim: int = 4
    work: float = 3e10
    fewest: int = 4
    batch: int = 64


@dataclass(frozen=True)
class Corners(Tuning):
    """Points near corners of cells (`lawjax.lipschitz.lower.corners`).

    Attributes:
        most: corners tried.
        work: operations, roughly, above which fewer are tried.
        dimension: above it a corner has too many cells around it for a few points to meet the good ones.
        around: points around a corner, one in each cell, at most.
        at_random: points around it besides.
        far: where rays to infinity are tried, relative to a typical kink's distance from 0.
    """

    most: int = 3500
    work: float = 2e9
    dimension: int = 12
    around: int = 64
    at_random: int = 16
    far: tuple[float, float, float] = (10.0, 1e3, 1e5)


@dataclass(frozen=True)
class Walks(Tuning):
    """Walks from cell to cell (`lawjax.lipschitz.lower.walks`).

    Attributes:
        lines: looked along from a point: one half towards the most promising kinks, the other at random.
        rounds: moves of a walk, at most.
        patience: rounds in a row without a better cell, after which a walk ends.
        work: operations of all walks of a (small, large) network, roughly.
        most: walks on a network.
        few: walks on one of which all corners were tried.
    """

    lines: int = 24
    rounds: int = 100
    patience: int = 4
    work: tuple[float, float] = (3e8, 3e7)
    most: int = 16
    few: int = 2


@dataclass(frozen=True)
class SmoothWalks(Tuning):
    """The last steps of the search for smooth psi (`lawjax.lipschitz.lower.smooth_walks`).

    Attributes:
        sample_work: random points, times weights, of a (small, large) network.
        samples: of these points, at least and at most.
        rounds: of walks, and of ascents from their ends.
        walkers: in a round, at most.
        steps: of a walk.
        work: floating-point operations of all walks of a round, roughly.
        free: moves of a step in random directions, of random lengths.
        fewest_moves: of a walker in one step, while there are several walkers.
        lines: of a step, parallel to hyperplanes, at most.
        kept: hyperplanes to which a line is parallel, at most.
        sides: pre-activations at which a neuron is met.
        followed: points of a round, and the iterations of L-BFGS from each of them.
        to_the_end: the same at last, from the best of all.
        follow_work: all iterations of L-BFGS, times weights, at most.
        apart: least distance between points that are followed, relative to a typical kink's from 0 and to their own.
        far_walks: walks of the network whose psi has the two slopes of psi at infinity.
        far_shares: how far along their rays the ends of these are looked at.
        kicked: points for each neuron that climb, are moved at random and climb again, at most.
        kicks: such moves of each.
        kick_steps: of the climb after each.
        kick_reach: least and largest length of a move, relative to the point's.
        kick_work: points, times steps, times weights, at most.
    """

    sample_work: tuple[float, float] = (3e6, 3e5)
    samples: tuple[int, int] = (10, 5000)
    rounds: int = 1
    walkers: int = 64
    steps: int = 20
    work: float = 3e9
    free: int = 8
    fewest_moves: int = 32
    lines: int = 16
    kept: int = 100
    sides: tuple[float, float, float, float, float] = (0.0, -1.5, 1.5, -5.0, 5.0)
    followed: tuple[int, int] = (96, 30)
    to_the_end: tuple[int, int] = (24, 500)
    follow_work: float = 3e8
    apart: float = 0.1
    far_walks: int = 8
    far_shares: tuple[float, float, float, float] = (0.5, 1.0, 2.0, 4.0)
    kicked: int = 40
    kicks: int = 20
    kick_steps: int = 40
    kick_reach: tuple[float, float] = (0.05, 2.0)
    kick_work: float = 6e9


@dataclass(frozen=True, eq=False)
class Search:
    """How hard to look for a witness.

    Attributes:
        starts: of each ascent, besides those from patterns.
        steps: of each ascent.
        points: (m, d), where to look first, such as training data; moved along their rays into the domain. What is
            found is at least what they attain, and on R^d and the ball as steep as f between any two of the first 500.
        key: a JAX key for the random starts; a fixed one unless given.
        large: weights in W above which it is a matter of time what can be tried.
        close: relative distance from the upper bound at which the search for a (small, large) network ends.
        measured: of the best points of a part of the search, those measured on the network given.
        patterns: see there, as for all that follow.
        first: points tried first.
        annealing: the ascents for psi with kinks.
        following: the ascents for smooth psi.
        ascents: where these start.
        corners: points near corners of cells.
        walks: from cell to cell.
        smooth_walks: for smooth psi.

    Raises:
        UserError: fewer than one start or step; points of another shape, no numbers, zero, or not finite; a part of
            another type.
    """

    starts: int = 32
    steps: int = 60
    points: ArrayLike | None = None
    key: PRNGKeyArray | None = None
    large: int = 2**10
    close: tuple[float, float] = (1e-9, 1e-3)
    measured: int = 16
    patterns: Patterns = Patterns()
    first: Starts = Starts()
    annealing: Annealing = Annealing()
    following: Following = Following()
    ascents: Ascents = Ascents()
    corners: Corners = Corners()
    walks: Walks = Walks()
    smooth_walks: SmoothWalks = SmoothWalks()

    def __post_init__(self) -> None:
        """Check what was given."""
        for name in ("starts", "steps", "large", "measured"):
            arguments.whole(name, getattr(self, name))
        if self.key is not None:
            arguments.key(self.key)
        if self.points is not None:
            object.__setattr__(self, "points", _checked_points(self.points))
        object.__setattr__(self, "close", tuple(arguments.numbers("close", self.close, (2,)).tolist()))
        for field in dataclasses.fields(self):
            if isinstance(field.default, Tuning):
                kind = type(field.default)
                arguments.instance(field.name, getattr(self, field.name), kind, f"such as {kind.__name__}()")


def _checked_points(given: ArrayLike) -> np.ndarray:
    points = arguments.numbers("points", given, (None, None))
    if not (points.size and points.any(axis=1).all()):
        raise UserError("points must be at least one, and not zero: the search needs their directions.")
    return points
