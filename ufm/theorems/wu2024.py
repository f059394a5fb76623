"""Generalised neural collapse (arXiv 2405.17767): hyperspherical uniformity under the kernel log(1/distance)."""

import math
from typing import Any

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, AtMost, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.arrays import FEATURES, Arrays, class_features
from ufm.catalogue.domain import Point
from ufm.metrics.geometry import simplex_gram
from ufm.metrics.uniformity import hyperspherical_uniformity
from ufm.symbols import K

_KERNEL = r"With $\log\|m_i-m_j\|^{-1}$ over pairs of unit vectors $m_i$, "


def _directions(point: Point) -> Arrays:
    """K vectors as columns (d x K), d above and below K."""
    return Arrays({"M": class_features({**point, "n": 1})["H"]})


def _simplex(point: Point) -> Arrays:
    """A simplex ETF of any size, turned at random."""
    rng = np.random.default_rng(point["seed"])
    frame = np.linalg.qr(rng.standard_normal((point["K"] + point["more"], point["K"])))[0]
    return Arrays({"M": point["scale"] * frame @ simplex_gram(point["K"])})


def _mean(case: Arrays) -> float:
    return hyperspherical_uniformity(case["M"])["uniformity_mean"]


def _variance(case: Arrays) -> float:
    return hyperspherical_uniformity(case["M"])["uniformity_variance"]


def _geometric_mean(case: Arrays) -> float:
    """Geometric mean of the squared distances: exp(-2 mean of the kernel)."""
    return math.exp(-2 * _mean(case))


def _are_directions(case: Arrays) -> bool:
    norms = np.linalg.norm(case["M"], axis=0)
    return bool(np.min(norms) > 1e-6 * np.max(norms)) if np.max(norms) > 0 else False


def _is_simplex(case: Arrays) -> bool:
    G = case["M"].T @ case["M"]
    wanted = simplex_gram(G.shape[0])
    return bool(np.linalg.norm(G / np.linalg.norm(G) - wanted / np.linalg.norm(wanted)) < 1e-12)


_LETTERS: dict[Any, Any] = {K: lambda case: case["M"].shape[1]}

THEOREMS = (
    Theorem(
        name="uniformity_bound",
        title="No directions are more uniform than those of a simplex",
        statement=_KERNEL + r"the mean is at least $-\frac12\log\frac{2K}{K-1}$: the geometric mean of the squared "
        r"distances is at most $\frac{2K}{K-1}$, in any dimension. (Ours: the range of the printed metric.)",
        citation=Citation("wu2024", "hyperspherical uniformity", "own"),
        kind="upper",
        claims=(AtMost("distance_geometric_mean", 2 * K / (K - 1), _LETTERS),),
        domain=Domain(FEATURES),
        problem=_directions,
        assumes=(Assumption("no vector is zero", _are_directions),),
        measures={"distance_geometric_mean": _geometric_mean},
    ),
    Theorem(
        name="uniformity_simplex",
        title="A simplex ETF has the least mean of the kernel, and no variance",
        statement=_KERNEL + r"a simplex ETF has the mean $-\frac12\log\frac{2K}{K-1}$ and the variance 0. (Ours.)",
        citation=Citation("wu2024", "hyperspherical uniformity", "own"),
        kind="tight",
        claims=(
            Equals("uniformity_mean", -sp.log(2 * K / (K - 1)) / 2, _LETTERS),
            Equals("uniformity_variance", 0),
        ),
        domain=Domain(
            {
                "K": Integers(2, 40, small=(2, 3)),
                "more": Integers(1, 10, small=(1,)),
                "scale": LogReals(1e-3, 1e3),
                "seed": Integers(1, 10**6, small=(1,)),
            }
        ),
        problem=_simplex,
        assumes=(Assumption("the vectors are a simplex ETF", _is_simplex),),
        measures={"uniformity_mean": _mean, "uniformity_variance": _variance},
    ),
)
