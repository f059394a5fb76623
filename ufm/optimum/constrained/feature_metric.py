"""Features in the metric of the layer below: a convex problem in the product of the classifier with that layer.

With Hbar = G R, R = M^(1/2), D = diag(sqrt n_k), T = R D, q = sqrt(n_k) and X = W G the objective is, times N,

    F(X, b) = 1/2 ||A - b q' - X T||^2 + tau ||X||_* + (N lam_b/2) ||b||^2,   tau = N sqrt(lam_W lam_H),

because min over W G = X of lam_W/2 ||W||^2 + lam_H/2 ||G||^2 is sqrt(lam_W lam_H) ||X||_*. The bias that belongs to X
is b = (A - X T) q/(N (1 + lam_b)); what is left is least squares with a nuclear norm, solved by an accelerated proximal
gradient and then by quasi-Newton steps on the factors of the rank found. Dual: maximise
tr(E'A) - 1/2 ||E||^2 - ||E q||^2/(2 N lam_b) over ||E T'||_op <= tau (E q = 0 where lam_b = 0); E = A - b q' - X T at
the optimum. M = diag(1/n_k) gives T = I and the problem of theory: section 3.
"""

import math
from dataclasses import dataclass

import numpy as np

from ufm.constraints import FeatureMetric
from ufm.errors import ProblemError
from ufm.optimum.bounded import descend_above_zero
from ufm.optimum.constrained import referee
from ufm.optimum.constrained.point import optimum_at, slope_of
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import solver_of
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, objective

_STEPS, _LOOK = 20_000, 100  # proximal steps at most, and between looks at the gap
_GAP = 1e-12  # relative gap at which nothing more is done
_TIGHT = 1e-9
_SETTLED = 1e-12  # slope, relative to tau, that is round-off


@dataclass(frozen=True, eq=False)
class _Program:
    """A (m x K), T (K x K), q (K) and tau of the module's F, N and lam_b."""

    A: np.ndarray
    T: np.ndarray
    q: np.ndarray
    tau: float
    N: int
    lam_b: float

    @staticmethod
    def of(problem: Problem, metric: FeatureMetric) -> "_Program":
        root = np.sqrt(problem.targets.multiplicity)
        tau = problem.N * math.sqrt(float(problem.lam_W[0])) * math.sqrt(float(problem.lam_H))
        lam_b = float(problem.lam_b)
        return _Program(problem.targets.columns * root, metric.root * root, root, tau, problem.N, lam_b)

    def bias(self, X: np.ndarray) -> np.ndarray:
        """The best b for this X."""
        if math.isinf(self.lam_b):
            return np.zeros(self.A.shape[0])
        return (self.A - X @ self.T) @ self.q / (self.N * (1 + self.lam_b))

    def residual(self, X: np.ndarray) -> np.ndarray:
        """E = A - b q' - X T with the best b; minus the slope of the fit by X is E T'."""
        E = self.A - X @ self.T
        return E - np.outer(self.bias(X), self.q)

    def fit(self, X: np.ndarray) -> float:
        """F without the nuclear norm, at the best b."""
        penalty = 0.0 if math.isinf(self.lam_b) else self.N * self.lam_b * float(np.sum(self.bias(X) ** 2))
        return (float(np.sum(self.residual(X) ** 2)) + penalty) / 2

    def value(self, X: np.ndarray) -> float:
        """F at the best b."""
        return self.fit(X) + self.tau * float(np.linalg.svd(X, compute_uv=False).sum())

    def dual(self, X: np.ndarray) -> tuple[float, np.ndarray]:
        """A lower bound on F, from the residual at X made feasible, and that E."""
        E = self.residual(X)
        if self.lam_b == 0:  # to round-off it is so already
            E = E - np.outer(E @ self.q, self.q) / self.N
        length = float(np.linalg.norm(E @ self.T.T, 2))
        E = E * min(1.0, self.tau / length) if length > 0 else E
        value = float(np.sum(E * self.A) - np.sum(E**2) / 2)
        if 0 < self.lam_b < math.inf:
            value -= float(np.sum((E @ self.q) ** 2)) / (2 * self.N * self.lam_b)
        return value, E

    def gap(self, X: np.ndarray) -> float:
        """The gap at X, relative to the objective's own size where that is below 1."""
        value = self.value(X)
        return (value - self.dual(X)[0]) / max(self.N, abs(value))


