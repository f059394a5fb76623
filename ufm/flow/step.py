"""One step of any method whose steps the driver chooses, the bias implicit or exact where the method can."""

import math
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

import numpy as np

from ufm.arrays import Array
from ufm.flow.field import Field
from ufm.flow.integrators import Chebyshev, Tableau
from ufm.flow.state import device_array

CHEBYSHEV_MARGIN = 1.2  # on the measured rate, since a mode beyond the stability interval explodes


class Step(NamedTuple):
    """y(t + h), the estimated error of this step, dy/dt there where it is known already, and what it cost."""

    y: Array
    error: Array
    slope: Array | None
    evaluations: int


@dataclass(frozen=True, eq=False)
class TableauStepper:
    """The tableau as arrays on the state's device, made once per solve; a stack of flows steps as one flow does.

    Rows of `explicit` combine the point and the slopes at earlier stages: stage by stage, then the new point and the
    error of this step, h times it plus `point`; `implicit` likewise, for the bias where it is implicit.
    """

    field: Field
    tableau: Tableau
    point: Array
    explicit: Array
    implicit: Array | None
    diagonal: tuple[float, ...]
    abscissae: tuple[float, ...]
    _work: dict[tuple[int, ...], Array] = dataclass_field(default_factory=dict)

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return self.implicit is not None

    def __call__(self, t: Any, y: Array, slope: Array, h: Any, fastest: Any) -> Step:
        """One step of length h from (t, y), where dy/dt is slope, the first stage; t and h of every flow in a stack."""
        field, m, s, alone = self.field, self.field.m, self.tableau.stages, y.ndim == 1
        K, rows = self._space(y), h if alone else h[:, None, None]
        weights = rows * self.explicit + self.point
        bias_weights = None if self.implicit is None else rows * self.implicit + self.point
        K[..., 0, :], K[..., 1, :] = y, slope
        stage = y
        for i in range(1, s):
            stage, at = _combined(weights, i, K, i + 1), t + h * self.abscissae[i]
            if bias_weights is None:
                field(stage, at, out=K[..., i + 1, :])
            else:
                b, z = _combined(bias_weights, i, K[..., :m], i + 1), h * self.diagonal[i]
                z = z * field.bias_rate if alone else z[:, None] * field.bias_rate
                field(stage, at, lambda rest, b=b, z=z: (b + z * rest) / (1 + z), K[..., i + 1, :])
        if self.tableau.first_same_as_last:
            error = _combined(weights, s + 1, K, s + 1)
            return Step(stage, error, field.xp.asarray(K[..., s, :], copy=True), s - 1)
        del stage  # a state less while the last two are made
        ends = weights[..., s : s + 2, : s + 1] @ K[..., : s + 1, :]
        return Step(ends[..., 0, :], ends[..., 1, :], None, s - 1)

    def _space(self, y: Array) -> Array:
        """Room for the point and the slopes at the stages, the same at every step."""
        if y.shape not in self._work:
            shape = (*y.shape[:-1], self.tableau.stages + 1, y.shape[-1])
            self._work.clear()
            self._work[y.shape] = self.field.xp.empty(shape, dtype=y.dtype, device=getattr(y, "device", None))
        return self._work[y.shape]


def _combined(weights: Array, row: int, K: Array, count: int) -> Array:
    """The combination of the first `count` rows of K by one row of weights, of one flow or of each in a stack.

    Each flow of a stack is a product of its own, as it is alone: no bit of it depends on the others.
    """
    if weights.ndim == 2:
        return weights[row, :count] @ K[:count, :]
    return (weights[:, row : row + 1, :count] @ K[:, :count, :])[:, 0, :]


@dataclass(frozen=True, eq=False)
class ChebyshevStepper:
    """Runge-Kutta-Chebyshev on W and H; the bias follows each stage exactly.

    Between stages b obeys db/dt = -rate (b - b*) with b* on the line between its values there, and so is solved by an
    exponential: of second order as the method is, for any rate.
    """

    field: Field
    method: Chebyshev
    _work: dict[tuple[int, ...], Array] = dataclass_field(default_factory=dict)

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return self.field.bias_rate is not None

    def __call__(self, t: float, y: Array, slope: Array, h: float, fastest: float) -> Step:
        """One step of length h from (t, y), where dy/dt is slope; as many stages as h fastest needs."""
        field, m, rate = self.field, self.field.m, self.field.bias_rate
        s = self.method.stages(CHEBYSHEV_MARGIN * h * fastest)
        table, c = self.method.rows(s), self.method.recursion(s).c.tolist()
        weights = device_array(field.xp, table[:, 0] + h * table[:, 1], y)
        K = self._space(y)
        K[0, :], K[1, :], K[2, :], K[3, :], K[4, :] = y, slope, slope, y, y
        b, rest = y[:m], y[:m] + slope[:m] / rate if rate else y[:m]
        stage = y
        for j in range(1, s + 1):
            stage = weights[j, :] @ K
            relax = None if rate is None else _Relaxation(b, rest, rate * (c[j] - c[j - 1]) * h)
            moving = field(stage, t + c[j] * h, relax, K[2, :])
            K[3 + j % 2, :] = stage
            if rate is not None:
                b, rest = stage[:m], stage[:m] + moving[:m] / rate
        moving = field.xp.asarray(K[2, :], copy=True)
        error = 0.8 * (y - stage) + (0.4 * h) * (slope + moving)
        return Step(stage, error, moving, s)

    def _space(self, y: Array) -> Array:
        """Room for the five vectors of a stage, the same at every step."""
        if y.shape not in self._work:
            self._work.clear()
            self._work[y.shape] = self.field.xp.empty((5, *y.shape), dtype=y.dtype, device=getattr(y, "device", None))
        return self._work[y.shape]


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
    return tableau_stepper(field, method, like)


def tableau_stepper(field: Field, method: Tableau, like: Array) -> TableauStepper:
    """The step of a tableau for a field, or a stack of them."""
    stiff = method.implicit is not None and field.m > 0
    point = np.zeros((method.stages + 2, method.stages + 1))
    point[:-1, 0] = 1.0  # the error has no part in the point itself
    return TableauStepper(
        field,
        method,
        device_array(field.xp, point, like),
        device_array(field.xp, _rows(method, method.explicit_matrix), like),
        device_array(field.xp, _rows(method, method.implicit_matrix), like) if stiff else None,
        tuple(method.implicit_matrix.diagonal().tolist()),
        tuple(method.c.tolist()),
    )


def _rows(method: Tableau, matrix: np.ndarray) -> np.ndarray:
    """Stages, new point and error as rows over the point (nothing here) and the slopes."""
    return np.pad(np.vstack([matrix, method.weights, method.error_weights]), ((0, 0), (1, 0)))
