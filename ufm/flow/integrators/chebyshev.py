"""A stabilised explicit method is data too: Chebyshev recursions, as many stages as the fastest rate asks for."""

import math
from dataclasses import dataclass
from functools import lru_cache
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
    """Second-order Runge-Kutta-Chebyshev of s >= 2 stages, stable for real rates up to about 0.65 s^2 / h.

    damping: epsilon, which keeps every fast mode below 1 - epsilon/3 or so. most_stages bounds s.
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
        return 2 / 3 * (s**2 - 1) * (1 - 2 / 15 * self.damping)

    def stages(self, rate: float) -> int:
        """The fewest stages whose stability interval holds h times the fastest rate."""
        return min(self.most_stages, max(2, math.ceil(math.sqrt(1 + rate / self.reach(2) * 3))))

    def recursion(self, s: int) -> Recursion:
        """The coefficients of s stages."""
        return _recursion(s, self.damping)


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
