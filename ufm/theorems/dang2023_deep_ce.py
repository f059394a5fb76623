"""Neural collapse in deep linear networks (arXiv 2301.00437) under cross-entropy, and what is left of the claim."""

import math
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import root_scalar

from ufm import encodings
from ufm.catalogue import Assumption, Citation, Domain, Integers, LogReals, Named, Theorem, Unbeaten, Values
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes

_OBJECTIVE = (
    r"$\frac1N\sum_i\mathrm{CE}(W_M\cdots W_1h_i,y_i)+\frac12\sum_j\lambda_{W_j}\|W_j\|^2+\frac{\lambda_H}2\|H\|^2$, "
    r"balanced classes, no bias, width at least $K$: "
)

Layers = tuple[tuple[np.ndarray, ...], np.ndarray]


def spectral_point(problem: Problem, product: np.ndarray) -> Layers:
    """Balanced layers (K x K) and class means whose logits are a positive semidefinite matrix (K x K)."""
    n, p = float(problem.classes.counts[0]), problem.p
    values, vectors = np.linalg.eigh(product)
    kept = values > 1e-12 * np.max(np.abs(values))  # a root turns round-off of a zero into a length
    root = np.where(kept, np.abs(values) * math.sqrt(n), 0.0) ** (1 / p)
    factor = (vectors * root) @ vectors.T
    scales = [math.sqrt(problem.Lam / float(lam)) for lam in (*problem.lam_W, problem.lam_H)]
    return tuple(scale * factor for scale in scales[:-1]), scales[-1] * factor / math.sqrt(n)


def simplex(problem: Problem, margin: float) -> Layers:
    """The deep-NC point: logits of a simplex, margin (I - 11'/K)."""
    return spectral_point(problem, margin * (np.eye(problem.K) - 1 / problem.K))


def _log_slope(K: int, p: int, weight: float, margin: Any) -> Any:
    """Log of what the fit gains over what the penalty costs, per unit of margin, at a deep-NC point."""
    gain = -margin - np.log1p((K - 1) * np.exp(-margin))
    return gain - math.log(weight) - (2 / p - 1) * np.log(margin)


@cache
def _largest_margin(K: int, p: int, weight: float) -> float:
    """The largest root of the slope, where it falls; 0 where there is none. weight: Lam n^(1/p)."""
    grid = np.geomspace(1e-3, 1e3, 600)
    rising = np.flatnonzero(_log_slope(K, p, weight, grid) > 0)
    if rising.size == 0:
        return 0.0
    last = int(rising[-1])
    bracket = (float(grid[last]), float(grid[last + 1]))
    return float(root_scalar(lambda a: float(_log_slope(K, p, weight, a)), bracket=bracket, xtol=1e-14).root)


def best_margin(problem: Problem) -> float:
    """The margin of the deep-NC point that is a local minimum along its ray; 0 where there is none."""
    weight = problem.Lam * float(problem.classes.counts[0]) ** (1 / problem.p)
    return _largest_margin(problem.K, problem.p, weight)


def blocks(K: int) -> np.ndarray:
    """Centred blocks of two classes (of three, once, if K is odd) with every margin at least 1 (K x K)."""
    pattern = np.zeros((K, K))
    start = 3 if K % 2 else 0
    if start:
        pattern[:3, :3] = 1.5 * (np.eye(3) - 1 / 3)
    for first in range(start, K, 2):
        pattern[first : first + 2, first : first + 2] = [[1.0, -1.0], [-1.0, 1.0]]
    return pattern


@cache
def weight_for(K: int, p: int, margin: float) -> float:
    """Lam sqrt(n)^(2/p) at which the deep-NC point of this margin is stationary."""
    return math.exp(-margin - math.log1p((K - 1) * math.exp(-margin)) - (2 / p - 1) * math.log(margin))


