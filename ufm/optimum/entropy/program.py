"""Cross-entropy in mean-square units, and what it is at one point: probabilities, value, residual, curvature.

With r_k = sqrt(n_k/N) (a unit vector), X = Z diag(r) and threshold = c sqrt(N) the objective reads
sum_k r_k^2 CE(x_k/r_k + b, t_k) + threshold ||X||_* + lam_b/2 ||b||^2 (theory: section 5; srebro2004 for the norm), and
its Hessian by a column of X is that of one CE, whatever the class sizes are.

Samples of one target share their logits at an optimum: averaging their columns lowers CE (Jensen) and does not raise
the nuclear norm (a projection of the rows). So equal target columns are merged and their weights added.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ufm.errors import ProblemError
from ufm.problem import Problem


@dataclass(frozen=True, eq=False)
class EntropyProgram:
    """min over X (m x K), b (m) of sum_k r_k^2 CE(x_k/r_k + b, t_k) + threshold ||X||_* + lam_b/2 ||b||^2, ||r|| = 1.

    T: distinct nonnegative target columns (m x K); CE(z, t) = (sum t) log sum exp z - t'z.
    """

    T: np.ndarray
    r: np.ndarray
    threshold: float
    lam_b: float

    @cached_property
    def mass(self) -> np.ndarray:
        """Sum of every target column (K)."""
        return self.T.sum(axis=0)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean target, T r^2 (m)."""
        return self.T @ self.r**2

    @cached_property
    def own_output(self) -> np.ndarray | None:
        """The largest target of each class (K) where these are all the outputs, one each; else None."""
        largest = np.argmax(self.T, axis=0)
        square = self.T.shape[0] == self.T.shape[1]
        return largest if square and np.array_equal(np.sort(largest), np.arange(largest.size)) else None

    @property
    def has_bias(self) -> bool:
        """False where lam_b is infinite."""
        return not math.isinf(self.lam_b)

    @cached_property
    def floor(self) -> float:
        """Mean entropy of the targets, sum_k r_k^2 mass_k H(t_k/mass_k): no logits do better."""
        return float(np.sum(self.r**2 * entropy(self.T, self.mass)))


@dataclass(frozen=True, eq=False)
class Point:
    """One (X, b) of a program: P the softmax of its logits (m x K), E = (T - P diag(mass)) diag(r), fit the mean CE."""

    program: EntropyProgram
    X: np.ndarray
    b: np.ndarray
    P: np.ndarray
    E: np.ndarray
    fit: float

    @staticmethod
    def at(program: EntropyProgram, X: np.ndarray, b: np.ndarray) -> "Point":
        """Evaluate at (X, b), without cancellation where a probability is close to one."""
        Z = X / program.r + b[:, None]
        columns = np.arange(Z.shape[1])
        top = np.argmax(Z, axis=0)
        Z = Z - Z[top, columns]
        P = np.exp(Z)
        P[top, columns] = 0.0
        others = P.sum(axis=0)
        P[top, columns] = 1.0
        P /= 1 + others
        E = program.T - P * program.mass
        E[top, columns] = 0.0
        E[top, columns] = -E.sum(axis=0)  # columns sum to zero; 1 - p would lose the digits of a small 1 - p
        loss = program.mass * np.log1p(others) - np.sum(program.T * Z, axis=0)
        return Point(program, X, b, P, E * program.r, float(np.sum(program.r**2 * loss)))

    @property
    def pull(self) -> np.ndarray:
        """E r (m): minus the slope of the fit by the bias."""
        return self.E @ self.program.r

    def bias_penalty(self) -> float:
        """lam_b/2 ||b||^2, zero without a bias."""
        return self.program.lam_b * float(self.b @ self.b) / 2 if self.program.has_bias else 0.0

    def curve(self, D: np.ndarray) -> np.ndarray:
        """Second derivative of the fit by X applied to D: mass_k (diag p_k - p_k p_k') d_k in every column."""
        PD = self.P * D
        return (PD - self.P * PD.sum(axis=0)) * self.program.mass

    def bias_curvature(self) -> np.ndarray:
        """Second derivative of fit + lam_b/2 ||b||^2 by b (m x m)."""
        weighted = self.P * (self.program.mass * self.program.r**2)
        H = -weighted @ self.P.T
        H[np.diag_indices_from(H)] += weighted.sum(axis=1) + self.program.lam_b
        return H


def entropy(Q: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Mass_k H(q_k/mass_k) = -sum_i q_ik log(q_ik/mass_k) of nonnegative columns, 0 log 0 = 0 (m x K -> K)."""
    share = np.divide(Q, mass, out=np.ones_like(Q), where=(Q > 0) & (mass > 0))
    return -np.sum(Q * np.log(share), axis=0)


def state_program(problem: Problem, *, merge: bool = True) -> tuple[EntropyProgram, np.ndarray]:
    """The program of a problem and, for every column of its targets, which column of the program it became.

    ProblemError for a negative target: its CE is unbounded below.
    """
    columns = problem.targets.columns
    if np.any(columns < 0):
        i, k = (int(x) for x in np.argwhere(columns < 0)[0])
        raise ProblemError(f"targets[{i}, {k}]", float(columns[i, k]), "loss='cross_entropy' needs targets >= 0.")
    T, index = columns, np.arange(columns.shape[1])
    if merge:
        distinct, into = np.unique(columns, axis=1, return_inverse=True)
        if distinct.shape[1] < columns.shape[1]:  # otherwise keep the order of the classes
            T, index = distinct, into.reshape(-1)
    sizes = np.bincount(index, weights=problem.targets.multiplicity)
    threshold = math.sqrt(float(problem.lam_W[0])) * math.sqrt(float(problem.lam_H)) * math.sqrt(problem.N)
    return EntropyProgram(T, np.sqrt(sizes / problem.N), threshold, float(problem.lam_b)), index
