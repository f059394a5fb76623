"""K x K matrices that no permutation of the classes changes: a commutative algebra with two eigenvalues."""

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

    @property
    def trace(self) -> Any:
        """The sum of the eigenvalues, with multiplicity."""
        return (K - 1) * self.centred + self.mean

    @property
    def squared_norm(self) -> Any:
        """The sum of the squared entries."""
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
