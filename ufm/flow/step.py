"""One Runge-Kutta step of any tableau, the bias implicit where the tableau has an implicit part."""

from dataclasses import dataclass

from ufm.arrays import Array
from ufm.flow.field import Field
from ufm.flow.integrators import Tableau
from ufm.flow.state import device_array


@dataclass(frozen=True, eq=False)
class Stepper:
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
    def evaluations(self) -> int:
        """Right-hand sides a step costs, the first one carried over."""
        return self.tableau.stages - 1

    def __call__(self, t: float, y: Array, slope: Array, h: float) -> tuple[Array, Array, Array | None]:
        """y(t + h), the estimated error of this step, and dy/dt there where the last stage is it.

        slope: dy/dt at (t, y), the first stage.
        """
        xp, field, m = self.field.xp, self.field, self.field.m
        K = xp.empty((self.tableau.stages, y.shape[0]), dtype=y.dtype, device=getattr(y, "device", None))
        K[0, :] = slope
        stage = y
        for i in range(1, self.tableau.stages):
            stage = y + h * (self.explicit[i] @ K[:i, :])
            if self.implicit is None:
                K[i, :] = field(stage, t + h * self.abscissae[i])
            else:
                stage[:m] = y[:m] + h * (self.implicit[i] @ K[:i, :m])
                K[i, :] = field(stage, t + h * self.abscissae[i], h * self.diagonal[i])
        error = h * (self.error_weights @ K)
        if self.tableau.first_same_as_last:
            return stage, error, K[-1, :]
        return y + h * (self.weights @ K), error, None


def stepper(field: Field, tableau: Tableau, like: Array) -> Stepper:
    """The step of a tableau for a field; `like` tells dtype and device."""
    A, B, s = tableau.explicit_matrix, tableau.implicit_matrix, tableau.stages
    stiff = tableau.implicit is not None and field.m > 0
    return Stepper(
        field,
        tableau,
        tuple(device_array(field.xp, A[i, :i], like) for i in range(s)),
        tuple(device_array(field.xp, B[i, :i], like) for i in range(s)) if stiff else None,
        tuple(B.diagonal().tolist()),
        tuple(tableau.c.tolist()),
        device_array(field.xp, tableau.weights, like),
        device_array(field.xp, tableau.error_weights, like),
    )
