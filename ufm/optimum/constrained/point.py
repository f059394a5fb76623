"""A point of a constrained problem as an Optimum: residuals of the factors that are free, and only of those."""

import math
from functools import partial

import numpy as np

from ufm.constraints import FeatureMetric, FixedClassifier, Near, NonNegative, NormBudget
from ufm.errors import UfmError
from ufm.optimum.cancellation import ROUND_OFF, cancellation
from ufm.optimum.certificate import Certificate, closed
from ufm.optimum.curvature import NO_POINT, Curvature, second_order
from ufm.optimum.optimum import Optimum
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, gradient


def optimum_at(
    problem: Problem,
    W: np.ndarray,
    H: np.ndarray,
    b: np.ndarray,
    *,
    status: OptimumStatus,
    method: str,
    value: float,
    lower_bound: float,
    stationarity: float,
    unique: bool | None = None,
    convex: bool = False,
    dual: np.ndarray | None = None,
    work: int = 0,
) -> Optimum:
    """Assemble an answer; its balance is what the constraint leaves of one (`balance_of`).

    convex: whether the problem is, in the product, at this width; then a strict minimum off the rotations is unique.
    """
    if not np.isfinite(value):
        raise UfmError("the objective overflows double precision; rescale the targets.")
    root = np.sqrt(problem.targets.multiplicity) if H.shape[1] != problem.N else 1.0
    s = np.linalg.svd((W @ H) * root, compute_uv=False)
    rank = int(np.sum(s > 1e-10 * max(float(s[0]), 1e-300))) if s.size else 0
    certificate = Certificate(
        value,
        closed(lower_bound, value),
        stationarity,
        partial(balance_of, problem, W, H),
        rank,
        unique=partial(_isolated, problem, W, H, b) if convex and status.is_global and status.is_attained else unique,
        dual=dual,
        second_order=partial(second_order, problem, (W,), H, b) if status.is_attained else NO_POINT,
        work=work,
    )
    return Optimum(problem, status, method, (W,), H, b, s, certificate)


def _isolated(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray) -> bool | None:
    """Whether all curvature off the rotations is positive: minimisers of a convex problem are one or a segment."""
    second = second_order(problem, (W,), H, b)
    return True if isinstance(second, Curvature) and second.is_positive else None


def balance_of(problem: Problem, W: np.ndarray, H: np.ndarray) -> float:
    """Relative residual of what W' times the slope by W and the slope by H times H' say together at a critical point.

    With multipliers for weights it is lam_W W'W = lam_H H H' (class sizes included); for non-negative features on the
    diagonal, feature by feature; near H0 the tie joins in. NaN for a fixed classifier, which nothing balances.
    """
    constraint, lam_W, lam_H = problem.constraint, float(problem.lam_W[0]), float(problem.lam_H)
    weights = problem.targets.multiplicity if H.shape[1] != problem.N else 1.0
    match constraint:
        case FixedClassifier():
            return math.nan
        case FeatureMetric():
            left, right = lam_W * W.T @ W, lam_H * H @ constraint.inverse @ H.T
        case Near():
            tie = constraint.beta / problem.N
            left, right = lam_W * W.T @ W, (lam_H + tie) * H @ H.T - tie * constraint.H0 @ H.T
        case NormBudget():  # both multipliers times their budgets are -<W H, slope of the fit>
            left, right = W.T @ W / constraint.E_W, H @ H.T / constraint.E_H
        case _:
            left, right = lam_W * W.T @ W, lam_H * (H * weights) @ H.T
    if isinstance(constraint, NonNegative):
        left, right = np.diag(left), np.diag(right)
    size = float(np.linalg.norm(left) + np.linalg.norm(right))
    return float(np.linalg.norm(left - right)) / size if size > 0 else 0.0


def slope_of(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray, free: str) -> float:
    """Largest norm of the gradient by the factors named in `free`, relative to its fit's and its penalty's parts.

    Round-off is not counted (`cancellation`).
    """
    slope = gradient(problem, (W,), H, b if problem.has_bias else None)
    weights = problem.targets.multiplicity if H.shape[1] != problem.N else 1.0
    penalties = {"W": float(problem.lam_W[0]) * W, "H": float(problem.lam_H) * weights * H}
    slopes = {"W": slope.W[0], "H": slope.H}
    extra = 0.0
    if problem.has_bias:
        penalties["b"], slopes["b"] = float(problem.lam_b) * b, slope.b
        extra = float(np.linalg.norm(problem.targets.mean))
    noise = dict(zip("WHb", cancellation(problem, (W,), H, b), strict=True))
    if isinstance(problem.constraint, FeatureMetric):
        penalties["H"] = float(problem.lam_H) * H @ problem.constraint.inverse
        noise["H"] += ROUND_OFF * float(problem.lam_H) * float(np.linalg.norm(abs(H) @ abs(problem.constraint.inverse)))
    if isinstance(problem.constraint, Near):  # what ties the features is one of their terms, and a difference itself
        pull = problem.constraint.beta / problem.N
        penalties["H"] = penalties["H"] + pull * (H - problem.constraint.H0)
        noise["H"] += pull * ROUND_OFF * float(np.linalg.norm(H) + np.linalg.norm(problem.constraint.H0))
    found = []
    for name in free:
        if name not in slopes:
            continue
        g, penalty = slopes[name], penalties[name]
        scale = float(np.linalg.norm(penalty) + np.linalg.norm(g - penalty)) + (extra if name == "b" else 0.0)
        size = max(0.0, float(np.linalg.norm(g)) - noise[name])
        found.append(size / scale if scale > 0 else 0.0)
    return max(found)
