"""`ufm.solve`: the global optimum of a problem with the evidence that it is one."""

from ufm.errors import ProblemError
from ufm.optimum.deep.solve import solve_deep
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.optimum import Optimum
from ufm.optimum.squared.solve import METHODS, solve_squared
from ufm.problem import Problem


def solve(problem: Problem, method: str = "auto") -> Optimum:
    """The global minimum of the objective, with a lower bound that proves it (squared loss, p = 2).

    method: "auto" takes the closed form where there is one and Newton's method on the bias where there is none;
    "closed form" and "newton" insist on theirs; "cvxpy" asks an independent solver (small problems, about 1e-8).
    Raises ProblemError for a problem that has no solver yet, or where the asked method does not apply.
    """
    if problem.loss == "mse" and problem.p >= 3 and not problem.is_symbolic:
        return solve_deep(problem, method)
    if method not in METHODS:
        raise ProblemError("method", method, f"choose one of {', '.join(METHODS)}.")
    if problem.is_symbolic:
        raise ProblemError("problem", problem, "its weights hold free symbols; substitute numbers first.")
    if problem.loss == "cross_entropy" and problem.p == 2:
        return solve_entropy(problem, method)
    if problem.loss != "mse":
        raise ProblemError("loss", problem.loss, "solve handles loss='mse'; simulate its flow instead.")
    if problem.p != 2:
        raise ProblemError("lam_W", problem.lam_W, "solve handles one linear layer (p = 2); simulate its flow instead.")
    return solve_squared(problem, method)
