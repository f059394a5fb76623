"""The answer of `simulate`: where the flow ended, and the states saved on the way."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.arrays import Array
from ufm.flow.coordinates import Coordinates
from ufm.flow.observed import observed, stacked
from ufm.flow.state import State
from ufm.flow.status import Status
from ufm.problem import Problem
from ufm.record import Record


@dataclass(frozen=True, eq=False)
class Path:
    """States saved on the way: times t (T), and the observables there."""

    problem: Problem
    t: np.ndarray
    _coordinates: Coordinates
    _states: tuple[Array, ...]
    _seed: int | None
    _provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(self.t)

    def state(self, i: int) -> State:
        """The full state at t[i]."""
        return self._coordinates.state(self._states[i], float(self.t[i]))

    def record(self) -> Record:
        """Every observable along the dimension `t`."""
        rows = [
            observed(self.problem, self._coordinates, y, float(t)) for t, y in zip(self.t, self._states, strict=True)
        ]
        return Record.of(
            "flow",
            stacked(rows),
            problem=self.problem,
            coords={"t": self.t},
            seed=self._seed,
            provenance=self._provenance,
        )


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the flow went: `state` at time `t`, `status` (its text is the advice), and `path` if states were saved.

    gradient_norm: ||grad L|| at the end, over W, H (all samples) and b; in A-mode, late, a bound of it. rate: the
    mean rate at which it fell over its last decade, None if it never fell so far. distance: the estimated ||state -
    limit||, gradient_norm / rate.
    """

    problem: Problem
    t: float
    state: State
    status: Status
    path: Path | None
    gradient_norm: float
    rate: float | None
    steps: int
    rejected: int
    evaluations: int
    seed: int | None
    provenance: dict[str, Any]
    _coordinates: Coordinates
    _y: Array

    @property
    def distance(self) -> float | None:
        """Estimated distance to the limit; None where no exponential decay has been seen."""
        return self.gradient_norm / self.rate if self.rate and self.status is not Status.ALGEBRAIC else None

    def record(self) -> Record:
        """The observables at the end, with their time, as a Record; errors: second order for the value."""
        seen = observed(self.problem, self._coordinates, self._y, self.t)
        errors = {"value": self.gradient_norm * self.distance / 2} if self.distance is not None else {}
        return Record.of(
            "flow",
            {**seen, "t": self.t},
            problem=self.problem,
            errors=errors,
            seed=self.seed,
            provenance=self.provenance,
        )

    def __repr__(self) -> str:
        return (
            f"Flow(t={self.t:.6g}, gradient_norm={self.gradient_norm:.1e}, steps={self.steps}, "
            f"{self.provenance['integrator']}, {self.status.name}: {self.status.value})"
        )
