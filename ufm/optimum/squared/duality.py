"""Duality for the squared loss: a lower bound from any matrix E, recomputed from nothing but the problem and E.

The dual of min 1/2 ||A - b u' - X||^2 + threshold ||X||_* + lam_b/2 ||b||^2 is to maximise
tr(E'A) - 1/2 ||E||^2 - ||E u||^2/(2 lam_b) over ||E||_op <= threshold; lam_b = inf drops the last term and lam_b = 0
makes E u = 0 a constraint (theory: section 3).
"""

import math

import numpy as np
from scipy.linalg.lapack import dpotrf  # pyright: ignore[reportAttributeAccessIssue]: made by f2py
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution

_LARGE = 200  # rows from which Lanczos and a factorisation are faster than the singular values
_EPS = float(np.finfo(float).eps)


def primal_value(problem: ShrinkageProblem, solution: ShrinkageSolution) -> float:
    """The objective at (X, b); the residual is E by construction, which spares a cancellation."""
    penalty = 0.0 if math.isinf(problem.lam_b) else problem.lam_b * float(solution.b @ solution.b) / 2
    return _inner(solution.E, solution.E) / 2 + problem.threshold * float(solution.s.sum()) + penalty


def dual_value(problem: ShrinkageProblem, E: np.ndarray) -> tuple[float, np.ndarray]:
    """The dual objective at E made feasible, and that feasible E."""
    E = _feasible(problem, E)
    value = _inner(E, problem.A) - _inner(E, E) / 2
    if 0 < problem.lam_b < math.inf:
        pull = E @ problem.u
        value -= float(pull @ pull) / (2 * problem.lam_b)
    return value, E


def best_dual_value(problem: ShrinkageProblem, solution: ShrinkageSolution) -> tuple[float, np.ndarray]:
    """The better of two dual points: the residual, and the residual with E u = lam_b b put in exactly.

    The second matters for tiny lam_b, where ||E u||^2/(2 lam_b) magnifies round-off.
    """
    bound, E = dual_value(problem, solution.E)
    if not 0 < problem.lam_b < math.inf:
        return bound, E
    correction = problem.lam_b * solution.b - solution.E @ problem.u
    lost = float(correction @ correction) / (2 * problem.lam_b)
    if lost <= _EPS * abs(bound):
        return bound, E
    corrected = dual_value(problem, solution.E + np.outer(correction, problem.u))
    return max((bound, E), corrected, key=lambda candidate: candidate[0])


def _inner(A: np.ndarray, B: np.ndarray) -> float:
    return float(np.vdot(A, B))


def _feasible(problem: ShrinkageProblem, E: np.ndarray) -> np.ndarray:
    if problem.lam_b == 0:
        E = E - np.outer(E @ problem.u, problem.u)
    norm = _norm(E, problem.threshold)
    return E * (problem.threshold / norm) if norm > problem.threshold else E


def _norm(E: np.ndarray, threshold: float) -> float:
    """||E||_op; for an E that is feasible to round-off, an upper bound that a Cholesky factorisation proves.

    E E' <= bound^2 I is a matrix product and a factorisation, a fifth of the time of the singular values.
    """
    if E.size == 0:
        return 0.0
    bound = threshold * (1 + 2 * max(E.shape) * _EPS)
    if _at_most(_squared(E), bound):
        return bound
    return float(np.linalg.svd(E, compute_uv=False)[0])  # not feasible as it stands: its true norm says by how much


def norm_bound(E: np.ndarray, threshold: float) -> float:
    """An upper bound of ||E||_op for any E: a proved one within 1e-9 of it, or the norm where that is as fast."""
    if min(E.shape) < _LARGE:
        return float(np.linalg.norm(E, 2))
    squared = _squared(E)
    if _at_most(squared, bound := threshold * (1 + 2 * max(E.shape) * _EPS)):
        return bound
    try:
        first = np.ones(squared.shape[0])
        top = eigsh(squared, k=1, v0=first, return_eigenvectors=False)[0]
    except ArpackNoConvergence:
        return float(np.linalg.norm(E, 2))
    bound = math.sqrt(max(0.0, float(top))) * (1 + 1e-9)
    return bound if _at_most(squared, bound) else float(np.linalg.norm(E, 2))


def _squared(E: np.ndarray) -> np.ndarray:
    """E E' or E'E, whichever is smaller."""
    return E @ E.T if E.shape[0] <= E.shape[1] else E.T @ E


def _at_most(squared: np.ndarray, bound: float) -> bool:
    """Whether no eigenvalue is above bound^2, as a Cholesky factor of the difference shows."""
    excess = -squared
    excess.flat[:: excess.shape[0] + 1] += bound**2
    return dpotrf(excess.T, overwrite_a=True)[1] == 0
