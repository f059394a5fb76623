"""What a convex engine hands back: the product by its singular directions, with a value and a bound."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Factored:
    """X = U diag(s) V', s > 0, the bias b, the value there, and a lower bound with the dual point it comes from.

    U: m x r, s: r, V: columns x r; work: decompositions or steps spent.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    b: np.ndarray
    value: float
    bound: float
    dual: np.ndarray
    work: int

    @property
    def rank(self) -> int:
        """Number of directions."""
        return self.s.size

    @property
    def relative_gap(self) -> float:
        """(value - bound) / max(1, |value|)."""
        return (self.value - self.bound) / max(1.0, abs(self.value))
