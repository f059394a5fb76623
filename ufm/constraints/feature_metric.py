"""Features penalised in the metric of the layer below."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ufm.constraints.constraint import Facts, matrix, one_layer, positive
from ufm.errors import ProblemError

_CONDITION = 1e10  # of M, beyond which its inverse has too few digits left


@dataclass(frozen=True, eq=False)
class FeatureMetric:
    """Class means cost lam_H/2 tr(Hbar M^-1 Hbar') in place of lam_H/2 ||H||^2: M (K x K) is positive definite.

    Features h = A a over a last hidden layer whose class means P are independent cost at least this much of
    lam_H/2 ||A||^2, with M = P'P; an offset, A a + o, with a weight of its own, lam_o/2 ||o||^2, adds lam_H/lam_o 11'
    to M. M = diag(1/n_k) is the usual penalty. For regression M is N x N.
    """

    M: np.ndarray

    def __post_init__(self) -> None:
        M = matrix(self.M, "constraint.M", "K x K, one column a class")
        if M.shape[0] != M.shape[1]:
            raise ProblemError("constraint.M", M.shape, "this is its shape; a Gram matrix is square.")
        size = float(np.abs(M).max())
        if float(np.abs(M - M.T).max()) > 1e-12 * size:
            raise ProblemError("constraint.M", "not symmetric", "a Gram matrix is; give (M + M')/2 if that is meant.")
        eigenvalues = np.linalg.eigvalsh(M)
        if not eigenvalues[0] * _CONDITION > eigenvalues[-1]:
            fix = "give a positive definite matrix; directions that the layer below lacks cannot be told apart."
            raise ProblemError("constraint.M", f"with the eigenvalue {eigenvalues[0]:.3g}", fix)
        object.__setattr__(self, "M", M)

    @staticmethod
    def mean_apart(counts: Sequence[int] | np.ndarray, ratio: float) -> "FeatureMetric":
        """Two weights: lam_H on centred features and ratio lam_H on their mean, M^-1 = diag(n_k) + (ratio - 1) nn'/N.

        Balanced one-hot codes then have s_i = sqrt(n)(1 - t_i/rho) and lam_b* = t_0/(1 - t_0), t_0 = sqrt(ratio) t that
        of the mean direction; class means have the squared singular values sqrt(lam_W/lam_i) s_i/n, i by direction.
        """
        n, ratio = np.asarray(counts, dtype=float), positive(ratio, "constraint.ratio")
        # By Sherman and Morrison; 1 is the solution of diag(n_k) x = n.
        return FeatureMetric(np.diag(1 / n) + (1 / ratio - 1) / n.sum())

    @cached_property
    def inverse(self) -> np.ndarray:
        """M^-1."""
        values, vectors = np.linalg.eigh(self.M)
        return (vectors / values) @ vectors.T

    @cached_property
    def root(self) -> np.ndarray:
        """M^(1/2), symmetric."""
        values, vectors = np.linalg.eigh(self.M)
        return (vectors * np.sqrt(values)) @ vectors.T

    def check(self, facts: Facts) -> None:
        """M has a row for every class; the squared loss, one linear layer."""
        one_layer(facts, "FeatureMetric")
        if self.M.shape[0] != facts.columns:
            raise ProblemError("constraint.M", self.M.shape, f"this is its shape; it needs {facts.columns} rows.")
        if facts.loss != "mse":
            raise ProblemError("loss", facts.loss, "FeatureMetric is solved for the squared loss; take loss='mse'.")

    def to_dict(self) -> dict[str, Any]:
        """M as rows."""
        return {"M": self.M.tolist()}


CONSTRAINT = FeatureMetric
