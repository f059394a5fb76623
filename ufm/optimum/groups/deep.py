"""The deep squared loss told by groups: the group means are a problem of G classes, every other direction a scalar one.

Without a bias and with a free one the singular vectors of X are those of the (centred) targets, so both parts have a
global minimum of their own. A penalised bias is taken to be equal within groups, which is not known to be best: the
lower bound is over every bias, and where the two do not meet the status says so.
"""

import numpy as np

from ufm.optimum.deep.bound import Apart, lower_bound
from ufm.optimum.deep.scalar import minimise
from ufm.optimum.deep.solve import solve_reduced, status_of
from ufm.optimum.deep.spectral import DeepProblem
from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.groups.point import GroupPoint, told
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import Groups
from ufm.problem import Problem

_STARTS = 12  # of the search over a bias of G numbers


def solve_deep_groups(problem: Problem, groups: Groups) -> GroupedOptimum:
    """The minimum over products and biases that are equal within groups, with the bound of all (theory: section 4)."""
    A, u = groups.means
    reduced = DeepProblem(A, u, problem.Lam * problem.N ** (1 / problem.p), problem.p, float(problem.lam_b), groups.G)
    sigma, number = groups.within, groups.number - 1
    alone = not np.any(number)  # groups of one class each: their bias is any bias
    means, found_by, work, bound = solve_reduced(reduced, "auto", prove=alone, starts=None if alone else _STARTS)
    best = minimise(sigma, reduced.t, reduced.p)
    shared = float(np.sum(number * best.e * (best.e + reduced.p * best.s))) / 2  # (p/2) t s^(2/p) = (p/2) e s
    value = means.value + shared
    penalised = 0 < reduced.lam_b < np.inf and reduced.t > 0
    if not penalised:
        bound += shared
    elif not alone:
        bound = lower_bound(reduced, Apart(sigma, number))
    sign = np.sign(groups.alpha)
    slope = (means.U * means.s) @ means.V.T + np.outer(means.b, u) - A
    point = GroupPoint(means.U, means.s, means.V, sign * best.s, means.b, slope, -sign * best.e)
    status = status_of(problem, reduced, 0 if point.is_zero else 1, value, bound)
    tie = means.tie or bool(np.any(best.tie & (number > 0)))
    return told(
        problem,
        groups,
        point,
        status=status,
        method=found_by,
        value=value,
        lower_bound=bound,
        unique=not tie if status is OptimumStatus.PROVED and reduced.t > 0 else None,
        work=work,
    )
