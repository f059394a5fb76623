"""A fixed classifier: ridge regression for the squared loss, Newton's method for the others; all convex.

With the shares p_k = n_k/N and any dual matrix e (m x columns) weak duality gives, loss* the loss's conjugate,
value >= lam_W/2 ||W||^2 - sum_k p_k (loss*(e_k) + ||W'e_k||^2/(2 N lam_H)) - ||sum_k p_k e_k||^2/(2 lam_b).
"""

import math

import numpy as np

from ufm.constraints import FixedClassifier
from ufm.errors import ProblemError
from ufm.losses import RescaledMSE
from ufm.optimum.constrained import referee
from ufm.optimum.constrained.point import optimum_at, slope_of
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import solver_of
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, objective

_MAX_STEPS = 100


def solve_fixed_classifier(problem: Problem, method: str = "auto") -> Optimum:
    """The global minimum over H and b, certified by its dual."""
    constraint = problem.constraint
    if not isinstance(constraint, FixedClassifier):
        raise ProblemError("constraint", constraint, "this solver needs a FixedClassifier.")
    W = constraint.W
    if problem.loss not in ("mse", "cross_entropy") and not isinstance(problem.loss, RescaledMSE):
        fix = "a fixed classifier is solved for 'mse', 'cross_entropy' and rescaled_mse."
        raise ProblemError("loss", problem.loss, fix)
    if problem.loss != "mse" and float(problem.lam_H) == 0:
        raise ProblemError("lam_H", problem.lam_H, "with this loss a fixed classifier needs lam_H > 0.")
    if (solver := solver_of(method)) is not None:
        H, b, steps, found_by = *referee.fixed_classifier(problem, W, solver), 1, method
    elif problem.loss == "mse":
        H, b, steps, found_by = *_ridge(problem, W), 1, "closed form"
    else:
        H, b, steps, found_by = *_newton(problem, W), "newton"
    value = float(objective(problem, W, H, b if problem.has_bias else None))
    bound, e = _dual_bound(problem, W, H, b)
    closed_gap = value - bound <= 1e-9 * max(1.0, abs(value))
    return optimum_at(
        problem,
        W,
        H,
        b,
        status=OptimumStatus.CERTIFIED if closed_gap else OptimumStatus.OPEN_GAP,
        method=found_by,
        value=value,
        lower_bound=bound,
        stationarity=slope_of(problem, W, H, b, "Hb"),
        unique=True if float(problem.lam_H) > 0 else None,
        dual=e,
        work=steps,
    )


