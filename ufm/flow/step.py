"""One step of any method whose steps the driver chooses, the bias implicit or exact where the method can."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from ufm.arrays import Array
from ufm.flow.field import Field
from ufm.flow.integrators import Chebyshev, Tableau
from ufm.flow.state import device_array


class Step(NamedTuple):
    """y(t + h), the estimated error of this step, dy/dt there where it is known already, and what it cost."""

    y: Array
    error: Array
    slope: Array | None
    evaluations: int


@dataclass(frozen=True, eq=False)
class TableauStepper:
    """The tableau as arrays on the state's device, made once per solve."""

    field: Field
    tableau: Tableau
    explicit: tuple[Array, ...]  # row i: the i coefficients of the earlier stages
    implicit: tuple[Array, ...] | None
    diagonal: tuple[float, ...]
    abscissae: tuple[float, ...]
    weights: Array
    error_weights: Array

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return self.implicit is not None

    def __call__(self, t: float, y: Array, slope: Array, h: float, fastest: float) -> Step:
        """One step of length h from (t, y), where dy/dt is slope, the first stage."""
        xp, field, m = self.field.xp, self.field, self.field.m
        K = xp.empty((self.tableau.stages, y.shape[0]), dtype=y.dtype, device=getattr(y, "device", None))
        K[0, :] = slope
        stage = y
        for i in range(1, self.tableau.stages):
            stage = y + h * (self.explicit[i] @ K[:i, :])
            at = t + h * self.abscissae[i]
            if self.implicit is None:
                K[i, :] = field(stage, at)
            else:
                b, z = y[:m] + h * (self.implicit[i] @ K[:i, :m]), h * self.diagonal[i] * (field.bias_rate or 0.0)
                K[i, :] = field(stage, at, lambda rest, b=b, z=z: (b + z * rest) / (1 + z))
        error = h * (self.error_weights @ K)
        evaluations = self.tableau.stages - 1
        if self.tableau.first_same_as_last:
            return Step(stage, error, K[-1, :], evaluations)
        return Step(y + h * (self.weights @ K), error, None, evaluations)


@dataclass(frozen=True, eq=False)
class ChebyshevStepper:
    """Runge-Kutta-Chebyshev on W and H; the bias follows each stage exactly.

    Between stages b obeys db/dt = -rate (b - b*) with b* on the line between its values there, and so is solved by an
    exponential: of second order as the method is, for any rate.
    """

    field: Field
    method: Chebyshev
    margin: float = 1.2  # on the measured rate, since a mode beyond the stability interval explodes

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return self.field.bias_rate is not None

    def __call__(self, t: float, y: Array, slope: Array, h: float, fastest: float) -> Step:
        """One step of length h from (t, y), where dy/dt is slope; as many stages as h fastest needs."""
        field, m, rate = self.field, self.field.m, self.field.bias_rate
        s = self.method.stages(self.margin * h * fastest)
        mu, nu, mu_tilde, gamma_tilde, c = (x.tolist() for x in self.method.recursion(s))
        before, stage, moving = y, y + (h * mu_tilde[1]) * slope, slope
        b, rest = y[:m], y[:m] + slope[:m] / rate if rate else y[:m]
        for j in range(1, s + 1):
            if j > 1:
                new = (1 - mu[j] - nu[j]) * y + mu[j] * stage + nu[j] * before
                new = new + (h * mu_tilde[j]) * moving + (h * gamma_tilde[j]) * slope
                before, stage = stage, new
            if rate is None:
                moving = field(stage, t + c[j] * h)
                continue
            relax = _Relaxation(b, rest, rate * (c[j] - c[j - 1]) * h)
            moving = field(stage, t + c[j] * h, relax)
            b, rest = stage[:m], stage[:m] + moving[:m] / rate
        error = 0.8 * (y - stage) + (0.4 * h) * (slope + moving)
        return Step(stage, error, moving, s)


class _Relaxation(NamedTuple):
    """b after a time z / rate of db/dt = -rate (b - b*), b* moving from `rest` to its value then in a straight line."""

    b: Array
    rest: Array
    z: float

    def __call__(self, rest: Array) -> Array:
        decayed = math.exp(-self.z)
        mean = -math.expm1(-self.z) / self.z if self.z > 0 else 1.0
        return rest + decayed * (self.b - self.rest) - mean * (rest - self.rest)


Stepper = TableauStepper | ChebyshevStepper


def stepper(field: Field, method: Tableau | Chebyshev, like: Array) -> Stepper:
    """The step of a method for a field; `like` tells dtype and device."""
    if isinstance(method, Chebyshev):
        return ChebyshevStepper(field, method)
    A, B, s = method.explicit_matrix, method.implicit_matrix, method.stages
    stiff = method.implicit is not None and field.m > 0
    return TableauStepper(
        field,
        method,
        tuple(device_array(field.xp, A[i, :i], like) for i in range(s)),
        tuple(device_array(field.xp, B[i, :i], like) for i in range(s)) if stiff else None,
        tuple(B.diagonal().tolist()),
        tuple(method.c.tolist()),
        device_array(field.xp, method.weights, like),
        device_array(field.xp, method.error_weights, like),
    )
