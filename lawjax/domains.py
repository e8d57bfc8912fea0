"""Where a Lipschitz constant is asked for: all of R^d, a ball or a sphere around 0.

>>> print(Space(), Ball(2.0), Sphere(), sep=", ")
R^d, the ball of radius 2, the sphere of radius 1
>>> Sphere(2.0).project(np.array([[3.0, 4.0]])).round(9).tolist()
[[1.2, 1.6]]
>>> Sphere(2.0).is_part_of(Ball(2.0)), Ball(2.0).is_part_of(Sphere(2.0)), Ball(2.0).is_part_of(Ball(1.0))
(True, False, False)
>>> as_domain("sphere")
Sphere(radius=1.0, tangential=False)
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from lawjax import arguments
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.vectors import divisors

_FAR = 1e100  # radii whose squares are far from overflow
OFF = 64.0 * float(np.finfo(np.float64).eps)  # relative distance from the sphere, or beyond the ball: rounding
_Own = TypeVar("_Own", bound="Domain")
_Points = TypeVar("_Points", Float[np.ndarray, "*m d"], Float[Array, "*m d"])
_Scales = TypeVar("_Scales", Float[np.ndarray, "*m 1"], Float[Array, "*m 1"])


@dataclass(frozen=True)
class Domain:
    """What the program asks of a domain; `Space`, `Ball` and `Sphere` are the ones there are.

    Attributes:
        name: "space", "ball" or "sphere".
        radius: of the ball or sphere, infinite for R^d.
        tangential: whether only the gradient's part along the sphere counts.
    """

    name: ClassVar[str]
    radius = math.inf
    tangential = False

    def project(self, points: _Points) -> _Points:
        """Points (..., d) moved along their rays onto the sphere or into the ball; on R^d they stay. 0 stays 0.

        NumPy arrays of any size end there up to a few roundings; JAX arrays, float64 of ordinary size, are moved by a
        function that has a derivative.
        """
        return points

    def has_lengths(self, lengths: Float[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
        """Whether points of these distances from 0 lie on it, up to rounding."""
        return np.isfinite(lengths)

    def is_part_of(self, other: Domain) -> bool:
        """Whether its points belong to the other one, and what counts of gradients there counts at least as much."""
        return isinstance(other, Space)

    def stretched(self: _Own, exponent: int) -> _Own:
        """The domain of the points 2^exponent x."""
        return self

    def __str__(self) -> str:
        """R^d, or the ball or sphere of its radius."""
        return "R^d"


@dataclass(frozen=True)
class Space(Domain):
    """All of R^d."""

    name: ClassVar[str] = "space"


@dataclass(frozen=True)
class _Round(Domain):
    radius: float = 1.0

    def __post_init__(self) -> None:
        """Check the radius, unless JAX traces it."""
        if isinstance(self.radius, jax.core.Tracer):
            return
        radius = arguments.positive("The radius of the ball or sphere", self.radius)
        if not 1.0 / _FAR <= radius <= _FAR:
            raise UserError(
                f"A radius of {radius} is beyond what is searched safely; rescale the weights of W instead."
            )
        object.__setattr__(self, "radius", float(radius))

    def project(self, points: _Points) -> _Points:
        """Points moved along their rays."""
        for _ in range(1 if isinstance(points, jax.Array) else 2):  # the second time takes off what rounding left
            points = points * self._scales(self.radius / divisors(points))
        return points

    def _scales(self, to_rim: _Scales) -> _Scales:
        """By what points are multiplied to get on the domain, from what brings them to distance `radius` from 0."""
        raise NotImplementedError

    def stretched(self: _Own, exponent: int) -> _Own:
        """With 2^exponent times the radius."""
        with np.errstate(over="ignore", under="ignore"):
            return with_radius(self, float(np.ldexp(self.radius, exponent)))

    def __str__(self) -> str:
        return f"the {self.name} of radius {self.radius:g}"


@dataclass(frozen=True)
class Ball(_Round):
    """The ball of a radius around 0.

    Raises:
        UserError: a radius that is not positive, or beyond 1e100.
    """

    name: ClassVar[str] = "ball"

    def _scales(self, to_rim: _Scales) -> _Scales:
        return to_rim.clip(max=1.0)

    def has_lengths(self, lengths: Float[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
        """Whether the ball reaches so far."""
        return lengths / self.radius - 1.0 <= OFF

    def is_part_of(self, other: Domain) -> bool:
        """Whether the other one is R^d or as large a ball."""
        return isinstance(other, Space) or (isinstance(other, Ball) and self.radius <= other.radius)


@dataclass(frozen=True)
class Sphere(_Round):
    """The sphere of a radius around 0; with `tangential` only the gradient's part along it counts.

    Raises:
        UserError: a radius that is not positive, or beyond 1e100; `tangential` that is neither True nor False.
    """

    name: ClassVar[str] = "sphere"
    tangential: bool = False

    def __post_init__(self) -> None:
        """Check radius and flag."""
        super().__post_init__()
        arguments.flag("tangential", self.tangential)

    def _scales(self, to_rim: _Scales) -> _Scales:
        return to_rim

    def has_lengths(self, lengths: Float[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
        """Whether these are its radius."""
        return np.abs(lengths / self.radius - 1.0) <= OFF

    def is_part_of(self, other: Domain) -> bool:
        """Whether the other one is R^d, as large a ball, or this sphere where the whole gradient counts."""
        if isinstance(other, Sphere):
            return self.radius == other.radius and (self.tangential or not other.tangential)
        return isinstance(other, Space) or self.radius <= other.radius


def with_radius(domain: _Own, radius: Any) -> _Own:
    """The domain with another radius: a number, be it beyond what users may ask for, or an array of many."""
    other = copy.copy(domain)
    object.__setattr__(other, "radius", radius)
    return other


def ball_of(domain: Domain) -> Ball:
    """The ball of a sphere's radius."""
    return with_radius(Ball(), domain.radius)


