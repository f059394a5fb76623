"""Conditions that many statements share, in words and as predicates."""

import math

import numpy as np

from ufm import encodings
from ufm.catalogue.theorem import Assumption
from ufm.problem import ClassTargets, Problem


def is_one_hot(problem: Problem) -> bool:
    """Whether the targets are one-hot codes of K classes."""
    targets = problem.targets
    if not isinstance(targets, ClassTargets) or targets.m != targets.K:
        return False
    return bool((targets.codes == encodings.one_hot(targets.K).codes).all())


def is_balanced_one_hot(problem: Problem) -> bool:
    """Whether the targets are one-hot codes of classes of one size."""
    return is_one_hot(problem) and problem.classes.balanced


def covariance_spectrum(problem: Problem) -> np.ndarray:
    """Eigenvalues of the target covariance, descending (m)."""
    centred = problem.targets.columns - problem.targets.mean[:, None]
    weighted = centred * np.sqrt(problem.targets.multiplicity / problem.N)
    return np.linalg.eigvalsh(weighted @ weighted.T)[::-1]


SHALLOW = Assumption("the loss is squared and there is one linear layer", lambda p: p.loss == "mse" and p.p == 2)
ONE_HOT = Assumption("targets are one-hot, with at least two classes", lambda p: is_one_hot(p) and p.K > 1)
BALANCED = Assumption(
    "targets are one-hot, with at least two classes of equal size", lambda p: is_balanced_one_hot(p) and p.K > 1
)
NO_BIAS = Assumption("there is no bias", lambda p: math.isinf(float(p.lam_b)))
FREE_BIAS = Assumption("the bias is not regularised", lambda p: float(p.lam_b) == 0)
WIDE = Assumption("the width is at least the target dimension", lambda p: p.width is None or p.width >= p.m)
FULL_RANK = Assumption(
    "the target covariance is positive definite",
    lambda p: covariance_spectrum(p)[-1] > 1e-9 * covariance_spectrum(p)[0],
)
