"""Non-negative features: a formula for the cross-entropy of one-hot classes, descents with a bound for the rest.

dang2024, theorem 1: without bias, d >= K, the class means are orthogonal, of squared norm
sqrt((K-1)/K lam_W/(lam_H n_k)) M_k with the margin M_k = log((K-1)(sqrt(n_k)/(N sqrt((K-1)/K lam_W lam_H)) - 1))_+.
Elsewhere the problem is not convex; the unconstrained optimum bounds it from below, and proves those points where a
rotation makes its features non-negative.
"""

import math

import numpy as np
from scipy.optimize import minimize

from ufm.errors import ProblemError
from ufm.optimum.constrained.point import optimum_at
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.optimum import Optimum
from ufm.optimum.squared.solve import solve_squared
from ufm.optimum.squared.symmetry import find_groups
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, gradient, objective

_STARTS = 12


def solve_non_negative(problem: Problem) -> Optimum:
    """The formula where dang2024 proves it, else the best of several descents; the status says which."""
    if problem.loss not in ("mse", "cross_entropy"):
        raise ProblemError("loss", problem.loss, "non-negative features are solved for 'mse' and 'cross_entropy'.")
    free = problem.replace(constraint=None)
    below = solve_squared(free, "auto") if problem.loss == "mse" else solve_entropy(free, "auto")
    if _has_formula(problem):
        W, H = _formula(problem)
        b, work, method, proved = np.zeros(problem.m), 0, "closed form", True
    else:
        W, H, b, work = _descents(problem, below)
        method, proved = f"best of {_STARTS + 2} descents", False
    value = float(objective(problem, W, H, b if problem.has_bias else None))
    tight = value - below.lower_bound <= 1e-10 * max(1.0, value)
    known = OptimumStatus.PROVED if proved else OptimumStatus.BEST_KNOWN
    return optimum_at(
        problem,
        W,
        H,
        b,
        status=OptimumStatus.CERTIFIED if tight else known,
        method=method,
        value=value,
        lower_bound=value if proved and not tight else below.lower_bound,
        stationarity=_residual(problem, W, H, b),
        work=work,
    )


def _has_formula(problem: Problem) -> bool:
    groups = find_groups(problem)
    one_hot = groups is not None and (groups.alpha, groups.beta) == (1.0, 0.0) and problem.K >= 2
    weights = float(problem.lam_W[0]) > 0 and float(problem.lam_H) > 0
    wide = problem.width is None or (one_hot and problem.width >= problem.K)
    return problem.loss == "cross_entropy" and not problem.has_bias and one_hot and weights and wide


def _formula(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """W (K x d) and the class means (d x K) of dang2024: theorem 1."""
    K, N, n = problem.K, problem.N, problem.classes.counts.astype(float)
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    excess = (K - 1) * (np.sqrt(n) / (N * math.sqrt((K - 1) / K * lam_W * lam_H)) - 1)
    margin = np.log(np.maximum(excess, 1.0))
    length = np.sqrt(np.sqrt((K - 1) / K * lam_W / (lam_H * n)) * margin)
    d = problem.width if problem.width is not None else K
    H = np.zeros((d, K))
    H[:K] = np.diag(length)
    scaled = np.sqrt(n) * H
    W = math.sqrt(lam_H / lam_W / (K * (K - 1))) * (K * scaled - scaled.sum(axis=1, keepdims=True)).T
    return W, H


def _descents(problem: Problem, below: Optimum) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The best end of bounded quasi-Newton descents: from the free optimum, orthogonal features, and at random."""
    m, columns = problem.m, problem.targets.columns.shape[1]
    d = problem.width if problem.width is not None else max(m, columns)
    sizes = (m * d, d * columns, m)
    cut = np.cumsum(sizes)[:-1]

    def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        W, H, b = np.split(x, cut)
        W, H = W.reshape(m, d), H.reshape(d, columns)
        own = b if problem.has_bias else None
        slope = gradient(problem, W, H, own)
        return float(objective(problem, W, H, own)), np.concatenate([slope.W[0].ravel(), slope.H.ravel(), slope.b])

    bounds = [(None, None)] * sizes[0] + [(0, None)] * sizes[1] + [(None, None)] * sizes[2]
    best, work = None, 0
    for W, H, b in _starts(problem, below, d, columns):
        x, reached = np.concatenate([W.ravel(), H.ravel(), b]), math.inf
        for _ in range(3):
            options = {"maxiter": 4000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30, "maxfun": 20000}
            end = minimize(value_and_slope, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            x, work, reached = end.x, work + int(end.nit), float(end.fun)
        if best is None or reached < best[0]:
            best = reached, x
    if best is None:
        raise ProblemError("problem", problem, "no start was found.")
    W, H, b = np.split(best[1], cut)
    return W.reshape(m, d), H.reshape(d, columns), b, work


def _starts(problem: Problem, below: Optimum, d: int, columns: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng, b = np.random.default_rng(0), below.b.copy()
    Z = below.product @ below.H
    size = max(float(np.linalg.norm(Z)) ** 0.5, 1e-2)
    starts = []
    parts = np.vstack([np.maximum(below.H, 0), np.maximum(-below.H, 0)])
    split, signs = np.zeros((d, columns)), np.hstack([below.product, -below.product])
    order = np.argsort(-np.linalg.norm(parts, axis=1), kind="stable")[:d]
    split[: order.size] = parts[order]
    W = np.zeros((problem.m, d))
    W[:, : order.size] = signs[:, order]
    starts.append((W, split, b))
    eye = np.eye(d, columns) * size / columns**0.25
    starts.append((Z @ np.linalg.pinv(eye), eye, b))
    for _ in range(_STARTS):
        H = np.abs(rng.standard_normal((d, columns))) * size / math.sqrt(d)
        starts.append((size * rng.standard_normal((problem.m, d)) / math.sqrt(d), H, b))
    return starts


def _residual(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray) -> float:
    """Relative gradient by W and b, and by H where it may move: up at zero entries, both ways elsewhere."""
    slope = gradient(problem, (W,), H, b if problem.has_bias else None)
    allowed = np.where(H > 0, slope.H, np.minimum(slope.H, 0))
    scale = float(problem.lam_W[0]) * np.linalg.norm(W) + float(problem.lam_H) * np.linalg.norm(H)
    scale += float(np.linalg.norm(problem.targets.mean))
    return float(max(np.linalg.norm(slope.W[0]), np.linalg.norm(allowed), np.linalg.norm(slope.b)) / scale)
