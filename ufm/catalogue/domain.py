"""The declared domain of a statement: one range per coordinate, sampled inside, on its edges, and by small values."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import qmc

Point = dict[str, Any]


@dataclass(frozen=True)
class Integers:
    """Integers from low to high, drawn log-uniformly; `small` are tried first in a counterexample."""

    low: int
    high: int
    small: tuple[int, ...] = ()

    def at(self, u: float) -> int:
        """The integer at quantile u of [0, 1)."""
        return math.floor(self.low * ((self.high + 1) / self.low) ** u)

    @property
    def edges(self) -> tuple[int, ...]:
        """Both ends."""
        return (self.low, self.high)

    def near(self, value: int, share: float) -> tuple[int, ...]:
        """Integers inside at about this share of the (logarithmic) range from a value, one step away at least."""
        factor = (self.high / self.low) ** share
        steps = (max(value + 1, round(value * factor)), min(value - 1, round(value / factor)))
        return tuple(step for step in steps if self.low <= step <= self.high)

    @property
    def ends(self) -> tuple[int, ...]:
        """Both ends."""
        return self.edges


@dataclass(frozen=True)
class LogReals:
    """Reals from low to high, drawn log-uniformly; `edges` are added to the sample, 0 and inf among them if meant."""

    low: float
    high: float
    edges: tuple[float, ...] = ()
    small: tuple[float, ...] = (1.0, 0.5, 2.0)

    def at(self, u: float) -> float:
        """The number at quantile u of [0, 1]."""
        return float(self.low * (self.high / self.low) ** u)

    def near(self, value: float, share: float) -> tuple[float, ...]:
        """Numbers at this share of the logarithmic range from a value; an edge outside the range has none."""
        if not self.low <= value <= self.high:
            return ()
        factor = (self.high / self.low) ** share
        return tuple(x for x in (min(self.high, value * factor), max(self.low, value / factor)) if x != value)

    @property
    def ends(self) -> tuple[float, ...]:
        """Both ends, and the edges."""
        return (self.low, self.high, *self.edges)


@dataclass(frozen=True)
class Values:
    """A finite set, each value drawn alike."""

    values: tuple[Any, ...]

    def at(self, u: float) -> Any:
        """The value at quantile u of [0, 1)."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    @property
    def edges(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    @property
    def small(self) -> tuple[Any, ...]:
        """All of them, in the order given."""
        return self.values

    def near(self, value: Any, share: float) -> tuple[Any, ...]:
        """None: a finite set has no distances, and is sampled as it is."""
        return ()

    @property
    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values


Range = Integers | LogReals | Values


@dataclass(frozen=True)
class Domain:
    """Named coordinates and their ranges."""

    ranges: Mapping[str, Range] = field(default_factory=dict)

    def sample(self, count: int, seed: int) -> Iterator[Point]:
        """`count` quasi-random points (Sobol), then every edge of every coordinate with the others drawn anew."""
        names = list(self.ranges)
        sobol = qmc.Sobol(len(names), rng=np.random.default_rng(seed))
        for row in sobol.random_base2(max(0, math.ceil(math.log2(max(1, count)))))[:count]:
            yield {name: self.ranges[name].at(u) for name, u in zip(names, row, strict=True)}
        rng = np.random.default_rng(seed + 1)
        for name in names:
            for edge in self.ranges[name].edges:
                point = {
                    other: self.ranges[other].at(u) for other, u in zip(names, rng.random(len(names)), strict=True)
                }
                yield {**point, name: edge}

    def corners(self, count: int, seed: int) -> Iterator[Point]:
        """Points with every coordinate at an end: all first ends, all last ones, then a draw of the others."""
        ends = {name: each.ends for name, each in self.ranges.items()}
        yield from [{name: each[at] for name, each in ends.items()} for at in (0, -1)][:count]
        rng = np.random.default_rng(seed + 2)
        for _ in range(count - 2):
            yield {name: each[int(rng.integers(len(each)))] for name, each in ends.items()}

    def near(self, point: Point, share: float) -> Iterator[Point]:
        """The point with one coordinate moved by a share of its range, up and down."""
        for name, each in self.ranges.items():
            for value in each.near(point[name], share):
                yield {**point, name: value}

    def small(self) -> Iterator[Point]:
        """Points made of each coordinate's small values, simplest first: early values of every coordinate."""
        choices = [_simple(each) for each in self.ranges.values()]
        ranks = itertools.product(*(range(len(choice)) for choice in choices))
        for rank in sorted(ranks, key=lambda r: (sum(r), r)):
            yield {name: choice[i] for name, choice, i in zip(self.ranges, choices, rank, strict=True)}


def _simple(coordinate: Range) -> tuple[Any, ...]:
    """The small values that lie in the declared range; without any, its edges, or a number amid it."""
    if isinstance(coordinate, Values):
        return coordinate.values
    inside = [x for x in coordinate.small if coordinate.low <= x <= coordinate.high or x in coordinate.edges]
    if inside or isinstance(coordinate, Integers):
        return tuple(inside) or coordinate.edges
    return (float(f"{math.sqrt(coordinate.low * coordinate.high):.1g}"), *coordinate.edges)
