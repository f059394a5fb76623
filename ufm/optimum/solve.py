"""`ufm.solve`: the global optimum of a problem with the evidence that it is one."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, overload

from ufm.constraints import NonNegative
from ufm.errors import ProblemError
from ufm.losses import RescaledMSE
from ufm.optimum.constrained.solve import METHODS as CONSTRAINED
from ufm.optimum.constrained.solve import solve_constrained
from ufm.optimum.deep.descents import METHODS as DESCENTS
from ufm.optimum.deep.descents import solve_descents
from ufm.optimum.deep.solve import METHODS as DEEP
from ufm.optimum.deep.solve import solve_deep
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.groups.solve import solve_groups
from ufm.optimum.optima import Optima, one_by_one
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import METHODS as REFEREES
from ufm.optimum.referees import spelled
from ufm.optimum.squared.batch import solve_batch
from ufm.optimum.squared.solve import METHODS as SQUARED
from ufm.optimum.squared.solve import solve_squared
from ufm.optimum.weighted.solve import METHODS as WEIGHTED
from ufm.optimum.weighted.solve import solve_weighted
from ufm.problem import Problem
from ufm.problem.axes import checked_axes

ENTROPY = ("auto", "closed form", "newton", "groups", *REFEREES)


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
    """The optimum of a problem with a lower bound, and a status that says how much the two prove.

    Handled: the squared loss, cross-entropy and `losses.rescaled_mse` with p >= 2 factors, every constraint of
    `ufm.constraints`; any targets the loss allows, any class sizes and width, lam_b in [0, inf].
    method: "auto", or by name what must find it. Squared loss, p = 2: "closed form", "newton" (on the bias), "groups"
    (of exchangeable classes, for any K: GroupedOptimum), "cvxpy"; p >= 3: "closed form", "search" (over a penalised
    bias), "branch and bound" (on it, up to five dimensions: a proof, given time), "metastable" (the local optimum that
    keeps every direction), "groups". Cross-entropy, p = 2: "closed form", "newton", "groups", "cvxpy". Rescaled, p = 2:
    "closed form", "proximal gradient", "cvxpy". Both at p >= 3, and non-negative features there: "search" (descents
    from structured and random starts). A constraint: "auto", "cvxpy". "cvxpy" is an independent solver for small convex
    problems, Clarabel, or SCS by "cvxpy:scs", accurate to about 1e-8: what it finds is valued and bounded anew, so that
    an open gap shows its own error, and a status never rests on its word.
    over: {"lam_b": grid, ...}, fields among lam_b, lam_W, lam_H: the optima on the product of the axes (Optima), for
    the squared loss at p = 2 in one batch. With several layers lam_W is not swept.
    Raises ProblemError for a problem that has no solver yet, or where the asked method does not apply, and lists those
    that do.
    """
    if problem.is_symbolic:
        raise ProblemError("problem", problem, "its weights hold free symbols; substitute numbers first.")
    method = spelled(method)
    methods, engine = _engine(problem)
    if method not in methods:
        raise ProblemError("method", method, f"for this problem choose one of {', '.join(methods)}.")
    if over is None:
        return solve_groups(problem) if method == "groups" else engine(problem, method)
    if method == "groups":
        fix = "groups answer one problem a call; the squared loss with one layer takes grids, by groups too, as 'auto'."
        raise ProblemError("method", method, fix)
    axes = checked_axes(problem, over)
    if method == "auto" and engine is solve_squared:
        return solve_batch(problem, axes)
    return one_by_one(problem, axes, lambda one: engine(one, method))


def _engine(problem: Problem) -> tuple[tuple[str, ...], Callable[[Problem, str], Optimum]]:
    """The methods that apply to a problem, and the solver that knows them."""
    if problem.p > 2 and isinstance(problem.constraint, NonNegative):
        return DESCENTS, solve_descents
    if problem.constraint is not None:
        return CONSTRAINED, solve_constrained
    if problem.loss == "mse":
        return (SQUARED, solve_squared) if problem.p == 2 else (DEEP, solve_deep)
    if problem.loss == "cross_entropy":
        return (ENTROPY, solve_entropy) if problem.p == 2 else (DESCENTS, solve_descents)
    if not isinstance(problem.loss, RescaledMSE):
        fix = "no solver in ufm/optimum knows a lower bound for this loss; simulate follows its gradient flow."
        raise ProblemError("loss", problem.loss, fix)
    return (WEIGHTED, solve_weighted) if problem.p == 2 else (DESCENTS, solve_descents)
