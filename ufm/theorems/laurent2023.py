"""Feature collapse (arXiv 2305.16162): what plays one role gets one feature."""

import math

import numpy as np

from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import covariance_spectrum
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes


def _shared_codes(point: Point) -> Problem:
    """K classes with whole-number codes, of which some are equal, and class sizes of their own."""
    rng = np.random.default_rng(point["seed"])
    K, m = point["K"], point["m"]
    codes = rng.integers(-2, 3, (m, K))
    codes[:, -1] = codes[:, 0]
    counts = rng.integers(1, point["n"] + 1, K)
    strength = point["strength"] / math.sqrt(counts.sum())
    return Problem(targets=classes(codes, counts), lam_W=strength, lam_H=strength, lam_b=point["lam_b"])


def _has_features(problem: Problem) -> bool:
    threshold = problem.N * math.sqrt(float(problem.lam_W[0]) * float(problem.lam_H))
    return math.sqrt(problem.N * covariance_spectrum(problem)[0]) > 1.1 * threshold


THEOREMS = (
    Theorem(
        name="equal_codes",
        title="Classes with one code get one feature",
        statement="Words that play the same role get the same feature. (Read in the unconstrained-features model: "
        "classes with equal codes have equal features at the global minimum, whatever their sizes.)",
        citation=Citation("laurent2023", "abstract", "abstract"),
        kind="structural",
        claims=(Equals("role_spread", 0),),
        domain=Domain(
            {
                "K": Integers(2, 8, small=(2, 3)),
                "m": Integers(1, 6, small=(1, 2)),
                "n": Integers(1, 50, small=(1, 2)),
                "strength": LogReals(1e-3, 1.0, small=(0.1,)),
                "lam_b": LogReals(1e-3, 1e3, edges=(0.0, math.inf), small=(1.0, 0.0, math.inf)),
                "seed": Integers(1, 10**6, small=(1, 2, 3)),
            }
        ),
        flow_domain=Domain(
            {
                "K": Integers(2, 5),
                "m": Integers(1, 4),
                "n": Integers(1, 5),
                "strength": LogReals(0.05, 0.3),
                "lam_b": LogReals(0.1, 10.0, edges=(0.0, math.inf)),
                "seed": Integers(1, 10**6),
            }
        ),
        problem=_shared_codes,
        assumes=(Assumption("the regularisation is weak enough for features that are not zero", _has_features),),
    ),
)
