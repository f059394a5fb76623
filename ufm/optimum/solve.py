"""`ufm.solve`: the global optimum of a problem with the evidence that it is one."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, overload

from ufm.errors import ProblemError
from ufm.optimum.constrained.solve import solve_constrained
from ufm.optimum.deep.solve import solve_deep
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.grouped import GroupedOptimum
from ufm.optimum.optima import Optima, checked_axes, one_by_one
from ufm.optimum.optimum import Optimum
from ufm.optimum.squared.batch import solve_batch
from ufm.optimum.squared.groups import solve_groups
from ufm.optimum.squared.solve import METHODS, solve_squared
from ufm.problem import Problem


@overload
def solve(  # pyright: ignore[reportOverlappingOverload]: this one word for method has an answer of its own
    problem: Problem, method: Literal["groups"], *, over: None = None
) -> GroupedOptimum: ...
@overload
def solve(problem: Problem, method: str = "auto", *, over: None = None) -> Optimum: ...
@overload
def solve(problem: Problem, method: str = "auto", *, over: Mapping[str, Any]) -> Optima: ...
def solve(
    problem: Problem, method: str = "auto", *, over: Mapping[str, Any] | None = None
) -> Optimum | GroupedOptimum | Optima:
    """The global minimum of the objective, with a lower bound that proves it (squared loss, p = 2).

    method: "auto" takes the closed form where there is one and Newton's method on the bias where there is none;
    "closed form" and "newton" insist on theirs; "cvxpy" asks an independent solver (small problems, about 1e-8).
    "groups" answers by groups of exchangeable classes, for any K (GroupedOptimum). over: {"lam_b": grid, ...}, fields
    among lam_b, lam_W, lam_H: the optima on the product of the axes, in one batch where there is one (Optima).
    Raises ProblemError for a problem that has no solver yet, or where the asked method does not apply.
    """
    if problem.constraint is not None and over is None and not problem.is_symbolic:
        return solve_constrained(problem, method)
    if problem.loss == "mse" and problem.p >= 3 and over is None and not problem.is_symbolic:
        return solve_deep(problem, method)
    if method not in METHODS:
        raise ProblemError("method", method, f"choose one of {', '.join(METHODS)}.")
    if problem.is_symbolic:
        raise ProblemError("problem", problem, "its weights hold free symbols; substitute numbers first.")
    if over is not None:
        if method == "groups":
            raise ProblemError("method", method, "a grid is solved by groups where they help; leave method='auto'.")
        axes = checked_axes(problem, over)
        if method == "auto" and problem.loss == "mse" and problem.p == 2 and problem.constraint is None:
            return solve_batch(problem, axes)
        return one_by_one(problem, axes, partial(solve, method=method))
    if problem.loss == "cross_entropy" and problem.p == 2:
        return solve_entropy(problem, method)
    if problem.loss != "mse":
        raise ProblemError("loss", problem.loss, "solve handles loss='mse'; simulate its flow instead.")
    if problem.p != 2:
        raise ProblemError("lam_W", problem.lam_W, "solve handles one linear layer (p = 2); simulate its flow instead.")
    if method == "groups":
        return solve_groups(problem)
    return solve_squared(problem, method)
