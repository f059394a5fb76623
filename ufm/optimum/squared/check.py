"""Check a given point of the squared loss at p = 2: its value, and a lower bound from its own residual."""

import math
from functools import partial

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.certificate import Certificate, balance, closed, stationarity
from ufm.optimum.curvature import second_order
from ufm.optimum.squared.duality import norm_bound
from ufm.optimum.squared.shrinkage import ShrinkageProblem
from ufm.optimum.symmetry import reduce_roles
from ufm.problem import Problem, objective
from ufm.problem.targets import ClassTargets


def certify(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray | None = None) -> Certificate:
    """How far a point is from the global optimum, at most `gap`: no solver runs, two sets of singular values are taken.

    W: m x d; H: class means (d x K) or samples (d x N), class after class; b (m) or None for zero. Any point will do,
    the end of a flow or a trained network's last layer; the bound is tight at the optimum (theory: section 3).
    ProblemError for shapes that are not the problem's, another loss, more layers, or a constraint.
    """
    b = np.zeros(problem.m) if b is None else b
    value = float(objective(problem, W, H, b))
    bound, E, rank = _bound(problem, W @ H + b[:, None], b)
    return Certificate(
        value=value,
        lower_bound=closed(bound, value),
        stationarity=stationarity(problem, (W,), H, b),
        balance=balance(problem, (W,), H),
        rank=rank[0],
        dual=E,
        second_order=partial(second_order, problem, (W,), H, b),
    )


def certify_logits(problem: Problem, Z: np.ndarray, b: np.ndarray | None = None) -> Certificate:
    """The same for logits Z = W H + b alone (m x K or m x N), at their best factors.

    b: None takes the one that the residual of an optimal Z would give, E 1/lam_b (Z's mean for a free bias).
    Stationarity and balance are of the factors, and NaN here. Errors as there.
    """
    residual = problem.targets.mean - _mean(problem, Z)
    if b is None:
        lam_b = float(problem.lam_b)
        b = np.zeros(problem.m) if math.isinf(lam_b) else _mean(problem, Z) if lam_b == 0 else residual / lam_b
    bound, E, (rank, value) = _bound(problem, Z, b)
    return Certificate(value, closed(bound, value), math.nan, math.nan, rank, dual=E)


def _bound(problem: Problem, Z: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, tuple[int, float]]:
    """A lower bound and its dual point from the residual of Z; rank of Z - b 1' and the objective at best factors."""
    if problem.loss != "mse" or problem.p != 2 or problem.constraint is not None:
        raise ProblemError("problem", problem, "certify knows the squared loss with one layer and no constraint.")
    if problem.width is not None and problem.width < min(problem.m, problem.targets.columns.shape[1]):
        problem = problem.replace(width=None)  # a bound for every width is one for this
    reduction = reduce_roles(problem)
    reduced = ShrinkageProblem.of(problem, reduction)
    root, columns = math.sqrt(problem.N), _columns(problem, Z)
    within = 0.0
    if Z.shape[1] != columns.shape[1]:
        within = float(np.sum((Z - np.repeat(columns, problem.targets.multiplicity, axis=1)) ** 2))
    Z_reduced = (columns * problem.targets.multiplicity) @ reduction.basis.T / root
    E = reduced.A - Z_reduced
    s = np.linalg.svd(Z_reduced - np.outer(b, reduced.u), compute_uv=False)
    penalty = float(reduced.lam_b * (b @ b) / 2) if np.isfinite(reduced.lam_b) else 0.0
    value = float(np.sum(E**2)) / 2 + within / (2 * problem.N) + reduced.threshold * float(s.sum()) + penalty
    bound, E = _scaled_dual(reduced, E, b)
    size = max(float(s[0]), float(np.linalg.norm(b)), 1e-300)  # taking b off logits leaves its round-off behind
    rank = int(np.sum(s > max(Z.shape) * np.finfo(float).eps * size))
    return bound, E, (rank, value)


def _scaled_dual(problem: ShrinkageProblem, E: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """The best bound from a multiple of E, or of E with E u = lam_b b put in: one set of singular values."""
    pull = E @ problem.u
    if problem.lam_b == 0:
        E = E - np.outer(pull, problem.u)
    norm = norm_bound(E, problem.threshold)
    best = 0.0, np.zeros_like(E)
    corrections = [np.zeros_like(pull)]
    if 0 < problem.lam_b < math.inf:
        corrections.append(problem.lam_b * b - pull)
    for correction in corrections:
        dual = E + np.outer(correction, problem.u)
        length = float(np.sum(dual**2))
        if 0 < problem.lam_b < math.inf:
            length += float(np.sum((pull + correction) ** 2)) / problem.lam_b
        if length == 0:
            continue
        linear, most = float(np.sum(dual * problem.A)), norm + float(np.linalg.norm(correction))
        scale = float(np.clip(linear / length, -problem.threshold / most, problem.threshold / most))
        best = max(best, (scale * linear - scale**2 * length / 2, scale * dual), key=lambda candidate: candidate[0])
    return best


def _columns(problem: Problem, Z: np.ndarray) -> np.ndarray:
    """Logits at the distinct columns of the targets: class means where Z has one column a sample."""
    count = problem.targets.columns.shape[1]
    if Z.shape[0] != problem.m or Z.shape[1] not in (count, problem.N):
        raise ProblemError("Z", Z.shape, f"this is its shape; it needs {problem.m} rows and {count} or N columns.")
    if Z.shape[1] == count or not isinstance(problem.targets, ClassTargets):
        return Z
    ends = np.concatenate([[0], np.cumsum(problem.targets.counts)[:-1]])
    return np.add.reduceat(Z, ends, axis=1) / problem.targets.counts


def _mean(problem: Problem, Z: np.ndarray) -> np.ndarray:
    return _columns(problem, Z) @ (problem.targets.multiplicity / problem.N)
