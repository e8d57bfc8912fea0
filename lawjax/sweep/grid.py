"""Which networks a sweep asks for: identities (n, d, k, seed), and the grids of the paper's two experiments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lawjax import arguments
from lawjax.errors import UserError


class NetworkId(NamedTuple):
    """The identity of a network, from which its data, its initial weights and its probes follow.

    Attributes:
        n: number of points.
        d: dimension.
        k: number of neurons.
        seed: of the data set and of the weights.
    """

    n: int
    d: int
    k: int
    seed: int


@dataclass(frozen=True)
class Grid:
    """All combinations of n, d <= n, k <= n and seeds 0, 1, ...: the grid of Experiment 1.

    Attributes:
        n: numbers of points.
        d: dimensions; a d above n is left out for that n.
        k: widths; a k above n is left out for that n.
        seeds: how many seeds.
    """

    n: tuple[int, ...]
    d: tuple[int, ...]
    k: tuple[int, ...]
    seeds: int = 1

    def __post_init__(self) -> None:
        """Check sizes."""
        _check_lists(n=self.n, d=self.d, k=self.k)
        arguments.whole("The grid's seeds", self.seeds, 1, _MOST_SEEDS)

    def networks(self) -> list[NetworkId]:
        """The identities, each once."""
        return sorted(
            NetworkId(n, d, k, seed)
            for n in set(self.n)
            for d in set(self.d)
            for k in set(self.k)
            for seed in range(self.seeds)
            if d <= n and k <= n
        )


@dataclass(frozen=True)
class WidthRuleGrid:
    """Widths k = n and k = 10n/d over a range of dimensions: the grid of Experiment 2.

    Attributes:
        n: number of points.
        d: dimensions.
        seeds: how many seeds.
    """

    n: int
    d: tuple[int, ...]
    seeds: int = 1

    def __post_init__(self) -> None:
        """Check sizes."""
        _check_lists(d=self.d)
        arguments.whole("The grid's n", self.n, 1, _LARGEST)
        arguments.whole("The grid's seeds", self.seeds, 1, _MOST_SEEDS)

    def networks(self) -> list[NetworkId]:
        """The identities, each once: where 10n/d rounds to n, one network stands for both rules."""
        return sorted(
            {
                NetworkId(self.n, d, width(self.n, d), seed)
                for d in self.d
                for width in WIDTH_RULES.values()
                for seed in range(self.seeds)
            }
        )


@dataclass(frozen=True)
class CapacityGrid:
    """Widths and numbers of points around the capacity kd = n, for some dimensions: the memorisation phase diagram.

    Attributes:
        d: dimensions.
        n_over_d: points per dimension.
        kd_over_n: capacity per point; a width below one is left out.
        seeds: how many seeds.
    """

    d: tuple[int, ...]
    n_over_d: tuple[int, ...]
    kd_over_n: tuple[float, ...]
    seeds: int = 1

    def __post_init__(self) -> None:
        """Check sizes."""
        _check_lists(d=self.d, n_over_d=self.n_over_d)
        arguments.whole("The grid's seeds", self.seeds, 1, _MOST_SEEDS)
        for share in arguments.sequence("The grid's kd_over_n", self.kd_over_n):
            arguments.positive("Each of the grid's kd_over_n", share)
        if not self.kd_over_n:
            raise UserError("The grid's kd_over_n must be positive numbers, at least one.")

    @property
    def n(self) -> tuple[int, ...]:
        """Numbers of points."""
        return tuple(ratio * d for d in self.d for ratio in self.n_over_d)

    def networks(self) -> list[NetworkId]:
        """The identities, each once: k = (kd/n) n/d, rounded."""
        return sorted(
            {
                NetworkId(ratio * d, d, round(share * ratio), seed)
                for d in self.d
                for ratio in self.n_over_d
                for share in self.kd_over_n
                for seed in range(self.seeds)
                if round(share * ratio) >= 1
            }
        )


@dataclass(frozen=True)
class Widths:
    """Widths on one data set of one's own: n and d are the data set's, and the seeds are of the weights alone.

    Attributes:
        k: widths.
        seeds: how many seeds.
        size: (n, d) of the data set; the configuration of the sweep fills it in.
    """

    k: tuple[int, ...]
    seeds: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check sizes."""
        _check_lists(k=self.k)
        arguments.whole("The grid's seeds", self.seeds, 1, _MOST_SEEDS)

    def networks(self) -> list[NetworkId]:
        """The identities, each once.

        Raises:
            UserError: it is not known yet of which data set.
        """
        if self.size is None:
            raise UserError("Widths are those of networks on one data set: pass that as the sweep's data_model.")
        n, d = self.size
        return sorted(NetworkId(n, d, k, seed) for k in set(self.k) for seed in range(self.seeds))


AnyGrid = Grid | WidthRuleGrid | CapacityGrid | Widths


def grid_of(record: Mapping[str, Any]) -> AnyGrid:
    """The grid of a stored configuration, known by its fields.

    Raises:
        UserError: there is no grid of these fields.
    """
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    kinds: tuple[Any, ...] = (Grid, WidthRuleGrid, CapacityGrid, Widths)
    for kind in kinds:
        if set(fields) == {field.name for field in dataclasses.fields(kind)}:
            found: AnyGrid = kind(**fields)
            return found
    raise UserError(f"No grid has the fields {', '.join(fields)}.")


_LARGEST = 2**31 - 1
_MOST_SEEDS = 10**6

WIDTH_RULES = {"k = n": lambda n, d: n, "k = 10n/d": lambda n, d: max(1, round(10 * n / d))}


def _check_lists(**sizes: Any) -> None:
    for name, values in sizes.items():
        arguments.sequence(f"The grid's {name}", values)
    check_positive(**sizes)


def check_positive(**sizes: Any) -> None:
    """Check numbers by name: whole ones, tuples of them, or tuples of these.

    Raises:
        UserError: one is below 1 or beyond any use, or a tuple is empty.
    """
    for name, values in sizes.items():
        most = _MOST_SEEDS if name == "seeds" else _LARGEST
        leaves = _leaves(values)
        if not leaves:
            raise UserError(f"The grid's {name} must be at least one whole number, not none.")
        for value in leaves:
            arguments.whole(f"The grid's {name}", value, 1, most)


def _leaves(values: Any) -> list[Any]:
    return [leaf for value in values for leaf in _leaves(value)] if isinstance(values, (tuple, list)) else [values]
