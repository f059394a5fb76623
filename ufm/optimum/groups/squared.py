"""The squared loss at p = 2 told by groups: shrinkage of the group means, and of the directions inside each group."""

import math

import numpy as np

from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.groups.point import GroupPoint, told
from ufm.optimum.squared.duality import best_dual_value, primal_value
from ufm.optimum.squared.expand import between, within_value
from ufm.optimum.squared.shrinkage import mean_square_threshold
from ufm.optimum.squared.solve import solve_wide
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import Groups
from ufm.problem import Problem


def solve_squared_groups(problem: Problem, groups: Groups) -> GroupedOptimum:
    """The global minimum, certified by the dual of the group means and of what lies inside (theory: section 3)."""
    threshold = mean_square_threshold(problem)
    reduced = between(groups, threshold, float(problem.lam_b))
    means, found_by, svds = solve_wide(reduced, "auto")
    sign = math.copysign(1.0, groups.alpha)
    inside = sign * np.maximum(groups.within - threshold, 0)
    bound, E = best_dual_value(reduced, means)
    shared = float(within_value(groups, threshold))
    slope = means.X + np.outer(means.b, reduced.u) - reduced.A
    point = GroupPoint(means.U, means.s, means.V, inside, means.b, slope, inside - sign * groups.within)
    one_zero = (float(problem.lam_W[0]) == 0) != (float(problem.lam_H) == 0)
    return told(
        problem,
        groups,
        point,
        status=OptimumStatus.NOT_ATTAINED if one_zero and not point.is_zero else OptimumStatus.CERTIFIED,
        method=found_by,
        value=primal_value(reduced, means) + shared,
        lower_bound=bound + shared,
        unique=True if threshold > 0 else None,
        dual=E,
        work=svds,
    )
