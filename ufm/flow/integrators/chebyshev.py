"""A stabilised explicit method is data too: Chebyshev recursions, as many stages as the fastest rate asks for."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np


class Recursion(NamedTuple):
    """Coefficients of the stages 0..s of a Runge-Kutta-Chebyshev step, in the letters of the reference."""

    mu: np.ndarray
    nu: np.ndarray
    mu_tilde: np.ndarray
    gamma_tilde: np.ndarray
    c: np.ndarray


@dataclass(frozen=True)
class Chebyshev:
    """Second-order Runge-Kutta-Chebyshev of s >= 2 stages.

    A step multiplies a mode of rate z / h by R(-z) = a + b T_s(w0 - w1 z), w0 = 1 + damping/s^2, and is stable for z up
    to 0.66 s^2 (small damping). The reference's damping 2/13 leaves 0.95 of a fast mode a step: on that residue a
    gradient flow on its way to rest hovers, and its steps stay short. A damping of 4 leaves 0.42, for z up to 0.46 s^2.
    """

    name: str
    order: int
    embedded_order: int
    damping: float
    most_stages: int
    reference: str

    @property
    def damps(self) -> float:
        """The largest h times fastest rate that a step of `most_stages` stages damps."""
        return self.reach(self.most_stages)

    def reach(self, s: int) -> float:
        """The stability interval of s stages."""
        return float(self.reaches[s - 2])

    @cached_property
    def reaches(self) -> np.ndarray:
        """The stability intervals (w0 + 1)/w1 of 2, 3, .., most_stages stages, w1 = T_s'(w0)/T_s''(w0)."""
        s = np.arange(2.0, self.most_stages + 1)
        w0 = 1 + self.damping / s**2
        angle = np.arccosh(w0)
        T, dT = np.cosh(s * angle), s * np.sinh(s * angle) / np.sinh(angle)
        return (w0 + 1) * (s**2 * T - w0 * dT) / (w0**2 - 1) / dT

    def stages(self, rate: float) -> int:
        """The fewest stages whose stability interval holds h times the fastest rate."""
        return min(self.most_stages, 2 + int(np.searchsorted(self.reaches, rate)))

    def recursion(self, s: int) -> Recursion:
        """The coefficients of s stages."""
        return _recursion(s, self.damping)

    def rows(self, s: int) -> np.ndarray:
        """The recursion as rows, (s + 1) x 2 x 5; the second of each pair is to be multiplied by h.

        Stage j combines y, dy/dt at y, dy/dt at stage j - 1, and of stages j - 1 and j - 2 the even and the odd one.
        """
        return _rows(s, self.damping)


@lru_cache(maxsize=256)
def _recursion(s: int, damping: float) -> Recursion:
    w0 = 1 + damping / s**2
    T, dT, ddT = (np.zeros(s + 1) for _ in range(3))
    T[:2], dT[1] = (1.0, w0), 1.0
    for j in range(2, s + 1):
        T[j] = 2 * w0 * T[j - 1] - T[j - 2]
        dT[j] = 2 * T[j - 1] + 2 * w0 * dT[j - 1] - dT[j - 2]
        ddT[j] = 4 * dT[j - 1] + 2 * w0 * ddT[j - 1] - ddT[j - 2]
    w1 = dT[s] / ddT[s]
    b = np.zeros(s + 1)
    b[2:] = ddT[2:] / dT[2:] ** 2
    b[:2] = b[2]
    mu, nu, mu_tilde, gamma_tilde, c = (np.zeros(s + 1) for _ in range(5))
    mu_tilde[1] = b[1] * w1
    mu[2:], nu[2:], mu_tilde[2:] = 2 * b[2:] * w0 / b[1:-1], -b[2:] / b[:-2], 2 * b[2:] * w1 / b[1:-1]
    gamma_tilde[2:] = -(1 - b[1:-1] * T[1:-1]) * mu_tilde[2:]
    c[1], c[2:] = mu_tilde[1], w1 * ddT[2:] / dT[2:]
    return Recursion(mu, nu, mu_tilde, gamma_tilde, c)


@lru_cache(maxsize=256)
def _rows(s: int, damping: float) -> np.ndarray:
    mu, nu, mu_tilde, gamma_tilde, _ = _recursion(s, damping)
    rows, j = np.zeros((s + 1, 2, 5)), np.arange(2, s + 1)
    rows[1, 0, 0], rows[1, 1, 1] = 1.0, mu_tilde[1]
    rows[2:, 0, 0] = 1 - mu[2:] - nu[2:]
    rows[2:, 1, 1], rows[2:, 1, 2] = gamma_tilde[2:], mu_tilde[2:]
    rows[j, 0, 4 - j % 2], rows[j, 0, 3 + j % 2] = mu[2:], nu[2:]
    return rows
