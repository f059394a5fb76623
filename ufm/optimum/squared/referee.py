"""The independent referee: the same convex problem, stated anew for cvxpy and solved by somebody else's code."""

from typing import Any

import numpy as np

from ufm.optimum.referees import run
from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution


def solve_cvxpy(
    problem: ShrinkageProblem, solver: str = "CLARABEL", **options: float
) -> tuple[ShrinkageSolution, float]:
    """X and b from cvxpy, and the value cvxpy claims; accurate to that solver's own tolerance, about 1e-8."""
    import cvxpy as cp

    m, r = problem.A.shape
    X, b = cp.Variable((m, r)), cp.Variable(m)
    bias: Any = cp.reshape(b, (m, 1), order="C") @ problem.u[None, :]
    terms: list[Any] = [problem.threshold * cp.normNuc(X)]
    constraints: list[Any] = []
    if np.isinf(problem.lam_b):
        constraints.append(b == 0)
    elif problem.lam_b > 0:
        terms.append(problem.lam_b / 2 * cp.sum_squares(b))
    program = cp.Problem(cp.Minimize(cp.sum_squares(problem.A - bias - X) / 2 + sum(terms)), constraints)
    run(program, solver, **options)
    solution = np.asarray(X.value), np.asarray(b.value)
    U, s, Vt = np.linalg.svd(solution[0], full_matrices=False)
    E = problem.A - np.outer(solution[1], problem.u) - solution[0]
    return ShrinkageSolution(U, s, Vt.T, solution[1], E), float(np.asarray(program.value))
