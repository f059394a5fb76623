"""The independent referee: the rescaled squared loss stated anew for cvxpy and solved by somebody else's code."""

from typing import Any

import numpy as np

from ufm.optimum.referees import run
from ufm.optimum.weighted.program import WeightedProgram


def solve_cvxpy(program: WeightedProgram, solver: str = "CLARABEL") -> tuple[np.ndarray, np.ndarray]:
    """X and b from cvxpy; accurate to that solver's own tolerance, about 1e-8."""
    import cvxpy as cp

    m, K = program.A.shape
    X, b = cp.Variable((m, K)), cp.Variable(m)
    bias: Any = cp.reshape(b, (m, 1), order="C") @ program.r[None, :]
    fit = cp.sum_squares(cp.multiply(np.sqrt(program.w), program.A - bias - X)) / 2
    terms: list[Any] = [program.threshold * cp.normNuc(X)]
    held: list[Any] = [b == 0] if np.isinf(program.lam_b) else []
    if 0 < program.lam_b < np.inf:
        terms.append(program.lam_b / 2 * cp.sum_squares(b))
    stated = cp.Problem(cp.Minimize(fit + sum(terms)), held)
    run(stated, solver)
    return np.asarray(X.value), np.asarray(b.value)
