"""Which solver answers for which constraint."""

from collections.abc import Callable

from ufm.constraints import FeatureMetric, FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.errors import ProblemError
from ufm.optimum.constrained.feature_metric import solve_feature_metric
from ufm.optimum.constrained.fixed_classifier import solve_fixed_classifier
from ufm.optimum.constrained.hard_margin import solve_hard_margin
from ufm.optimum.constrained.near import solve_near
from ufm.optimum.constrained.non_negative import solve_non_negative
from ufm.optimum.constrained.norm_budget import solve_norm_budget
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import METHODS as REFEREES
from ufm.problem import Problem

METHODS = ("auto", *REFEREES)

_SOLVERS: dict[type, Callable[[Problem, str], Optimum]] = {
    FeatureMetric: solve_feature_metric,
    FixedClassifier: solve_fixed_classifier,
    HardMargin: solve_hard_margin,
    Near: solve_near,
    NonNegative: solve_non_negative,
    NormBudget: solve_norm_budget,
}


def solve_constrained(problem: Problem, method: str) -> Optimum:
    """The optimum under the problem's constraint, with what is known of it; all methods but "auto" are referees."""
    if method not in METHODS:
        raise ProblemError("method", method, f"under a constraint choose one of {', '.join(METHODS)}.")
    _ = problem.targets.columns  # K x K at least is needed below, and refused in words where it would not fit
    solver = _SOLVERS.get(type(problem.constraint))
    if solver is None:
        name = type(problem.constraint).__name__
        fix = f"no solver knows this constraint; those it knows are {', '.join(sorted(k.__name__ for k in _SOLVERS))}."
        raise ProblemError("constraint", name, fix)
    return solver(problem, method)
