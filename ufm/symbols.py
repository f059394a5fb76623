"""The letters of the notation page as SymPy symbols: statements and proofs mean the same by them.

An observable with one index is a formula in letters with that index (n_k: one number a class); one with two indices may
use n_k, n_l and delta_kl. A matrix-valued observable may also be a matrix expression in the matrix letters.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ufm.problem import Problem

K = sp.Symbol("K", integer=True, positive=True)  # classes; statements about pairs of classes need K >= 2
n = sp.Symbol("n", integer=True, positive=True)  # samples per class, balanced
m = sp.Symbol("m", integer=True, positive=True)  # target dimension
d = sp.Symbol("d", integer=True, positive=True)  # feature width
N = sp.Symbol("N", integer=True, positive=True)  # samples
lam_W = sp.Symbol("lambda_W", positive=True)
lam_H = sp.Symbol("lambda_H", positive=True)
lam_b = sp.Symbol("lambda_b", positive=True)
tau = sp.Symbol("tau", positive=True)
rho = sp.Symbol("rho", positive=True)
time = sp.Symbol("t", nonnegative=True)  # of the flow

c = sp.sqrt(lam_W * lam_H)

# one number a class k or l, or a pair of them
n_k = sp.Symbol("n_k", integer=True, positive=True)
n_l = sp.Symbol("n_l", integer=True, positive=True)
delta_kl = sp.Symbol("delta_kl", integer=True, nonnegative=True)

# one number a direction i = 1..m of the target space, descending
sigma = sp.Symbol("sigma_i", nonnegative=True)  # singular values of Y
sigma_c = sp.Symbol("sigma^c_i", nonnegative=True)  # of Y - ybar 1'
sigma_0 = sp.Symbol("sigma_0", nonnegative=True)  # of the mean direction, sqrt(N) |ybar|, where it is one
cov = sp.Symbol("lambda_i", nonnegative=True)  # eigenvalues of the target covariance Sigma: (sigma^c_i)^2/N

# matrices, over all N samples
Y = sp.MatrixSymbol("Y", m, N)
Y_CENTRED = sp.MatrixSymbol("Y_c", m, N)  # Y - ybar 1'
Y_MEAN = sp.MatrixSymbol("ybar 1'", m, N)
COV_ROOT = sp.MatrixSymbol("Sigma^{1/2}", m, m)
COV_INVERSE_ROOT = sp.MatrixSymbol("Sigma^{-1/2}", m, m)


class Total(sp.Function):
    """The sum of a formula over the m directions i of the target space."""


class SoftThreshold(MatrixExpr):
    """U [S - t]_+ V' for the singular value decomposition M = U S V'."""

    def __new__(cls, matrix: Any, threshold: Any) -> "SoftThreshold":  # noqa: D102
        return MatrixExpr.__new__(cls, matrix, sp.sympify(threshold))

    @property
    def shape(self) -> Any:
        """That of M."""
        return self.args[0].shape  # pyright: ignore

    def _sympystr(self, printer: Any) -> str:
        return f"SoftThreshold({printer._print(self.args[0])}, {printer._print(self.args[1])})"

    def _latex(self, printer: Any) -> str:
        return rf"\left[{printer._print(self.args[0])}\right]_{{{printer._print(self.args[1])}}}"


def _n(problem: Problem) -> int:
    counts = problem.classes.counts
    return int(counts[0]) if problem.classes.balanced else _missing("n", problem)


def _lam_W(problem: Problem) -> float:
    return float(problem.lam_W[0]) if problem.p == 2 else _missing("lambda_W", problem)


def _missing(name: str, problem: Problem) -> Any:
    raise KeyError(f"{problem!r} gives no one value to {name}")


def _centred(problem: Problem) -> np.ndarray:
    return problem.targets.columns - problem.targets.mean[:, None]


def _singular_values(problem: Problem, columns: np.ndarray) -> np.ndarray:
    """Of the columns (m x K or m x N) over all samples, filled up with zeros to m."""
    found = np.linalg.svd(columns * np.sqrt(problem.targets.multiplicity), compute_uv=False)
    return np.concatenate([found, np.zeros(max(0, problem.m - found.size))])


def _cov_power(problem: Problem, exponent: float) -> np.ndarray:
    centred = _centred(problem) * np.sqrt(problem.targets.multiplicity / problem.N)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    return (vectors * np.maximum(values, 0) ** exponent) @ vectors.T


def _mean_of_all(problem: Problem) -> np.ndarray:
    return np.repeat(problem.targets.mean[:, None], problem.N, axis=1)


# what a problem gives to each letter, by name; a number, or an array over the letter's indices
VALUES: Mapping[str, Callable[[Problem], Any]] = {
    "m": lambda problem: problem.m,
    "N": lambda problem: problem.N,
    "K": lambda problem: problem.K,
    "n": _n,
    "lambda_W": _lam_W,
    "lambda_H": lambda problem: float(problem.lam_H),
    "lambda_b": lambda problem: float(problem.lam_b),
    "n_k": lambda problem: problem.classes.counts,
    "n_l": lambda problem: problem.classes.counts[None, :],
    "delta_kl": lambda problem: np.eye(problem.K),
    "sigma_i": lambda problem: _singular_values(problem, problem.targets.columns),
    "sigma^c_i": lambda problem: _singular_values(problem, _centred(problem)),
    "sigma_0": lambda problem: float(np.sqrt(problem.N) * np.linalg.norm(problem.targets.mean)),
    "lambda_i": lambda problem: _singular_values(problem, _centred(problem)) ** 2 / problem.N,
    "Y": lambda problem: problem.targets.matrix(),
    "Y_c": lambda problem: problem.targets.matrix() - problem.targets.mean[:, None],
    "ybar 1'": _mean_of_all,
    "Sigma^{1/2}": lambda problem: _cov_power(problem, 0.5),
    "Sigma^{-1/2}": lambda problem: _cov_power(problem, -0.5),
}
