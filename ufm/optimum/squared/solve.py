"""The squared loss at p = 2: closed form, Newton on the bias, width below the rank; certified by duality."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.optimum import Optimum, finish
from ufm.optimum.referees import METHODS as REFEREES
from ufm.optimum.referees import solver_of
from ufm.optimum.squared.duality import best_dual_value, primal_value
from ufm.optimum.squared.expand import between, expand, expand_dual, within_value
from ufm.optimum.squared.narrow import narrow_bound, solve_narrow
from ufm.optimum.squared.newton import solve_newton
from ufm.optimum.squared.referee import solve_cvxpy
from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution, solve_closed_form
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import LEAST_SAVED, Groups, find_groups, reduce_roles
from ufm.problem import Problem

METHODS = ("auto", "closed form", "newton", "groups", *REFEREES)
_CVXPY_ACCURACY = 1e-6  # below this share of the largest singular value, cvxpy's own error
_TIGHT = 1e-9  # relative gap of a narrow optimum that meets its bound


Engine = Callable[[ShrinkageProblem], tuple[ShrinkageSolution, str, int]]


def solve_squared(problem: Problem, method: str) -> Optimum:
    """The global minimum for every encoding, imbalance, bias weight and regression target; method is one of METHODS."""
    return solve_with(problem, partial(solve_wide, method=method), grouped=solver_of(method) is None)


def solve_with(problem: Problem, engine: Engine, *, grouped: bool = True) -> Optimum:
    """The same with any engine for the convex problem: it returns the solution, what found it, and the SVDs it took.

    grouped: let the engine see the group means only, where classes are exchangeable.
    """
    reduction = reduce_roles(problem)
    reduced = ShrinkageProblem.of(problem, reduction)
    told_apart = reduction.basis.shape[0] == reduction.basis.shape[1]  # classes of one code are one role already
    groups = find_groups(problem, least_saved=LEAST_SAVED) if grouped and told_apart else None
    if groups is not None:
        solution, found_by, svds, bound, E = _solve_by_groups(reduced, groups, engine)
    else:
        solution, found_by, svds = engine(reduced)
        bound, E = best_dual_value(reduced, solution)
    status = OptimumStatus.CERTIFIED
    accuracy = _CVXPY_ACCURACY if solver_of(found_by) else max(reduced.A.shape) * float(np.finfo(float).eps)
    most = min(problem.m, reduction.basis.shape[1])
    width = problem.width if problem.width is not None else most
    rank = int(np.sum(solution.s > accuracy * np.max(solution.s, initial=0.0)))
    value = primal_value(reduced, solution)
    one_zero = (float(problem.lam_W[0]) == 0) != (float(problem.lam_H) == 0)
    if width < rank:
        solution, proved = solve_narrow(reduced, width, solution)
        found_by, rank = f"{found_by}, then rank {width}", solution.rank
        status = OptimumStatus.PROVED if proved else OptimumStatus.BEST_KNOWN
        value = primal_value(reduced, solution)
        bound = value if proved else max(bound, narrow_bound(problem, value))
        if not proved and value - bound <= _TIGHT * abs(value):
            status = OptimumStatus.CERTIFIED
        if one_zero and status.is_global:
            status = OptimumStatus.NOT_ATTAINED
    elif rank > 0 and one_zero:
        status = OptimumStatus.NOT_ATTAINED
    elif value - bound > _TIGHT * max(1.0, abs(bound)):
        status = OptimumStatus.OPEN_GAP  # of a solver that was asked for less
    W, reduced_H = balanced_factors(problem, solution, width)
    s = np.zeros(most)
    s[: solution.s.size] = solution.s[: s.size]
    return finish(
        problem,
        (W,),
        reduction.features(reduced_H),
        solution.b,
        status=status,
        method=found_by,
        value=value,
        lower_bound=bound,
        singular_values=s * math.sqrt(problem.N),
        rank=rank,
        unique=True if status is OptimumStatus.CERTIFIED and reduced.threshold > 0 else None,
        dual=E,
        work=svds,
    )


def solve_wide(reduced: ShrinkageProblem, method: str) -> tuple[ShrinkageSolution, str, int]:
    """The convex optimum, what found it, and the SVDs it took."""
    if (solver := solver_of(method)) is not None:
        return solve_cvxpy(reduced, solver)[0], method, 0
    if method != "newton" and (closed_form := solve_closed_form(reduced)) is not None:
        return closed_form, "closed form", 1
    if method == "closed form":
        raise ProblemError("method", method, "the target mean is not a singular direction here; use 'newton'.")
    if not 0 < reduced.lam_b < math.inf:
        raise ProblemError("method", method, "Newton's method works on a penalised bias; use 'closed form'.")
    solution, svds = solve_newton(reduced)
    return solution, "newton", svds


def _solve_by_groups(
    reduced: ShrinkageProblem, groups: Groups, engine: Engine
) -> tuple[ShrinkageSolution, str, int, float, np.ndarray]:
    """The convex optimum from that of the group means: the solution, what found it, SVDs, bound and dual point."""
    threshold = reduced.threshold
    small = between(groups, threshold, reduced.lam_b)
    means, found_by, svds = engine(small)
    bound, E = best_dual_value(small, means)
    bound += float(within_value(groups, threshold))
    return expand(groups, means, threshold), found_by, svds, bound, expand_dual(groups, E, threshold)


def balanced_factors(problem: Problem, solution: ShrinkageSolution, width: int) -> tuple[np.ndarray, np.ndarray]:
    """W (m x d) and reduced H (d x r) with W H = X and lam_W W'W = lam_H HH', in the units of the data.

    Where a weight is zero no balance is asked for, and the two factors share the singular values evenly.
    """
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    tilt = (lam_W / lam_H) ** 0.25 if lam_W > 0 and lam_H > 0 else 1.0
    root = np.sqrt(solution.s[:width] * math.sqrt(problem.N))
    W, H = np.zeros((solution.U.shape[0], width)), np.zeros((width, solution.V.shape[0]))
    W[:, : root.size] = solution.U[:, : root.size] * (root / tilt)
    H[: root.size] = (solution.V[:, : root.size] * (root * tilt)).T
    return W, H