COLLAPSE = Named("the best deep-NC point", lambda problem: simplex(problem, best_margin(problem)))
BLOCKS = Named(
    "the blocks of two classes at its margin",
    lambda problem: spectral_point(problem, best_margin(problem) * blocks(problem.K)),
)
NARROWER = Named("a smaller margin", lambda problem: simplex(problem, 0.9 * best_margin(problem)))
WIDER = Named("a larger margin", lambda problem: simplex(problem, 1.1 * best_margin(problem)))
ZERO = Named("zero", lambda problem: simplex(problem, 0.0))


def deep(point: Point) -> Problem:
    """K classes of n samples, M layers, weights at which the deep-NC point has the given margin."""
    K, n, layers = point["K"], point["n"], point["M"]
    p = layers + 1
    Lam = weight_for(K, p, float(point["margin"])) / n ** (1 / p)
    lam_W = (Lam * point["aspect"],) * layers
    return Problem(
        targets=classes(encodings.one_hot(K), n),
        lam_W=lam_W,
        lam_H=Lam / point["aspect"] ** layers,
        loss="cross_entropy",
    )


ENTROPY = Assumption("the loss is cross-entropy", lambda p: p.loss == "cross_entropy")
EXISTS = Assumption("a deep-NC point is critical", lambda p: best_margin(p) > 0)
BELOW_ZERO = Assumption(
    "the best deep-NC point lies below zero", lambda p: best_margin(p) > 0 and COLLAPSE.value(p) < math.log(p.K) - 1e-6
)

RANGES = {
    "K": Integers(2, 9, small=(2, 3, 4)),
    "M": Values((1, 2, 3, 4, 6)),
    "n": Integers(1, 50, small=(1, 2)),
    "margin": LogReals(2.0, 20.0, small=(8.0,)),
    "aspect": LogReals(0.5, 2.0, small=(1.0,)),
}

THEOREMS = (
    Theorem(
        name="thmA_1",
        title="Cross-entropy: every global minimiser is deep neural collapse",
        statement=_OBJECTIVE + r"all global minimisers satisfy deep neural collapse, a simplex ETF in $W_M\cdots W_1$ "
        r"and in $H$. (Judged where the best such point lies below zero, which it must to be a minimiser.)",
        instead=("dang2023_deep_ce:two_classes", "garrod2024:thm1"),
        citation=Citation("dang2023", "Theorem A.1", "memory"),
        kind="structural",
        claims=(Unbeaten(COLLAPSE, (BLOCKS, ZERO), ask=False),),
        domain=Domain({**RANGES, "K": Integers(2, 9, small=(4, 3, 2)), "M": Values((3, 1, 2, 4, 6))}),
        problem=deep,
        assumes=(ENTROPY, BALANCED, NO_BIAS, WIDE, BELOW_ZERO),
        scaling="dang2023",
        no_proof="It is refuted: blocks of two classes have the same margins, fewer singular values, and less penalty.",
    ),
    Theorem(
        name="two_classes",
        title="Cross-entropy, two classes: deep neural collapse, or zero, at any depth",
        statement=_OBJECTIVE
        + r"for $K=2$ the minimum is $\min_{\alpha\ge0}\log(1+e^{-\alpha})+\frac{M+1}2\Lambda(\sqrt n"
        r"\,\alpha)^{2/(M+1)}$, $\Lambda^{M+1}=\lambda_{W_M}\cdots\lambda_{W_1}\lambda_H$, attained by deep neural "
        r"collapse or, for strong regularisation, by zero. (Ours: what is left of Theorem A.1 for $K=2$.)",
        citation=Citation("dang2023", "Theorem A.1, corrected here for two classes", "own"),
        kind="structural",
        claims=(Unbeaten(COLLAPSE, (ZERO, NARROWER, WIDER), ask=False),),
        domain=Domain({**RANGES, "K": Values((2,))}),
        problem=deep,
        assumes=(ENTROPY, BALANCED, NO_BIAS, BELOW_ZERO),
        scaling="dang2023",
    ),
)
