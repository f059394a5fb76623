"""A Runge-Kutta method is data: its tableau. The one driver that runs them all is in `ufm.flow.driver`."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Tableau:
    """Coefficients of an embedded pair: y + h sum_i b_i f_i of `order`, with b_embedded for the error estimate.

    a: strictly lower rows (stage i has i entries). implicit: lower rows with their diagonal for the stiff component,
    or None for a purely explicit method; both parts share b, b_embedded and the abscissae.

    damps: a step h damps every mode of a gradient flow (real rates) whose fastest rate, the stiff component held
    fixed, is at most damps / h, however stiff that component and however coupled. Longer steps may pass the error
    control, but leave a residue at the size of the tolerance, so that the gradient never settles.
    """

    name: str
    order: int
    embedded_order: int
    a: Rows
    b: tuple[float, ...]
    b_embedded: tuple[float, ...]
    damps: float
    reference: str
    implicit: Rows | None = None

    @property
    def stages(self) -> int:
        """Number of stages s."""
        return len(self.b)

    @cached_property
    def explicit_matrix(self) -> np.ndarray:
        """The explicit part's matrix (s x s)."""
        return _square(self.a, self.stages)

    @cached_property
    def implicit_matrix(self) -> np.ndarray:
        """The stiff component's matrix (s x s); the explicit one where there is none."""
        return self.explicit_matrix if self.implicit is None else _square(self.implicit, self.stages)

    @property
    def c(self) -> np.ndarray:
        """Abscissae, the row sums."""
        return self.explicit_matrix.sum(axis=1)

    @cached_property
    def weights(self) -> np.ndarray:
        """The weights b (s)."""
        return np.asarray(self.b, dtype=float)

    @cached_property
    def error_weights(self) -> np.ndarray:
        """The weights of the error estimate, b - b_embedded (s)."""
        return self.weights - np.asarray(self.b_embedded, dtype=float)

    @cached_property
    def first_same_as_last(self) -> bool:
        """Whether the last stage is the new point itself, for every component."""
        same = np.array_equal(self.explicit_matrix[-1], self.weights)
        return same and (self.implicit is None or np.array_equal(self.implicit_matrix[-1], self.weights))


def _square(rows: Rows, s: int) -> np.ndarray:
    full = np.zeros((s, s))
    for i, row in enumerate(rows):
        full[i, : len(row)] = row
    return full
