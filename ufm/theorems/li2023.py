"""Multi-label collapse under the pick-all-labels cross-entropy (arXiv 2310.15903): the claims of its abstract."""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Among, Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes
from ufm.symbols import K, m

_LOSS = (
    r"Pick-all-labels: a sample with the label set $S$ has the loss $\sum_{j\in S}\mathrm{CE}(Wh+b,e_j)$; all sets "
    r"of one "
    r"label have one size, all sets of two have another: "
)

TAGS = sp.MatrixSymbol("cos(tags)", K, K)


def _tag_cosines(problem: Problem) -> np.ndarray:
    """Cosines of the sums of w_j over each label set, for a simplex w_1..w_m: of the centred code columns."""
    codes = problem.classes.codes
    centred = codes - codes.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=0)
    return unit.T @ unit


def _single(problem: Problem) -> np.ndarray:
    """Pairs of classes of one label each."""
    single = problem.classes.codes.sum(axis=0) == 1
    return single[:, None] & single[None, :] & ~np.eye(problem.K, dtype=bool)


def _problem(point: Point) -> Problem:
    codes = encodings.multi_label(point["m"], [1, 2])
    counts = [point["n_1"] if size == 1 else point["n_2"] for size in codes.codes.sum(axis=0)]
    strength = point["strength"] * math.sqrt(min(counts)) / sum(counts)
    return Problem(
        targets=classes(codes, counts),
        lam_W=strength * point["aspect"],
        lam_H=strength / point["aspect"],
        lam_b=point["lam_b"],
        loss="cross_entropy",
    )


_ENTROPY = Assumption("the loss is the pick-all-labels cross-entropy", lambda p: p.loss == "cross_entropy" and p.p == 2)


def _is_by_number(problem: Problem) -> bool:
    """Whether the codes are all sets of one label and all of two, with one size for each kind."""
    codes, counts = problem.classes.codes, problem.classes.counts
    known = encodings.multi_label(problem.m, [1, 2]).codes if problem.m > 2 else np.zeros((0, 0))
    labels = codes.sum(axis=0)
    return np.array_equal(codes, known) and all(np.ptp(counts[labels == k]) == 0 for k in (1, 2))


_LABELS = Assumption(
    "at least three labels; all sets of one label have one size, all sets of two have one", _is_by_number
)
_WEAK = Assumption(
    "N c is at most a fifth of the root of the smallest size, so that no class is lost",
    lambda p: p.tau <= 0.2 * (1 + 1e-9) * math.sqrt(p.classes.counts.min()),
)
_KEPT = "Sets of all labels are left out (their mean feature is zero); the weights are small enough to keep all others."
_DOMAIN = Domain(
    {
        "m": Integers(3, 6, small=(3, 4)),
        "n_1": Integers(1, 50, small=(1, 2)),
        "n_2": Integers(1, 50, small=(1, 3)),
        "strength": LogReals(1e-3, 0.2, small=(0.1,)),
        "aspect": LogReals(0.1, 10.0, small=(1.0,)),
        "lam_b": LogReals(1e-2, 10.0, edges=(0.0, math.inf), small=(math.inf, 1.0)),
    }
)

THEOREMS = (
    Theorem(
        name="single_labels",
        title="Means of samples with one label form a simplex ETF",
        statement=_LOSS + "the class means of multiplicity 1 form an ETF. (" + _KEPT + ")",
        citation=Citation("li2023", "abstract", "abstract"),
        kind="structural",
        claims=(Among("between sets of one label", _single, Equals("cosines", -1 / (m - 1))),),
        domain=_DOMAIN,
        problem=_problem,
        assumes=(_ENTROPY, WIDE, _LABELS, _WEAK),
    ),
    Theorem(
        name="tag_averages",
        title="Means of samples with several labels are scaled averages over their tags",
        statement=_LOSS
        + "the class means of higher multiplicity are scaled tag-wise averages of those of multiplicity 1. "
        r"(Read as directions: all cosines of class means are those of $\sum_{j\in S}w_j$ for a simplex ETF $w$. "
        + _KEPT
        + ")",
        citation=Citation("li2023", "abstract", "abstract"),
        kind="structural",
        claims=(Equals("cosines", TAGS, {TAGS: _tag_cosines}),),
        domain=_DOMAIN,
        problem=_problem,
        assumes=(_ENTROPY, WIDE, _LABELS, _WEAK),
    ),
)
