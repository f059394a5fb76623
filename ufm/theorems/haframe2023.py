"""Hierarchy-aware frames (arXiv 2303.05689): S = (1-s) exp(-gamma D/D_max) + s 11', a classifier with WW' = S."""

from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from ufm.catalogue import Assumption, AtMost, Citation, Domain, Equals, Integers, LogReals, Theorem, Values
from ufm.catalogue.arrays import Arrays
from ufm.catalogue.domain import Point
from ufm.symbols import K

_FRAME = (
    r"$S_{ij}=(1-s)e^{-\gamma D_{ij}/D_{max}}+s$ for distances $D$ in a class hierarchy, $s$ the most negative value "
    r"that keeps $S$ positive semidefinite"
)

a = sp.Symbol("1'E^-1 1", positive=True)  # E = exp(-gamma D/D_max)
least = sp.Symbol("s^*", negative=True)


def _hierarchy(point: Point) -> Arrays:
    """Distances D in a random binary tree: the height, a whole number, of the lowest common ancestor."""
    rng, size = np.random.default_rng(point["seed"]), point["K"]
    D, groups, height = np.zeros((size, size)), [[k] for k in range(size)], 0
    while len(groups) > 1:
        height += 1 if point["shape"] == "regular" else int(rng.integers(0, 3)) + (height == 0)
        first, second = (groups.pop(int(rng.integers(len(groups)))) for _ in range(2))
        D[np.ix_(first, second)] = D[np.ix_(second, first)] = height
        groups.append(first + second)
    return Arrays({"D": D, "gamma": np.array(float(point["gamma"]))})


def _kernel(case: Arrays) -> np.ndarray:
    """E = exp(-gamma D/D_max)."""
    return np.exp(-case["gamma"] * case["D"] / np.max(case["D"]))


def _similarity(case: Arrays, s: float) -> np.ndarray:
    return (1 - s) * _kernel(case) + s


def _reciprocal(case: Arrays) -> float:
    return float(np.sum(np.linalg.solve(_kernel(case), np.ones(case["D"].shape[0]))))


def _least_allowed(case: Arrays) -> float:
    """The most negative s with S positive semidefinite, by bisection of its least eigenvalue over 1 - s."""

    def least_eigenvalue(u: float) -> float:  # s = -u/(1-u) covers all negative numbers for u in (0, 1)
        return float(np.linalg.eigvalsh((1 - u) * _similarity(case, -u / (1 - u)))[0])

    u: Any = brentq(least_eigenvalue, 0.0, 1 - 1e-12, xtol=1e-15)
    return -u / (1 - u)


def _closed_form(case: Arrays) -> float:
    return -1 / (_reciprocal(case) - 1)


def _grid_search(case: Arrays) -> float:
    """The released search: the most negative of linspace(-1/(K-1), -1, 100) with S positive semidefinite to 1e-6."""
    size = case["D"].shape[0]
    allowed = [s for s in np.linspace(-1 / (size - 1), -1, 100) if np.linalg.eigvalsh(_similarity(case, s))[0] > -1e-6]
    return float(min(allowed, default=np.inf))


def _grid_by_minors(case: Arrays) -> float:
    """The same with positive semidefiniteness decided by all principal minors, to 30 digits."""
    import itertools

    import mpmath

    size = case["D"].shape[0]
    top, gamma = mpmath.mpf(float(np.max(case["D"]))), mpmath.mpf(float(case["gamma"]))
    found = mpmath.inf
    with mpmath.workdps(30):
        E = mpmath.matrix([[mpmath.exp(-gamma * mpmath.mpf(float(x)) / top) for x in row] for row in case["D"]])
        for s in np.linspace(-1 / (size - 1), -1, 100):
            S = (1 - mpmath.mpf(float(s))) * E + mpmath.mpf(float(s)) * mpmath.ones(size)
            chosen = (c for n in range(1, size + 1) for c in itertools.combinations(range(size), n))
            if all(mpmath.det(mpmath.matrix([[S[i, j] for j in c] for i in c])) > -1e-15 for c in chosen):
                found = min(found, mpmath.mpf(float(s)))
    return float(found)


