"""Duality for the squared loss: a lower bound from any matrix E, recomputed from nothing but the problem and E.

The dual of min 1/2 ||A - b u' - X||^2 + threshold ||X||_* + lam_b/2 ||b||^2 is to maximise
tr(E'A) - 1/2 ||E||^2 - ||E u||^2/(2 lam_b) over ||E||_op <= threshold; lam_b = inf drops the last term and lam_b = 0
makes E u = 0 a constraint (theory: section 3).
"""

import math

import numpy as np

from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution


def primal_value(problem: ShrinkageProblem, solution: ShrinkageSolution) -> float:
    """The objective at (X, b); the residual is E by construction, which spares a cancellation."""
    penalty = 0.0 if math.isinf(problem.lam_b) else problem.lam_b * float(solution.b @ solution.b) / 2
    return float(np.sum(solution.E**2)) / 2 + problem.threshold * float(np.sum(solution.s)) + penalty


def dual_value(problem: ShrinkageProblem, E: np.ndarray) -> tuple[float, np.ndarray]:
    """The dual objective at E made feasible, and that feasible E."""
    E = _feasible(problem, E)
    value = float(np.sum(E * problem.A)) - float(np.sum(E**2)) / 2
    if 0 < problem.lam_b < math.inf:
        pull = E @ problem.u
        value -= float(pull @ pull) / (2 * problem.lam_b)
    return value, E


def best_dual_value(problem: ShrinkageProblem, solution: ShrinkageSolution) -> tuple[float, np.ndarray]:
    """The better of two dual points: the residual, and the residual with E u = lam_b b put in exactly.

    The second matters for tiny lam_b, where ||E u||^2/(2 lam_b) magnifies round-off.
    """
    candidates = [dual_value(problem, solution.E)]
    if 0 < problem.lam_b < math.inf:
        correction = problem.lam_b * solution.b - solution.E @ problem.u
        candidates.append(dual_value(problem, solution.E + np.outer(correction, problem.u)))
    return max(candidates, key=lambda candidate: candidate[0])


def _feasible(problem: ShrinkageProblem, E: np.ndarray) -> np.ndarray:
    if problem.lam_b == 0:
        E = E - np.outer(E @ problem.u, problem.u)
    norm = float(np.linalg.norm(E, 2)) if E.size else 0.0
    return E * (problem.threshold / norm) if norm > problem.threshold else E