def sphere_of(domain: Domain) -> Sphere:
    """The sphere of a ball's radius."""
    return with_radius(Sphere(), domain.radius)


def along(sphere: Sphere) -> Sphere:
    """The same sphere, with the gradient's part along it."""
    other = copy.copy(sphere)
    object.__setattr__(other, "tangential", True)
    return other


jax.tree_util.register_pytree_node(Space, lambda _: ((), None), lambda *_: Space())
jax.tree_util.register_pytree_node(Ball, lambda ball: ((ball.radius,), None), lambda _, r: with_radius(Ball(), *r))
jax.tree_util.register_pytree_node(
    Sphere,
    lambda sphere: ((sphere.radius,), sphere.tangential),
    lambda tangential, r: with_radius(Sphere(tangential=tangential), *r),
)
DOMAINS: dict[str, type[Domain]] = {kind.name: kind for kind in (Space, Ball, Sphere)}


def as_domain(given: Any) -> Domain:
    """The domain given, or the one of that name: "space", "ball" or "sphere", of radius 1.

    Raises:
        UserError: it is neither.
    """
    if isinstance(given, Domain):
        return given
    if not isinstance(given, str) or given not in DOMAINS:
        raise UserError(
            'The domain must be lawjax.Space(), Ball(radius) or Sphere(radius), or "space", "ball" or "sphere" '
            f"(of radius 1), not {arguments.shown(given)}."
        )
    return DOMAINS[given]()


def named(name: str, radius: float = 1.0, tangential: bool = False) -> Domain:
    """The domain that a command line or a file names by three words.

    Raises:
        UserError: another name, a radius that is not positive or beyond 1e100, `tangential` off the sphere.
    """
    kind = type(as_domain(name))
    if tangential and kind is not Sphere:
        raise UserError(f"tangential is for the sphere; on the domain {name!r} the whole gradient counts.")
    if kind is Space:
        return Space()
    return Sphere(radius, tangential) if kind is Sphere else Ball(radius)


def in_words(domain: Domain) -> dict[str, Any]:
    """The three words of `named`, for files; the radius of R^d is 1."""
    radius = 1.0 if isinstance(domain, Space) else domain.radius
    return {"domain": domain.name, "radius": radius, "tangential": domain.tangential}


def check_network(network: Any) -> None:
    """Check that this is a network or a stack.

    Raises:
        UserError: it is something else.
    """
    arguments.instance("The network", network, TwoLayer, "made by lawjax.TwoLayer(W, b, a) or TwoLayer.load(path)")


def check_single(network: Any) -> None:
    """Check that this is a network, and not a stack.

    Raises:
        UserError: it is something else.
    """
    check_network(network)
    if network.W.ndim != 2:
        raise UserError(f"This is a stack of shape {network.W.shape[:-2]}; take its networks one by one.")
