"""The independent solvers behind cvxpy: how a method names one, and how each is run.

What they return is a point; its value and its bound are computed anew from it, and the status follows from those.
"""

import warnings
from typing import Any

from ufm.errors import UfmError

METHODS = ("cvxpy", "cvxpy:scs")
_SOLVERS = {"cvxpy": "CLARABEL", "cvxpy:scs": "SCS"}
_SAME = {"cvxpy:clarabel": "cvxpy"}
_OPTIONS: dict[str, dict[str, float]] = {"SCS": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 100_000}}


def spelled(method: str) -> str:
    """A method as it is listed: cvxpy's solvers may be written in capitals, and Clarabel, the usual one, by name."""
    small = method.lower() if isinstance(method, str) and method.lower().startswith("cvxpy") else method
    return _SAME.get(small, small)


def solver_of(method: str) -> str | None:
    """The solver that cvxpy is to call, None where the method is none of cvxpy's."""
    return _SOLVERS.get(method)


def run(stated: Any, solver: str, **options: float) -> None:
    """Solve a cvxpy problem in place, or raise UfmError; a point that the solver calls inaccurate will do."""
    from cvxpy.error import SolverError

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            stated.solve(solver=solver, **(options or _OPTIONS.get(solver, {})))
    except SolverError as error:
        raise UfmError(f"cvxpy with {solver} failed: {error} Use method='auto'.") from error
    if stated.status not in ("optimal", "optimal_inaccurate"):
        raise UfmError(f"cvxpy with {solver} ended with {stated.status!r}; use method='auto'.")
