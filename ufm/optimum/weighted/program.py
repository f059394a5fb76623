"""The rescaled squared loss in mean-square units, its dual, and points of both.

With r_k = sqrt(n_k/N), X = W H diag(r), A = M T diag(r) and w = k at the labels, 1 elsewhere, the objective is
1/2 sum_jk w_jk (A - b r' - X)_jk^2 + threshold ||X||_* + lam_b/2 ||b||^2: convex. Its dual is to maximise
tr(E'A) - 1/2 sum E^2/w - ||E r||^2/(2 lam_b) over ||E||_op <= threshold; lam_b = inf drops the last term, and lam_b = 0
makes E r = 0 a constraint. At the optimum E = w (A - b r' - X), entry by entry.
"""

import math
from dataclasses import dataclass

import numpy as np

from ufm.errors import ProblemError
from ufm.losses import RescaledMSE
from ufm.optimum.factored import Factored
from ufm.optimum.squared.shrinkage import mean_square_threshold
from ufm.problem import Problem


@dataclass(frozen=True, eq=False)
class WeightedProgram:
    """A, w (m x K), r (K, ||r|| = 1), the threshold of the singular values, and lam_b."""

    A: np.ndarray
    w: np.ndarray
    r: np.ndarray
    threshold: float
    lam_b: float

    @staticmethod
    def of(problem: Problem) -> "WeightedProgram":
        """The program of a problem whose loss is the rescaled squared one."""
        loss, T = problem.loss, problem.targets.columns
        if not isinstance(loss, RescaledMSE):
            raise ProblemError("loss", loss, "this solver needs ufm.losses.rescaled_mse(k, M).")
        r = np.sqrt(problem.targets.multiplicity / problem.N)
        w = np.asarray(loss.weights(T), dtype=float)
        return WeightedProgram(loss.M * T * r, w, r, mean_square_threshold(problem), float(problem.lam_b))

    def bias(self, X: np.ndarray) -> np.ndarray:
        """The best b at this X (m)."""
        if math.isinf(self.lam_b):
            return np.zeros(X.shape[0])
        return ((self.A - X) * self.w) @ self.r / (self.w @ self.r**2 + self.lam_b)

    def residual(self, X: np.ndarray, b: np.ndarray) -> np.ndarray:
        """E = w (A - b r' - X), minus the slope of the fit by X."""
        return self.w * (self.A - b[:, None] * self.r - X)

    def value(self, s: np.ndarray, b: np.ndarray, E: np.ndarray) -> float:
        """The objective at a point with singular values s, bias b and residual E."""
        penalty = 0.0 if math.isinf(self.lam_b) else self.lam_b * float(b @ b) / 2
        return float(np.sum(E**2 / self.w)) / 2 + self.threshold * float(s.sum()) + penalty

    def bound(self, E: np.ndarray) -> tuple[float, np.ndarray]:
        """The dual objective at the best feasible multiple of E, and that multiple."""
        if self.lam_b == 0:
            E = E - np.outer(E @ self.r, self.r)
        norm = float(np.linalg.svd(E, compute_uv=False)[0])
        linear, square = float(np.vdot(E, self.A)), float(np.sum(E**2 / self.w))
        if 0 < self.lam_b < math.inf:
            pull = E @ self.r
            square += float(pull @ pull) / self.lam_b
        most = self.threshold / norm if norm > 0 else 1.0
        share = min(most, max(0.0, linear / square)) if square > 0 else most
        return share * linear - share**2 * square / 2, share * E


def assemble(program: WeightedProgram, X: np.ndarray, b: np.ndarray, work: int, *, accuracy: float = 1e-12) -> Factored:
    """A point with its value and bound; singular values below `accuracy` of the largest are zero."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    kept = s > accuracy * float(np.max(s, initial=0.0))
    U, s, V = U[:, kept], s[kept], Vt[kept].T
    E = program.residual((U * s) @ V.T, b)
    bound, dual = program.bound(E)
    return Factored(U, s, V, b, program.value(s, b, E), bound, dual, work)
