"""The squared loss with p >= 3 factors: formulas, a search over a penalised bias, its bounds, layers (theory: 4)."""

import math

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.deep.bound import lower_bound
from ufm.optimum.deep.branching import branch
from ufm.optimum.deep.closed_form import solve_closed_form
from ufm.optimum.deep.factors import balanced_factors
from ufm.optimum.deep.search import descend_from, search, starts_for
from ufm.optimum.deep.spectral import DeepProblem, DeepSolution
from ufm.optimum.optimum import Optimum, finish
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, reduce_problem
from ufm.tolerance import roundoff

METHODS = ("auto", "closed form", "search", "branch and bound", "metastable", "groups")
_BIASES = {"auto": 20_000, "branch and bound": 1_000_000}  # that may be tried: half a second, half a minute
_CLOSED = 1e-9  # relative gap of a global minimum


def solve_deep(problem: Problem, method: str = "auto") -> Optimum:
    """The global minimum of a deep linear model, proved with no bias or a free one, else with the lower bound known.

    method: "auto" takes the formula, and where no bound proves it searches over a penalised bias, then branches on it
    (up to five dimensions: `branching`) for a short while; "branch and bound" goes on fifty times longer; "closed form"
    and "search" insist on theirs; "metastable" puts every direction on its nonzero branch as long as that exists: the
    local optimum of networks that were trained at a smaller weight decay, or from a large start. Coexisting minima
    (tau at the threshold) are reported as zero, with unique = False.
    """
    if method not in METHODS:
        raise ProblemError("method", method, f"with p >= 3 choose one of {', '.join(METHODS)}.")
    if problem.constraint is not None:
        raise ProblemError("constraint", problem.constraint, "no solver for p >= 3; leave it None, or take p = 2.")
    reduction = reduce_problem(problem)
    reduced = DeepProblem.of(problem, reduction)
    solution, found_by, work, bound = solve_reduced(reduced, method)
    status = status_of(problem, reduced, solution.rank, solution.value, bound)
    if method == "metastable" and solution.rank > _closed_form(reduced, method).rank:
        status = OptimumStatus.METASTABLE
    W, H = balanced_factors(problem, solution, reduced.d)
    H = reduction.features(H)
    s = np.zeros(min(reduced.A.shape))
    s[: solution.rank] = solution.s
    decided = status is OptimumStatus.PROVED and reduced.t > 0
    return finish(
        problem,
        W,
        H,
        solution.b,
        status=status,
        method=found_by,
        value=solution.value,
        lower_bound=bound,
        singular_values=s * math.sqrt(problem.N),
        rank=solution.rank,
        unique=not solution.tie if decided else None,
        work=work,
    )


def solve_reduced(
    reduced: DeepProblem, method: str, *, prove: bool = True, starts: int | None = None
) -> tuple[DeepSolution, str, int, float]:
    """The point, what found it, the work it took, and a lower bound.

    prove: branch where the bound does not meet the point; starts: of a search, or as many as the size allows.
    """
    bound = lower_bound(reduced)
    solution, found_by, work = _find(reduced, bound, method, starts or starts_for(reduced))
    if prove and method in _BIASES and _penalised(reduced) and not meets(solution.value, bound):
        return _branch(reduced, bound, method, (solution, found_by, work))
    return solution, found_by, work, bound


def _find(reduced: DeepProblem, bound: float, method: str, starts: int) -> tuple[DeepSolution, str, int]:
    """The point, what found it, and the starts it took."""
    if method == "metastable":
        return _closed_form(reduced, method, local=True), "nonzero branch of every direction", 0
    if method == "closed form":
        return _closed_form(reduced, method), "closed form", 0
    closed = solve_closed_form(reduced) if method in _BIASES else None
    if closed is not None and (not _penalised(reduced) or meets(closed.value, bound)):
        return closed, "closed form", 0
    if not _penalised(reduced):
        raise ProblemError("method", method, "the search is over a penalised bias; use 'closed form'.")
    found = search(reduced, starts)
    if closed is not None and closed.value <= found.value + roundoff(abs(found.value), 1000):
        return closed, f"closed form, not beaten from {starts} starts", starts
    return found, f"search from {starts} starts", starts


def _branch(
    reduced: DeepProblem, bound: float, method: str, found: tuple[DeepSolution, str, int]
) -> tuple[DeepSolution, str, int, float]:
    """The point, what found it, the work, and the better of the bound and that of branching on the bias."""
    solution, found_by, work = found
    branched = branch(reduced, solution.value, _BIASES[method])
    if branched is None:
        return solution, found_by, work, bound
    if branched.value < solution.value * (1 - _CLOSED):
        better = descend_from(reduced, branched.b)
        if better.value < solution.value:
            solution, found_by = better, "branch and bound"
    return solution, found_by, work + branched.work, max(bound, branched.bound)


def _closed_form(reduced: DeepProblem, method: str, *, local: bool = False) -> DeepSolution:
    solution = solve_closed_form(reduced, local=local)
    if solution is None:
        raise ProblemError(
            "method", method, "the target mean is not a singular direction here; use 'search', or branches(problem, b)."
        )
    return solution


def status_of(problem: Problem, reduced: DeepProblem, rank: int, value: float, bound: float) -> OptimumStatus:
    """What a point of this rank and value shows, given the bound."""
    weights = [float(lam) for lam in (*problem.lam_W, problem.lam_H)]
    if rank > 0 and min(weights) == 0 < max(weights):
        return OptimumStatus.NOT_ATTAINED  # zero factors take all of the product, and the others shrink for ever
    if not _penalised(reduced):
        return OptimumStatus.PROVED
    return OptimumStatus.CERTIFIED if meets(value, bound) else OptimumStatus.SEARCHED


def _penalised(reduced: DeepProblem) -> bool:
    """Whether a bias is left to search: a weight in (0, inf), and some shrinkage."""
    return 0 < reduced.lam_b < math.inf and reduced.t > 0


def meets(value: float, bound: float) -> bool:
    """Value and bound agree: exactly, to the round-off of a singular value decomposition, or to a relative 1e-9."""
    return value - bound <= max(roundoff(max(abs(value), 1e-300), 1000), _CLOSED * abs(value))
