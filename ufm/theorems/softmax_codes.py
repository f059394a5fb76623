"""Generalised neural collapse with more classes than dimensions (arXiv 2310.05351): softmax codes."""

import math
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import nnls
from scipy.special import logsumexp

from ufm.catalogue import Assumption, AtLeast, AtMost, Citation, Domain, Integers, LogReals, Theorem, Values
from ufm.catalogue.arrays import Arrays
from ufm.catalogue.domain import Point
from ufm.metrics.uniformity import one_vs_rest_distances
from ufm.symbols import K

_SETTING = (
    r"Features and classifiers on the unit sphere of $d$ dimensions, $K$ classes, cross-entropy of "
    r"$w_j'h/T$, one feature a class: "
)

q, T = sp.symbols("q T", positive=True)  # least one-vs-rest margin of the classifiers; temperature
d = sp.Symbol("d", integer=True, positive=True)
inner = sp.Piecewise((-1 / (K - 1), d >= K - 1), (sp.cos(2 * sp.pi / K), True))  # the second for d = 2


def _unit(case: Arrays, name: str) -> np.ndarray:
    return case[name] / np.linalg.norm(case[name], axis=0)


def _loss(W: np.ndarray, H: np.ndarray, temperature: float) -> float:
    """Mean cross-entropy of the logits W'h_k/T, columns W and H (d x K)."""
    logits = W.T @ H / temperature
    return float(np.mean(logsumexp(logits - np.diag(logits), axis=0)))


def _best_features(W: np.ndarray) -> np.ndarray:
    """From the nearest point of the others' hull to each w_k (d x K); w_k itself where that is no distance."""
    found = W.copy()
    for k in range(W.shape[1]):
        A = np.delete(W, k, axis=1) - W[:, [k]]
        x, _ = nnls(np.vstack([A, np.ones(A.shape[1])]), np.append(np.zeros(A.shape[0]), 1.0))
        away = -A @ x / np.sum(x)
        if np.linalg.norm(away) > 1e-7:
            found[:, k] = away / np.linalg.norm(away)
    return found


def _margin(case: Arrays) -> float:
    return float(np.min(one_vs_rest_distances(_unit(case, "W"))))


def _largest_inner(case: Arrays) -> float:
    W = _unit(case, "W")
    return float(np.max((W.T @ W)[~np.eye(W.shape[1], dtype=bool)]))


def _code(size: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A simplex where there is room, a regular polygon in two dimensions, else random unit vectors (d x K)."""
    if size <= width + 1:
        means = np.eye(size) - 1 / size
        U, _, _ = np.linalg.svd(means)
        code = np.zeros((width, size))
        code[: size - 1] = U[:, : size - 1].T @ means
    elif width == 2:
        angles = 2 * np.pi * np.arange(size) / size
        code = np.stack([np.cos(angles), np.sin(angles)])
    else:
        code = rng.standard_normal((width, size))
    return np.linalg.qr(rng.standard_normal((width, width)))[0] @ code


def _case(point: Point) -> Arrays:
    """Random vectors, or a code moved by a share of its length: not at all, a little, or enough to lose its order."""
    rng = np.random.default_rng(point["seed"])
    size, width = point["K"], point["d"]
    W = rng.standard_normal((width, size))
    if point["moved"] < math.inf:
        W = _code(size, width, rng) + point["moved"] * W / math.sqrt(width)
    H = rng.standard_normal((width, size))
    return Arrays({"W": W, "H": H, "T": np.array([point["T"]])})


_MOVED = Values((0.0, 1e-3, 0.1, 0.5, math.inf))
_SEED = Integers(1, 10**6, small=(1, 2, 3))
_NOT_ZERO = Assumption(
    "no vector is zero",
    lambda case: all(
        bool(np.min(np.linalg.norm(case[name], axis=0)) > 1e-6 * np.max(np.abs(case[name]))) for name in ("W", "H")
    ),
)
_WARM = Assumption("T > 0", lambda case: float(case["T"][0]) > 1e-2)
_KNOWN = Assumption(
    "K <= d + 1, or d = 2", lambda case: case["W"].shape[1] <= case["W"].shape[0] + 1 or case["W"].shape[0] == 2
)
_LETTERS: dict[Any, Any] = {
    K: lambda case: case["W"].shape[1],
    d: lambda case: case["W"].shape[0],
    q: _margin,
    T: lambda case: float(case["T"][0]),
}

THEOREMS = (
    Theorem(
        name="margin",
        title="Classifiers maximise the least one-vs-rest margin as the temperature vanishes",
        statement=_SETTING + r"as $T\to0$ the classifiers of a minimiser maximise the least one-vs-rest margin "
        r"$q(W)=\min_k\mathrm{dist}(w_k,\mathrm{conv}\{w_j\}_{j\ne k})$. (What is asked: whatever the features, the "
        r"loss is at least $\frac1K\log(1+e^{-q/T})$, and with the best ones at most $\log(1+(K-1)e^{-q/T})$; so the "
        r"$q$ of a minimiser comes within $T\log(K(K-1))$ of the largest, up to terms that vanish with $T$ faster.)",
        citation=Citation("jiang2023", "abstract; the definitions are those of the released code", "abstract"),
        kind="limiting",
        claims=(
            AtMost("loss_at_best", sp.log(1 + (K - 1) * sp.exp(-q / T)), _LETTERS),
            AtLeast("loss", sp.log(1 + sp.exp(-q / T)) / K, _LETTERS),
        ),
        domain=Domain(
            {
                "K": Integers(2, 9, small=(3, 4)),
                "d": Integers(1, 5, small=(2, 3)),
                "T": LogReals(0.05, 2.0, small=(1.0, 0.5)),
                "moved": _MOVED,
                "seed": _SEED,
            }
        ),
        problem=_case,
        assumes=(_NOT_ZERO, _WARM),
        measures={
            "loss": lambda case: _loss(_unit(case, "W"), _unit(case, "H"), float(case["T"][0])),
            "loss_at_best": lambda case: _loss(_unit(case, "W"), _best_features(_unit(case, "W")), float(case["T"][0])),
        },
    ),
    Theorem(
        name="tammes",
        title="Tammes points are softmax codes on the circle, and where the simplex has room",
        statement=_SETTING
        + r"the solutions of the Tammes problem minimise $\max_{j\ne k}w_j'w_k$; where they are softmax codes they are "
        r"the classifiers. (Asked where both are known, $K\le d+1$ or $d=2$: the least of the largest inner products "
        r"is $g=-\frac1{K-1}$, or $\cos\frac{2\pi}K$ on the circle for $K\ge4$, the largest of the least margins is "
        r"$1-g$, and the simplex and the regular polygon have both. Between, $3\le d<K-1$, the best codes are not "
        r"known in general.)",
        citation=Citation("jiang2023", "abstract; the definitions are those of the released code", "abstract"),
        kind="upper",
        claims=(
            AtLeast("largest_inner_product", inner, _LETTERS),
            AtMost("code_margin", 1 - inner, _LETTERS),
        ),
        domain=Domain(
            {
                "K": Integers(2, 12, small=(3, 4)),
                "d": Integers(1, 12, small=(2, 3)),
                "T": Values((1.0,)),
                "moved": _MOVED,
                "seed": _SEED,
            }
        ),
        problem=_case,
        assumes=(_NOT_ZERO, _KNOWN),
        measures={"largest_inner_product": _largest_inner, "code_margin": _margin},
    ),
)
