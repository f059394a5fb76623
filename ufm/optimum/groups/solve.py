"""`solve(problem, method="groups")`: whichever loss and depth, by the symmetry of the classes."""

from ufm.errors import ProblemError
from ufm.optimum.groups.deep import solve_deep_groups
from ufm.optimum.groups.entropy import solve_entropy_groups
from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.groups.squared import solve_squared_groups
from ufm.optimum.symmetry import find_groups
from ufm.problem import Problem


def solve_groups(problem: Problem) -> GroupedOptimum:
    """The optimum by groups (theory: section 3); ProblemError where the classes are not exchangeable.

    The squared loss sees the codes up to a rotation, cross-entropy does not.
    """
    turned = problem.loss == "mse"
    groups = find_groups(problem, turned=turned)
    if groups is None:
        codes = "no rotation of alpha I + beta 11'" if turned else "not alpha I + beta 11'"
        raise ProblemError("method", "groups", f"the codes are {codes}; use 'auto'.")
    if not turned:
        return solve_entropy_groups(problem, groups)
    return solve_squared_groups(problem, groups) if problem.p == 2 else solve_deep_groups(problem, groups)
