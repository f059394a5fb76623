"""Imbalance trouble (arXiv 2208.05512): unit margins are met by the simplex-encoded labels, at all class sizes."""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem, Values
from ufm.catalogue.assumptions import ONE_HOT
from ufm.catalogue.claims import Approaches
from ufm.catalogue.domain import Point
from ufm.constraints import HardMargin
from ufm.problem import Problem, classes
from ufm.symbols import K, delta_kl
from ufm.theorems.dang2023_gof import sizes

_STEP = r"$(R,\rho)$-STEP imbalance: $(1-\rho)K$ classes of $Rn$ samples, $\rho K$ of $n$: "
_MARGINS = (
    r"$\min\frac12\|W\|^2+\frac12\|H\|^2$ subject to $(w_{y_i}-w_j)'h_i\ge1$ for $j\ne y_i$, with the simplex-encoded "
    r"labels $\hat Z$ (columns of $I-\frac1K11'$, each repeated by its class's samples) $=V\Lambda U'$: "
)

CLASSIFIER = sp.MatrixSymbol("VLambdaV'", K, K)
FEATURES = sp.MatrixSymbol("ULambdaU'", K, K)  # at one sample a class


def _encoded(problem: Problem) -> np.ndarray:
    """Simplex-encoded labels in the class basis: (I - 11'/K) diag(sqrt n)."""
    return (np.eye(problem.K) - 1 / problem.K) * np.sqrt(problem.classes.counts)


def _classifier_gram(problem: Problem) -> np.ndarray:
    U, s, _ = np.linalg.svd(_encoded(problem))
    return (U * s) @ U.T


def _feature_gram(problem: Problem) -> np.ndarray:
    _, s, Vt = np.linalg.svd(_encoded(problem))
    root = np.sqrt(problem.classes.counts)
    return (Vt.T * s) @ Vt / np.outer(root, root)


_LETTERS = {CLASSIFIER: _classifier_gram, FEATURES: _feature_gram}


def _step_counts(point: Point) -> list[int]:
    minority = max(1, min(point["K"] - 1, round(point["rho"] * point["K"])))
    return [point["R"] * point["n"]] * (point["K"] - minority) + [point["n"]] * minority


def _margins(counts: list[int]) -> Problem:
    codes = encodings.one_hot(len(counts))
    return Problem(classes(codes, counts), lam_W=1.0, lam_H=1.0, loss="cross_entropy", constraint=HardMargin())


def _step(point: Point) -> Problem:
    return _margins(_step_counts(point))


def _any_sizes(point: Point) -> Problem:
    return _margins(sizes(point))


def _regularised(point: Point) -> Problem:
    """Cross-entropy with lam_W = lam_H = `strength` over the weight at which nothing is left."""
    counts = _step_counts(point)
    strength = point["strength"] * math.sqrt(min(counts)) / sum(counts)
    return Problem(
        targets=classes(encodings.one_hot(len(counts)), counts), lam_W=strength, lam_H=strength, loss="cross_entropy"
    )


_ENTROPY = Assumption("unit margins, one linear layer", lambda p: isinstance(p.constraint, HardMargin))
_TWO = Assumption("two class sizes at most", lambda p: np.unique(p.classes.counts).size <= 2)
_CLAIMS = (
    Equals("logits", delta_kl - 1 / K),
    Equals("classifier_gram", CLASSIFIER, _LETTERS),
    Equals("gram", FEATURES, _LETTERS),
)
_RANGES = {
    "K": Integers(2, 16, small=(3, 4)),
    "rho": Values((0.5, 0.2, 0.8)),
    "R": Integers(1, 1000, small=(4, 1)),
    "n": Integers(1, 20, small=(1,)),
}

THEOREMS = (
    Theorem(
        name="seli",
        title="Unit margins: simplex-encoded labels, for every R and rho",
        statement=_STEP + _MARGINS + r"the optimum has $WH=\hat Z$, $WW'=V\Lambda V'$ and $H'H=U\Lambda U'$, for every "
        r"$R$ and $\rho$.",
        citation=Citation("thrampoulidis2022", "Theorem 1"),
        kind="tight",
        claims=_CLAIMS,
        domain=Domain(_RANGES),
        problem=_step,
        assumes=(_ENTROPY, ONE_HOT, _TWO),
    ),
    Theorem(
        name="seli_any_sizes",
        title="Unit margins: simplex-encoded labels, for any class sizes",
        statement=_MARGINS + r"the same holds for any class sizes. (Ours: no STEP is needed.)",
        citation=Citation("thrampoulidis2022", "Theorem 1, extended here", "own"),
        kind="tight",
        claims=_CLAIMS,
        domain=Domain(
            {
                "K": Integers(2, 16, small=(3, 4)),
                "n": Integers(1, 10000, small=(3, 5)),
                "seed": Integers(1, 10**6, small=(1, 2)),
            }
        ),
        problem=_any_sizes,
        assumes=(_ENTROPY, ONE_HOT),
    ),
    Theorem(
        name="vanishing_weights",
        title="Cross-entropy tends to the simplex-encoded labels as the weights vanish",
        statement=_STEP
        + r"the optimum of the cross-entropy with $\frac\lambda2(\|W\|^2+\|H\|^2)$ tends to the max-margin "
        r"solution as $\lambda\to0$, in direction. (What is asked: the logits over their norm come closer to "
        r"$\hat Z/\|\hat Z\|$ with every reduction of $\lambda$, inversely as $\log(1/\lambda)$ or faster.)",
        citation=Citation("thrampoulidis2022", "the section on the regularisation path"),
        kind="limiting",
        claims=(
            Approaches(
                "logit_directions", (delta_kl - 1 / K) / sp.sqrt(K - 1), ("lam_W", "lam_H"), (1.0, 1e-2, 1e-4, 1e-6)
            ),
        ),
        domain=Domain(
            {
                "K": Integers(2, 6, small=(3, 2)),
                "rho": Values((0.5, 0.2, 0.8)),
                "R": Integers(1, 50, small=(4,)),
                "n": Integers(1, 4, small=(1,)),
                "strength": LogReals(1e-3, 1e-2, small=(1e-2,)),
            }
        ),
        problem=_regularised,
        assumes=(
            Assumption("the loss is cross-entropy without a constraint", lambda p: p.constraint is None),
            ONE_HOT,
            _TWO,
        ),
    ),
)
