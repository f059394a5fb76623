"""The deep squared loss in mean-square units, and its minimum over the product X for a fixed bias.

With A^ = A/sqrt(N), u = q/sqrt(N) (a unit vector), X^ = X/sqrt(N) and t = Lam N^(1/p) the objective reads
1/2 ||A^ - b u' - X^||^2 + (p/2) t sum_i s_i(X^)^(2/p) + lam_b/2 ||b||^2, whatever N is.
"""

import math
from dataclasses import dataclass

import numpy as np

from ufm.errors import UfmError
from ufm.optimum.deep.scalar import minimise
from ufm.problem import Problem, Reduction


@dataclass(frozen=True, eq=False)
class DeepProblem:
    """min over X (m x r, rank <= d), b (m) of 1/2 ||A - b u' - X||^2 + (p/2) t sum_i s_i^(2/p) + lam_b/2 ||b||^2."""

    A: np.ndarray
    u: np.ndarray
    t: float
    p: int
    lam_b: float
    d: int

    @staticmethod
    def of(problem: Problem, reduction: Reduction) -> "DeepProblem":
        """The reduced problem in mean-square units. Raises UfmError where the targets overflow."""
        root = math.sqrt(problem.N)
        A, u = reduction.A / root, reduction.q / root
        with np.errstate(over="ignore"):
            if not np.isfinite(np.sum(A**2)):
                raise UfmError("the objective overflows double precision; rescale the targets.")
        d = problem.width if problem.width is not None else min(A.shape)
        return DeepProblem(A, u, problem.Lam * problem.N ** (1 / problem.p), problem.p, float(problem.lam_b), d)

    @property
    def mean(self) -> np.ndarray:
        """A u = ybar (m)."""
        return self.A @ self.u

    @property
    def centred(self) -> np.ndarray:
        """A (I - uu') (m x r)."""
        return self.A - np.outer(self.mean, self.u)

    @property
    def rho(self) -> float:
        """lam_b/(1 + lam_b): the weight the mean direction keeps."""
        return 1.0 if math.isinf(self.lam_b) else self.lam_b / (1 + self.lam_b)

    @property
    def mean_is_singular_direction(self) -> bool:
        """Sigma_c ybar = 0, to round-off: the centred targets have no part along their mean."""
        size = float(np.linalg.norm(self.centred) * np.linalg.norm(self.mean))
        across = float(np.linalg.norm(self.centred.T @ self.mean))
        return across <= 4 * np.finfo(float).eps * math.sqrt(self.A.size) * size

    @property
    def weighted(self) -> np.ndarray:
        """A (I - (1 - sqrt rho) uu') (m x r): what is left to fit once the bias is minimised out."""
        return self.A - (1 - math.sqrt(self.rho)) * np.outer(self.mean, self.u)


@dataclass(frozen=True, eq=False)
class DeepSolution:
    """X = U diag(s) V' with s > 0 descending, the bias b (m), the value; tie: another point may share that value."""

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    b: np.ndarray
    value: float
    tie: bool

    @property
    def rank(self) -> int:
        """Number of directions that survive."""
        return self.s.size


def bias_penalty(problem: DeepProblem, b: np.ndarray) -> float:
    """lam_b/2 ||b||^2, 0 without a bias."""
    return 0.0 if math.isinf(problem.lam_b) else problem.lam_b * float(b @ b) / 2


def best_directions(gain: np.ndarray, s: np.ndarray, d: int) -> np.ndarray:
    """Mask of the d largest gains among the directions with s > 0, the first ones where they tie."""
    order = np.argsort(np.where(s > 0, -gain, np.inf), kind="stable")
    kept = np.zeros(gain.size, dtype=bool)
    kept[order[:d]] = True
    return kept & (s > 0)


def solve_fixed_bias(
    problem: DeepProblem, b: np.ndarray, M: np.ndarray | None = None, *, local: bool = False
) -> DeepSolution:
    """The best X for this b: the scalar minimum in each singular direction of M = A - b u', the d best ones kept.

    By von Neumann's trace inequality the singular vectors of X are those of M. local: the nonzero local minimum
    wherever there is one.
    """
    M = problem.A - np.outer(b, problem.u) if M is None else M
    U, sigma, Vt = np.linalg.svd(M, full_matrices=False)
    best = minimise(sigma, problem.t, problem.p, local=local)
    kept = best_directions(best.gain, best.s, problem.d)
    s, e = best.s[kept], best.e[kept]
    value = float(np.sum(e * (e + problem.p * s)) / 2 + np.sum(sigma[~kept] ** 2) / 2)  # (p/2) t s^(2/p) = (p/2) e s
    tie = bool(np.any(best.tie)) or cut_in_a_tie(best.gain, kept)
    return DeepSolution(U[:, kept], s, Vt[kept].T, b, value + bias_penalty(problem, b), tie)


def cut_in_a_tie(gain: np.ndarray, kept: np.ndarray) -> bool:
    """Whether a direction left out for want of width gains as much as one that is kept, to round-off."""
    left, taken = gain[~kept], gain[kept]
    return left.size > 0 and taken.size > 0 and bool(left.max() >= taken.min() * (1 - 1e-12))
