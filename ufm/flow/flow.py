"""The answer of `simulate`: where the flow ended, and the states saved on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ufm.arrays import Array
from ufm.display import card, pill
from ufm.errors import ProblemError
from ufm.flow.coordinates import Coordinates
from ufm.flow.observed import Labelled, axes_of, observed, stacked
from ufm.flow.onset import first_crossing
from ufm.flow.state import State
from ufm.flow.status import Status
from ufm.problem import Problem
from ufm.record import Record

Metrics = Literal["basic", "all"]


def _wants_all(metrics: str) -> bool:
    if metrics not in ("basic", "all"):
        raise ProblemError("metrics", metrics, "choose 'basic' or 'all'.")
    return metrics == "all"


@dataclass(frozen=True, eq=False)
class Path:
    """States saved on the way: times t (T), and the observables there."""

    problem: Problem
    t: np.ndarray
    _coordinates: Coordinates
    _states: tuple[Array, ...]
    _seed: int | None
    _provenance: dict[str, Any]
    _later: Callable[[Array, float, float], Array]  # the flat state at a time, from that at one before

    def __len__(self) -> int:
        return len(self.t)

    def state(self, i: int) -> State:
        """The full state at t[i]."""
        return self._coordinates.state(self._states[i], float(self.t[i]))

    def record(self, metrics: Metrics = "basic") -> Record:
        """Observables along the dimension `t`: the basic ones, or "all" that `ufm.measure` would say of the samples."""
        axes, everything = axes_of(self.problem, self._coordinates), _wants_all(metrics)
        rows = [
            observed(self.problem, self._coordinates, y, float(t), axes, everything=everything)
            for t, y in zip(self.t, self._states, strict=True)
        ]
        return Record.of(
            "flow",
            stacked(rows),
            problem=self.problem,
            coords={"t": self.t},
            seed=self._seed,
            provenance=self._provenance,
        )

    def onset(self, observable: str, level: float) -> float | None:
        """The first time at which an observable reaches the level, from the side it starts on; None if it never does.

        For instance `path.onset("nc1", 0.01)`, the onset of collapse. The saved states say between which two of them;
        there the flow is integrated again, to its own tolerance. Save enough of them that no crossing hides between. Of
        a descent it is the first saved step.
        """
        values = self.record("all" if observable not in self._basic() else "basic")[observable].values
        if values.ndim != 1:
            raise ProblemError("observable", observable, f"it has the shape {values.shape[1:]}; give one number.")
        if not isinstance(level, int | float | np.number) or not np.isfinite(level):
            raise ProblemError("level", level, "give a finite number.")
        everything = observable not in self._basic()

        def value_at(i: int, t: float) -> float:
            y = self._later(self._states[i], float(self.t[i]), t)
            return float(observed(self.problem, self._coordinates, y, t, everything=everything)[observable][1])

        rtol = self._provenance.get("rtol")
        return first_crossing(self.t, values, float(level), None if rtol is None else value_at, rtol or 1e-8)

    def _basic(self) -> Labelled:
        return observed(self.problem, self._coordinates, self._states[0], float(self.t[0]))


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

    def record(self, metrics: Metrics = "basic") -> Record:
        """The observables at the end, with their time, as a Record; errors: second order for the value.

        metrics: "all" adds what `ufm.measure` would say of the samples.
        """
        seen = observed(self.problem, self._coordinates, self._y, self.t, everything=_wants_all(metrics))
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

    def _repr_html_(self) -> str:
        arrived = self.status.name.startswith("STEADY")
        rows = {
            "time": f"{self.t:.6g}",
            "status": pill(self.status.name, "#cfe6f5" if arrived else "#f6e3b5"),
            "gradient": f"{self.gradient_norm:.1e}",
            "distance to the limit": "unknown" if self.distance is None else f"about {self.distance:.1e}",
            "steps": f"{self.steps} ({self.rejected} rejected)",
            "integrator": self.provenance["integrator"],
            "followed": self.provenance["mode"],
        }
        return card("Gradient flow", rows, note=self.status.value)
