"""What is stated: targets, the problem, its objective, and what the loss sees of the data."""

from ufm.problem.objective import Gradient, gradient, objective
from ufm.problem.problem import Problem
from ufm.problem.reduction import Reduction, reduce_problem
from ufm.problem.targets import ClassTargets, SampleTargets, Targets, classes, samples

__all__ = [
    "ClassTargets",
    "Gradient",
    "Problem",
    "Reduction",
    "SampleTargets",
    "Targets",
    "classes",
    "gradient",
    "objective",
    "reduce_problem",
    "samples",
]
