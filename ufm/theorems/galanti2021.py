"""Class-distance normalised variance (arXiv 2112.15121), as remembered: (v_i + v_j)/(2 ||mu_i - mu_j||^2), averaged."""

from typing import Any

import numpy as np
import sympy as sp
from scipy.spatial.distance import pdist

from ufm.catalogue import Assumption, AtLeast, Citation, Domain, Equals, Theorem
from ufm.catalogue.arrays import EQUAL_SIZES, FEATURES, SIZES, Arrays, class_features, class_means
from ufm.catalogue.domain import Point
from ufm.metrics.cdnv import cdnv
from ufm.metrics.nc1 import nc1_ratio
from ufm.metrics.split import split_classes
from ufm.symbols import K

_CDNV = r"$\mathrm{CDNV}$, the mean over pairs of classes of $\frac{v_i+v_j}{2\|\mu_i-\mu_j\|^2}$, "

before = sp.Symbol("cdnv", nonnegative=True)
ratio = sp.Symbol("tr Sigma_W/tr Sigma_B", nonnegative=True)


def _cdnv(case: Arrays) -> float:
    return cdnv(split_classes(case["H"], case["labels"]))


def _moved(point: Point) -> Arrays:
    """Features, and the same turned, scaled and shifted."""
    case, rng = class_features(point), np.random.default_rng(point["seed"] + 1)
    d = case["H"].shape[0]
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0] * 10.0 ** rng.uniform(-1, 1)
    return case.replace(A=turn, v=rng.standard_normal((d, 1)))


def _of_moved(case: Arrays) -> float:
    return cdnv(split_classes(case["A"] @ case["H"] + case["v"], case["labels"]))


def _is_similarity(case: Arrays) -> bool:
    gram = case["A"].T @ case["A"]
    return bool(np.max(np.abs(gram - gram[0, 0] * np.eye(len(gram)))) < 1e-12 * gram[0, 0])


def _equal_spread(point: Point) -> Arrays:
    """Features whose classes have one variance."""
    case = class_features(point)
    means, counts = class_means(case)
    index = case["labels"]
    within = case["H"] - means[:, index]
    sizes = np.sqrt(np.bincount(index, np.sum(within**2, axis=0)) / counts)
    if np.all(sizes > 1e-9):
        within = within / sizes[index]
    return case.replace(H=means[:, index] + within)


def _ratio(case: Arrays) -> float:
    return nc1_ratio(split_classes(case["H"], case["labels"]))


def _are_apart(case: Arrays) -> bool:
    gaps = pdist(class_means(case)[0].T)
    return bool(np.min(gaps) > 1e-3 * np.max(np.abs(case["H"])))


def _spread_is_equal(case: Arrays) -> bool:
    variances = split_classes(case["H"], case["labels"]).within_variances()
    return bool(np.ptp(variances) <= 1e-12 * np.max(variances) if np.max(variances) > 0 else True)


_APART = Assumption("any two class means differ, by a thousandth of the largest feature at least", _are_apart)
_LETTERS: dict[Any, Any] = {before: _cdnv, ratio: _ratio, K: lambda case: np.unique(case["labels"]).size}

THEOREMS = (
    Theorem(
        name="similarity",
        title="The measure does not see rotations, scale and offset of the features",
        statement=_CDNV + r"is the same for $aQH+v1'$ as for $H$, $Q$ orthogonal. (Ours: the invariance that the "
        "definition is made for.)",
        citation=Citation("galanti2021", "definition of CDNV", "own"),
        kind="tight",
        claims=(Equals("cdnv_moved", before, _LETTERS),),
        domain=Domain({**FEATURES, **SIZES}),
        problem=_moved,
        assumes=(_APART, Assumption("A is a multiple of an orthogonal matrix", _is_similarity)),
        measures={"cdnv_moved": _of_moved},
    ),
    Theorem(
        name="least",
        title="Equal spread: the measure is least where all class means are equally far apart",
        statement=_CDNV
        + r"is at least $\frac{K-1}{2K}\,\mathrm{tr}\,\Sigma_W/\mathrm{tr}\,\Sigma_B$ for classes of one "
        "size and one variance, with equality where all class means are equally far apart. (Ours: what ties it to "
        "NC1.)",
        citation=Citation("galanti2021", "definition of CDNV", "own"),
        kind="lower",
        claims=(AtLeast("cdnv", (K - 1) / (2 * K) * ratio, _LETTERS),),
        domain=Domain(FEATURES),
        problem=_equal_spread,
        assumes=(_APART, EQUAL_SIZES, Assumption("all classes have one variance", _spread_is_equal)),
        measures={"cdnv": _cdnv},
    ),
)
