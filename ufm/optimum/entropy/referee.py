"""The independent referee: the same convex problem, stated anew for cvxpy and solved by somebody else's code."""

from typing import Any

import numpy as np

from ufm.optimum.entropy.program import EntropyProgram
from ufm.optimum.referees import run


def solve_cvxpy(program: EntropyProgram, solver: str = "CLARABEL") -> tuple[np.ndarray, np.ndarray, float]:
    """X (m x K), b (m) from cvxpy, and the value cvxpy claims; accurate to that solver's tolerance, about 1e-8."""
    import cvxpy as cp

    m, K = program.T.shape
    Z, b = cp.Variable((m, K)), cp.Variable(m)  # the logits without their bias
    weights = program.r**2
    terms: list[Any] = [program.threshold * cp.normNuc(Z @ np.diag(program.r))]
    for k in range(K):
        logits: Any = Z[:, k] + b
        terms.append(weights[k] * (program.mass[k] * cp.log_sum_exp(logits) - program.T[:, k] @ logits))
    constraints: list[Any] = []
    if not program.has_bias:
        constraints.append(b == 0)
    elif program.lam_b > 0:
        terms.append(program.lam_b / 2 * cp.sum_squares(b))
    else:
        constraints.append(cp.sum(b) == 0)  # a constant in b changes nothing
    stated = cp.Problem(cp.Minimize(sum(terms)), constraints)
    run(stated, solver)
    return np.asarray(Z.value) * program.r, np.asarray(b.value), float(np.asarray(stated.value))