def _frame_gap(case: Arrays) -> float:
    """||WW' - S|| for W' = Q diag(sqrt w) V', S = V diag(w) V', Q with orthonormal columns (d x K)."""
    S = _similarity(case, _closed_form(case))
    w, V = np.linalg.eigh(S)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((len(w) + 3, len(w))))[0]
    W = (Q * np.sqrt(np.maximum(w, 0)) @ V.T).T
    return float(np.linalg.norm(W @ W.T - S) / np.linalg.norm(S))


def _is_fair(case: Arrays) -> bool:
    """Classes at positive distances from each other, and a kernel that double precision can invert."""
    D = case["D"]
    apart = np.min(D[~np.eye(len(D), dtype=bool)]) > 0
    return bool(apart and case["gamma"] > 0 and np.linalg.cond(_kernel(case)) < 1e4)


def _is_ultrametric(case: Arrays) -> bool:
    D = case["D"]
    longest = np.maximum(D[:, :, None], D.T[None, :, :])  # d(i, k) <= max(d(i, j), d(j, k))
    return bool(np.array_equal(D, D.T) and not np.any(np.diag(D)) and np.all(D[:, None, :] <= longest))


_FAIR = Assumption("classes are at positive distances from each other", _is_fair)
_TREE = Assumption("D is that of a tree: d(i, k) is at most the larger of d(i, j) and d(j, k)", _is_ultrametric)
_LETTERS: dict[Any, Any] = {a: _reciprocal, least: _closed_form, K: lambda case: case["D"].shape[0]}
_DOMAIN = Domain(
    {
        "K": Integers(2, 10, small=(2, 3)),
        "shape": Values(("regular", "random")),
        "gamma": LogReals(0.05, 20.0, small=(1.0, 2.0)),
        "seed": Integers(1, 10**6, small=(1, 2)),
    }
)


def _statement(name: str, title: str, words: str, kind: Any, *claims: Equals, **more: Any) -> Theorem:
    basis = more.pop("basis", "own")
    locator = more.pop("locator", "the similarity matrix")
    return Theorem(
        name=name,
        title=title,
        statement=f"{_FRAME}{words}",
        citation=Citation("haframe2023", locator, basis),
        kind=kind,
        claims=claims,
        domain=_DOMAIN,
        problem=_hierarchy,
        assumes=(_FAIR, _TREE),
        **more,
    )


THEOREMS = (
    _statement(
        "gram",
        "The classifier has the wanted similarities",
        r": the classifier $W'=Q\,\mathrm{diag}(\sqrt w)V'$ with $S=V\mathrm{diag}(w)V'$, $Q'Q=I$, has $WW'=S$.",
        "structural",
        Equals("frame_gap", 0),
        basis="text",
        locator="the frame",
        measures={"frame_gap": _frame_gap},
    ),
    _statement(
        "grid",
        "The released search finds the most negative value",
        r". The released code takes the most negative of 100 values from $-1/(K-1)$ to $-1$ that keeps $S$ positive "
        "semidefinite. (Read as: that value is $s$.)",
        "tight",
        Equals("grid_value", least, _LETTERS),
        basis="code",
        instead=("haframe2023:most_negative",),
        locator="released code, solve_HAF.py",
        measures={"grid_value": _grid_search},
        confirms={"grid_value": ("the search by principal minors to 30 digits", _grid_by_minors)},
        no_proof="It is refuted: the value is often below -1, where the grid ends, and else falls between its points.",
    ),
    _statement(
        "most_negative",
        "The most negative value in closed form",
        r": $s=-\frac1{1'E^{-1}1-1}$ with $E=e^{-\gamma D/D_{max}}$, which may be any negative number. (Our "
        "correction of the search.)",
        "tight",
        Equals("least_s", -1 / (a - 1), _LETTERS),
        measures={"least_s": _least_allowed},
    ),
    _statement(
        "simplex_allowed",
        "In a hierarchy the search has somewhere to start",
        r" is at most $-1/(K-1)$, that of a simplex ETF, so that the search never comes back without a value. (Ours.)",
        "upper",
        AtMost("least_s", -1 / (K - 1), _LETTERS),
        measures={"least_s": _least_allowed},
    ),
)
