"""Rescaled squared loss (zhou2022): 1/2 [k (z_y - M)^2 + sum_{j != y} z_j^2], y the label of a one-hot column."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.arrays import Array, array_namespace
from ufm.errors import ProblemError
from ufm.losses.loss import Loss


@dataclass(frozen=True)
class RescaledMSE:
    """The parameters of the loss: k, the weight of the label's output, and M, its target; k = M = 1 is "mse"."""

    k: float
    M: float

    def __post_init__(self) -> None:
        for name in ("k", "M"):
            value = getattr(self, name)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 < float(value) < float("inf"):
                raise ProblemError(f"loss.{name}", value, "give a finite number > 0.")
            object.__setattr__(self, name, float(value))

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": "rescaled_mse", "k": self.k, "M": self.M}

    def check(self, columns: np.ndarray) -> None:
        """Raise ProblemError unless every target column (m x K or m x N) is one-hot: the loss needs a label."""
        if not (np.all((columns == 0) | (columns == 1)) and np.all(columns.sum(axis=-2) == 1)):
            raise ProblemError("targets", columns.tolist(), "the rescaled squared loss needs one-hot codes.")

    def weights(self, T: Array) -> Array:
        """k at the label, 1 elsewhere (m x j)."""
        return 1 + (self.k - 1) * T

    def loss(self) -> Loss:
        """Value and slope."""

        def value(Z: Array, T: Array) -> Array:
            xp = array_namespace(Z)
            return xp.sum(self.weights(T) * (Z - self.M * T) ** 2, axis=-2) / 2

        return Loss("rescaled_mse", value=value, slope=lambda Z, T: self.weights(T) * (Z - self.M * T))


def rescaled_mse(k: float, M: float) -> RescaledMSE:
    """The rescaled squared loss with these parameters, for Problem(loss=...)."""
    return RescaledMSE(k, M)


LOSS = RescaledMSE