def solve_feature_metric(problem: Problem, method: str = "auto") -> Optimum:
    """The global minimum for a width that holds every direction, certified by its dual."""
    metric = problem.constraint
    if not isinstance(metric, FeatureMetric):
        raise ProblemError("constraint", metric, "this solver needs FeatureMetric.")
    full = min(problem.m, metric.M.shape[0])
    if problem.width is not None and problem.width < full:
        raise ProblemError("width", problem.width, f"FeatureMetric is solved for width >= {full}; leave it None.")
    for name, weight in (("lam_W", problem.lam_W[0]), ("lam_H", problem.lam_H)):
        if not float(weight) > 0:
            raise ProblemError(name, weight, "FeatureMetric is solved for positive weights; the infimum is else free.")
    program = _Program.of(problem, metric)
    if (solver := solver_of(method)) is not None:
        X, steps = referee.feature_metric(problem, metric, solver), 1
    else:
        X, steps = _descend(program)
    bound, dual = program.dual(X)
    W, H = _factors(problem, metric, X, full if problem.width is None else problem.width)
    b = program.bias(X)
    value = float(objective(problem, W, H, b if problem.has_bias else None))
    tight = value - bound / problem.N <= _TIGHT * max(1.0, value)
    return optimum_at(
        problem,
        W,
        H,
        b,
        status=OptimumStatus.CERTIFIED if tight else OptimumStatus.OPEN_GAP,
        method="proximal gradient" if solver is None else method,
        value=value,
        lower_bound=bound / problem.N,
        stationarity=slope_of(problem, W, H, b, "WHb"),
        dual=dual,
        work=steps,
    )


def _descend(program: _Program) -> tuple[np.ndarray, int]:
    """Accelerated proximal gradient, its momentum dropped where it climbs, polished at every look at the gap."""
    length = float(np.linalg.norm(program.T, 2)) ** 2
    X = np.zeros((program.A.shape[0], program.T.shape[0]))
    at, momentum = X, 1.0
    for step in range(1, _STEPS + 1):
        following = _shrunk(at + program.residual(at) @ program.T.T / length, program.tau / length)
        if float(np.sum((at - following) * (following - X))) > 0:
            momentum = 1.0
        raised = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        at = following + (momentum - 1) / raised * (following - X)
        X, momentum = following, raised
        if step % _LOOK == 0:
            X = min((X, _polished(program, X)), key=program.value)
            if program.gap(X) <= _GAP:
                return X, step
            at, momentum = X, 1.0
    return X, _STEPS


def _shrunk(X: np.ndarray, threshold: float) -> np.ndarray:
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    return (U * np.maximum(s - threshold, 0)) @ Vt


def _polished(program: _Program, X: np.ndarray) -> np.ndarray:
    """Quasi-Newton steps, then Newton's, on balanced factors of X, which keep its rank."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    kept = s > 1e-9 * max(float(s[0]), 1e-300)
    if not np.any(kept):
        return X
    r, root, m = int(kept.sum()), np.sqrt(s[kept]), X.shape[0]

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        W, G = x[: m * r].reshape(m, r), x[m * r :].reshape(r, -1)
        slope = -program.residual(W @ G) @ program.T.T
        value = program.fit(W @ G) + program.tau / 2 * float(x @ x)
        return value, np.concatenate([(slope @ G.T).ravel(), (W.T @ slope).ravel()]) + program.tau * x

    start = np.concatenate([(U[:, kept] * root).ravel(), (root[:, None] * Vt[kept]).ravel()])
    x, _ = descend_above_zero(fun, start, np.zeros(start.size, dtype=bool), settled=_SETTLED * program.tau)
    return x[: m * r].reshape(m, r) @ x[m * r :].reshape(r, -1)


def _factors(problem: Problem, metric: FeatureMetric, X: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """W (m x d) and the class means H (d x K) = G R with W G = X, lam_W W'W = lam_H GG'."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    tilt = (float(problem.lam_W[0]) / float(problem.lam_H)) ** 0.25
    r = s.size
    W, H = np.zeros((X.shape[0], d)), np.zeros((d, X.shape[1]))
    W[:, :r], H[:r] = U * np.sqrt(s) / tilt, (np.sqrt(s)[:, None] * tilt * Vt) @ metric.root
    return W, H
