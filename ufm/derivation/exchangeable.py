"""K x K matrices that no permutation of the classes changes, x (I - J/K) + y J/K: a commutative algebra with two eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from ufm.symbols import K

ONES = sp.MatrixSymbol("𝟏_K", K, 1)  # the vector of K ones
CENTRED = sp.Identity(K) - ONES * ONES.T / K  # projection on the centred directions, rank K - 1
MEAN = ONES * ONES.T / K  # projection on the mean direction, rank 1
ONES_RULE = {ONES.T * ONES: K * sp.Identity(1)}


@dataclass(frozen=True)
class Exchangeable:
    """centred (I - J/K) + mean J/K for symbolic K: `centred` has multiplicity K - 1, `mean` has multiplicity 1."""

    centred: Any
    mean: Any

    def __add__(self, other: Exchangeable) -> Exchangeable:
        return Exchangeable(self.centred + other.centred, self.mean + other.mean)

    def __sub__(self, other: Exchangeable) -> Exchangeable:
        return Exchangeable(self.centred - other.centred, self.mean - other.mean)

    def __matmul__(self, other: Exchangeable) -> Exchangeable:
        return Exchangeable(self.centred * other.centred, self.mean * other.mean)

    def scaled(self, factor: Any) -> Exchangeable:
        return Exchangeable(factor * self.centred, factor * self.mean)

    def power(self, exponent: Any) -> Exchangeable:
        return Exchangeable(self.centred**exponent, self.mean**exponent)

    @property
    def trace(self) -> Any:
        return (K - 1) * self.centred + self.mean

    @property
    def squared_norm(self) -> Any:
        return (K - 1) * self.centred**2 + self.mean**2

    @property
    def diagonal(self) -> Any:
        """Each diagonal entry."""
        return self.trace / K

    @property
    def off_diagonal(self) -> Any:
        """Each entry off the diagonal."""
        return (self.mean - self.centred) / K

    @property
    def matrix(self) -> Any:
        """The same as a matrix expression in the identity and the vector of ones."""
        return self.centred * CENTRED + self.mean * MEAN
