"""The answer of `solve(problem, over=...)`: the optima of one problem on a grid of weights."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.errors import UfmError
from ufm.optimum.optimum import Optimum
from ufm.problem import Problem
from ufm.record import Record


@dataclass(frozen=True, eq=False)
class Optima:
    """Optima on the product of `axes`, {field: values}; arrays have one dimension per axis, in that order.

    value, lower_bound, rank: of each point. An index (`optima[3]`, `optima[3, 1]`) makes that point's whole Optimum.
    """

    problem: Problem
    axes: Mapping[str, np.ndarray]
    value: np.ndarray
    lower_bound: np.ndarray
    rank: np.ndarray
    point: Callable[[int], Optimum]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return self.value.shape

    @property
    def gap(self) -> np.ndarray:
        """Value - lower_bound of each point."""
        return self.value - self.lower_bound

    def __len__(self) -> int:
        return self.value.size

    def __iter__(self) -> Iterator[Optimum]:
        return (self.point(i) for i in range(len(self)))

    def __getitem__(self, index: int | tuple[int, ...]) -> Optimum:
        index = index if isinstance(index, tuple) else (index,)
        if len(index) != len(self.shape):
            raise UfmError(f"give one index per axis: {', '.join(self.axes)}.")
        positive = tuple(i + size if i < 0 else i for i, size in zip(index, self.shape, strict=True))
        if not all(0 <= i < size for i, size in zip(positive, self.shape, strict=True)):
            raise IndexError(f"{index} is outside the grid of shape {self.shape}.")
        return self.point(int(np.ravel_multi_index(positive, self.shape)))

    def record(self) -> Record:
        """The observables of every point, with the swept fields as dimensions."""
        dims, columns, provenance = {}, {}, {}
        for optimum in self:
            for name, (own, array) in optimum.observed().items():
                dims[name] = own
                columns.setdefault(name, []).append(np.asarray(array))
            provenance.setdefault("method", set()).add(optimum.method)
            provenance.setdefault("status", set()).add(optimum.status.name)
        fields = tuple(self.axes)
        values = {
            name: ((*fields, *dims[name]), np.stack(column).reshape(*self.shape, *column[0].shape))
            for name, column in columns.items()
        }
        joined = {name: ", ".join(sorted(found)) for name, found in provenance.items()}
        return Record.of("optimum", values, problem=self.problem, coords=dict(self.axes), provenance=joined)

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}: {values.size}" for name, values in self.axes.items())
        return f"Optima({axes}; largest gap={float(self.gap.max()):.1e})"


def one_by_one(problem: Problem, axes: Mapping[str, np.ndarray], solve: Callable[[Problem], Optimum]) -> Optima:
    """The grid by one solver call a point, for problems that no batch covers."""
    grid = itertools.product(*(a.tolist() for a in axes.values()))
    found: Sequence[Optimum] = [solve(problem.replace(**dict(zip(axes, point, strict=True)))) for point in grid]
    shape = tuple(a.size for a in axes.values())

    def gather(values: list[Any]) -> np.ndarray:
        return np.array(values).reshape(shape)

    return Optima(
        problem,
        axes,
        gather([o.value for o in found]),
        gather([o.lower_bound for o in found]),
        gather([o.certificate.rank for o in found]),
        found.__getitem__,
    )
