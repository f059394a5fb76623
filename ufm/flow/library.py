"""Methods of SciPy as steps of the driver: they choose their length, the rest is as for our own."""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.arrays import Array
from ufm.flow.control import Control, control_of
from ufm.flow.field import Field
from ufm.flow.integrators import Library
from ufm.flow.integrators.rkc2 import TABLEAU as RKC2
from ufm.flow.jacobian import jacobian
from ufm.flow.step import ChebyshevStepper


@dataclass(frozen=True, eq=False)
class LibraryStepper:
    """A method of SciPy, and the one that goes on where it gives up (LSODA may, near rest at loose tolerances)."""

    field: Field
    method: Library
    fallback: ChebyshevStepper
    fallback_control: Control

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return True

    def started(self, y: Array, t1: float | None, control: Control) -> "Started":
        """The solver at t = 0, bound for t1."""
        field = self.field
        integrate: Any = importlib.import_module("scipy.integrate")
        cut, share = field.classifier.stop, self.method.safety
        atol = np.empty(y.size)
        for part, size in zip((slice(0, cut), slice(cut, y.size)), field.norms(y, 0.0), strict=True):
            count = max(1, y[part].size)
            atol[part] = share * (control.atol + control.rtol * size) / count**0.5
        solver = getattr(integrate, self.method.solver)(
            lambda t, y: field(y, t),
            0.0,
            np.array(y),
            np.inf if t1 is None else t1,
            rtol=max(share * control.rtol, 100 * float(np.finfo(y.dtype).eps)),
            atol=np.maximum(atol, np.finfo(float).tiny),
            jac=jacobian(field),
        )
        return Started(solver)


def library_stepper(field: Field, method: Library, rtol: float, atol: float) -> LibraryStepper:
    """The steps of a method of SciPy, with rkc2 behind it."""
    return LibraryStepper(field, method, ChebyshevStepper(field, RKC2), control_of(RKC2, rtol, atol))


@dataclass(frozen=True, eq=False)
class Started:
    """SciPy's solver under way."""

    solver: Any

    def step(self) -> tuple[float, Array] | None:
        """The next point it reaches, or None where it gives up."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is that it gives up: its status says so
            self.solver.step()
        if self.solver.status == "failed" or not np.all(np.isfinite(self.solver.y)):
            return None
        return float(self.solver.t), np.array(self.solver.y)

    def interpolant(self) -> Callable[[float], Array]:
        """Its own dense output over the last step."""
        return self.solver.dense_output()

    @property
    def evaluations(self) -> int:
        """Right-hand sides so far; a Jacobian counts as one."""
        return self.solver.nfev + self.solver.njev
