"""The squared loss in mean-square units, and its closed form where the mean is a singular direction.

With A^ = A/sqrt(N), u = q/sqrt(N) (a unit vector), X^ = X/sqrt(N) and t = c sqrt(N) the objective reads
1/2 ||A^ - b u' - X^||^2 + t ||X^||_* + lam_b/2 ||b||^2, whatever N is: sizes of 10^9 cost no digits.
"""

import math
from dataclasses import dataclass

import numpy as np

from ufm.problem import Problem, Reduction

_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class ShrinkageProblem:
    """min over X (m x r), b (m) of 1/2 ||A - b u' - X||^2 + threshold ||X||_* + lam_b/2 ||b||^2, ||u|| = 1."""

    A: np.ndarray
    u: np.ndarray
    threshold: float
    lam_b: float

    @staticmethod
    def of(problem: Problem, reduction: Reduction) -> "ShrinkageProblem":
        """The reduced problem in mean-square units."""
        root = math.sqrt(problem.N)
        threshold = mean_square_threshold(problem)
        return ShrinkageProblem(reduction.A / root, reduction.q / root, threshold, float(problem.lam_b))

    @property
    def mean(self) -> np.ndarray:
        """A u = ybar (m)."""
        return self.A @ self.u

    @property
    def centred(self) -> np.ndarray:
        """A (I - uu') (m x r)."""
        return self.A - np.outer(self.mean, self.u)


@dataclass(frozen=True, eq=False)
class ShrinkageSolution:
    """X = U diag(s) V' with s > 0, the bias b, and the residual E = A - b u' - X (m x r), the dual point."""

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    b: np.ndarray
    E: np.ndarray

    @property
    def rank(self) -> int:
        """Number of directions that survive."""
        return self.s.size

    @property
    def X(self) -> np.ndarray:
        """The product, m x r."""
        return (self.U * self.s) @ self.V.T


def mean_square_threshold(problem: Problem) -> float:
    """c sqrt(N): the threshold of the singular values in mean-square units."""
    return math.sqrt(float(problem.lam_W[0])) * math.sqrt(float(problem.lam_H)) * math.sqrt(problem.N)


def solve_at(problem: ShrinkageProblem, b: np.ndarray) -> ShrinkageSolution:
    """The best X at this bias (m): one SVD."""
    U, s, V, E = shrink(problem.A - np.outer(b, problem.u), problem.threshold)
    return ShrinkageSolution(U, s, V, b, E)


def shrink(M: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Singular-value shrinkage: (U, s, V) of the directions with s = sigma - threshold > 0, and the rest E = M - USV'.

    E is built from min(sigma, threshold), so that its operator norm keeps the bound to round-off.
    """
    U, sigma, Vt = np.linalg.svd(M, full_matrices=False)
    E = (U * np.minimum(sigma, threshold)) @ Vt
    kept = sigma > threshold
    return U[:, kept], sigma[kept] - threshold, Vt[kept].T, E


def solve_closed_form(problem: ShrinkageProblem) -> ShrinkageSolution | None:
    """The optimum as a formula, or None where the mean is not a singular direction and 0 < lam_b < inf.

    No bias shrinks every direction; a free bias shrinks the centred ones and takes the mean away; in between the mean
    direction is shrunk by threshold/rho (theory: section 3).
    """
    if math.isinf(problem.lam_b):
        return solve_at(problem, np.zeros(problem.A.shape[0]))
    if problem.lam_b == 0:
        U, s, V, E = shrink(problem.centred, problem.threshold)
        return ShrinkageSolution(U, s, V, problem.mean, E)
    if not mean_is_singular_direction(problem):
        return None
    U, s, V, E = shrink(problem.centred, problem.threshold)
    size = float(np.linalg.norm(problem.mean))
    if size == 0:
        return ShrinkageSolution(U, s, V, np.zeros(problem.A.shape[0]), E)
    rho = problem.lam_b / (1 + problem.lam_b)
    direction = problem.mean / size
    s_0 = max(0.0, size - problem.threshold / rho)
    b = direction * (size - s_0) / (1 + problem.lam_b)
    E = E + np.outer(problem.lam_b * b, problem.u)
    if s_0 > 0:
        U, V, s = np.column_stack([U, direction]), np.column_stack([V, problem.u]), np.append(s, s_0)
        order = np.argsort(-s, kind="stable")
        U, V, s = U[:, order], V[:, order], s[order]
    return ShrinkageSolution(U, s, V, b, E)


def mean_is_singular_direction(problem: ShrinkageProblem) -> bool:
    """Sigma_c ybar = 0, to round-off: the centred targets have no part along their mean."""
    A, mean = problem.A, problem.mean
    square = float(mean @ mean)
    size = math.sqrt(square * float(np.vdot(A, A)))  # the centred targets carry the round-off of A
    along = mean @ A - square * problem.u
    return math.sqrt(along @ along) <= 4 * _EPS * math.sqrt(A.size) * size