def _ridge(problem: Problem, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """h_k = (W'W + N lam_H I)^+ W'(y_k - b), b = (P + lam_b I)^+ P ybar, P what W leaves of a residual."""
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    lam = problem.N * float(problem.lam_H)
    kept = s > np.finfo(float).eps * max(W.shape) * s[0] if s.size else s > 0
    gain = np.divide(s, s**2 + lam, out=np.zeros_like(s), where=kept)
    b = np.zeros(problem.m)
    if problem.has_bias:
        ybar, lam_b = problem.targets.mean, float(problem.lam_b)
        inside = U.T @ ybar
        left = 1 - s * gain  # P on each direction of W
        share = np.divide(left, left + lam_b, out=np.zeros_like(left), where=left + lam_b > 0)
        b = U @ (share * inside) + (ybar - U @ inside) / (1 + lam_b)
    return Vt.T @ (gain[:, None] * (U.T @ (problem.targets.columns - b[:, None]))), b


def _newton(problem: Problem, W: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Damped Newton on (H, b): the Hessian is one d x d block a column, bordered by the bias."""
    T, n, N = problem.targets.columns, problem.targets.multiplicity / problem.N, problem.N
    lam, d, K, m = N * float(problem.lam_H), W.shape[1], T.shape[1], problem.m
    lam_b = float(problem.lam_b) if problem.has_bias else math.inf
    H, b = np.zeros((d, K)), np.zeros(m)

    def value_at(H: np.ndarray, b: np.ndarray) -> float:
        return float(objective(problem, W, H, b if problem.has_bias else None))

    value = value_at(H, b)
    for step in range(1, _MAX_STEPS + 1):
        slope_z, curve = _slope_and_curvature(problem, W @ H + b[:, None])
        slope_H = W.T @ slope_z + lam * H
        slope_b = slope_z @ n + (lam_b * b if problem.has_bias else 0)
        blocks = np.einsum("ia,kij,jc->kac", W, curve, W) + lam * np.eye(d)
        border = np.einsum("ia,kij->kaj", W, curve)
        solved = np.linalg.solve(blocks, np.concatenate([border, slope_H.T[:, :, None]], axis=2))
        dH = -solved[:, :, m].T
        db = np.zeros(m)
        if problem.has_bias:
            schur = np.einsum("k,kij->ij", n, curve - np.einsum("kai,kaj->kij", border, solved[:, :, :m]))
            right = -slope_b - np.einsum("k,kai,ak->i", n, border, dH)
            db = np.linalg.lstsq(schur + lam_b * np.eye(m), right, rcond=None)[0]
            dH = dH - np.einsum("kaj,j->ak", solved[:, :, :m], db)
        descent = (
            float(np.sum(n * slope_H * dH) + slope_b @ db) if problem.has_bias else float(np.sum(n * slope_H * dH))
        )
        settled = abs(descent) <= 1e-14 * max(1.0, value)  # values cannot tell points apart any more
        length, trial = 1.0, value_at(H + dH, b + db)
        while not settled and trial > value + 1e-4 * length * descent and length > 1e-10:
            length /= 2
            trial = value_at(H + length * dH, b + length * db)
        H, b, value = H + length * dH, b + length * db, min(value, trial)
        if abs(descent) <= 1e-24 * max(1.0, value):
            return H, b, step
    return H, b, _MAX_STEPS


def _slope_and_curvature(problem: Problem, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the loss in the logits: m x columns, and one m x m block a column (diag(p) - pp'/mass for cross-entropy)."""
    T, unit = problem.targets.columns, np.eye(problem.m)
    if isinstance(problem.loss, RescaledMSE):
        w = problem.loss.weights(T)
        return w * (Z - problem.loss.M * T), np.einsum("ik,ij->kij", w, unit)
    mass = T.sum(axis=0)
    p = _softmax(Z) * mass
    spread = np.einsum("ik,jk->kij", p, p) / np.maximum(mass, 1e-300)[:, None, None]
    return p - T, np.einsum("ik,ij->kij", p, unit) - spread


def _dual_bound(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """The dual objective at the residual e of this point, made feasible: nothing of the primal enters but e."""
    T, n, N = problem.targets.columns, problem.targets.multiplicity / problem.N, problem.N
    Z = W @ H + b[:, None]
    e = Z - T if problem.loss == "mse" else _slope_and_curvature(problem, Z)[0]
    lam_H, lam_b = float(problem.lam_H), float(problem.lam_b)
    if lam_H == 0:  # then W'e = 0 is a constraint
        U, s, _ = np.linalg.svd(W, full_matrices=False)
        U = U[:, s > np.finfo(float).eps * max(W.shape) * s[0]]
        e = e - U @ (U.T @ e)
    mean = e @ n
    if lam_b == 0:  # then the mean of e is zero
        e, mean = e - mean[:, None], np.zeros_like(mean)
    if problem.loss == "mse":
        fit = -np.sum(n * (e * T)) - np.sum(n * e**2) / 2
    elif isinstance(problem.loss, RescaledMSE):
        fit = -problem.loss.M * np.sum(n * (e * T)) - np.sum(n * e**2 / problem.loss.weights(T)) / 2
    else:
        e, mass = _towards_the_mean(e, T, n), T.sum(axis=0)
        p, mean = np.maximum(e + T, 0.0), e @ n
        share = np.divide(p, mass, out=np.ones_like(p), where=(p > 0) & (mass > 0))
        fit = -np.sum(n * p * np.log(share))
    ridge = np.sum(n * (W.T @ e) ** 2) / (2 * N * lam_H) if lam_H > 0 else 0.0
    shift = mean @ mean / (2 * lam_b) if 0 < lam_b < math.inf else 0.0
    penalty = float(problem.lam_W[0]) / 2 * float(np.sum(W**2))
    return float(penalty + fit - ridge - shift), e


def _towards_the_mean(e: np.ndarray, T: np.ndarray, n: np.ndarray) -> np.ndarray:
    """e, mixed with the mean target in every column (e'1 = 0 and e n stay zero) as far as e + T >= 0 asks for."""
    mass = T.sum(axis=0)
    middle = np.outer(T @ n, mass) / float(mass @ n)
    p = e + T
    below = p < 0
    if not np.any(below):
        return e
    share = float(np.max(-p[below] / np.maximum(middle[below] - p[below], np.finfo(float).tiny)))
    return (1 - share) * e + share * (middle - T)


def _softmax(Z: np.ndarray) -> np.ndarray:
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0)
