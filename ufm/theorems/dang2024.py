"""Cross-entropy over ReLU features, unequal classes (arXiv 2401.02058): orthogonal features, one threshold a class."""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Among, Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import NO_BIAS, ONE_HOT, WIDE
from ufm.catalogue.domain import Point
from ufm.constraints import NonNegative
from ufm.problem import Problem, classes
from ufm.symbols import K, N, Total, delta_kl, lam_H, lam_W, n_k, n_l
from ufm.theorems.dang2023_gof import sizes

_OBJECTIVE = (
    r"$\frac1N\sum_i\mathrm{CE}(Wh_i,y_i)+\frac{\lambda_W}2\|W\|^2+\frac{\lambda_H}2\|H\|^2$, $H\ge0$ entrywise, "
    r"one-hot, class sizes $n_k$, no bias, $d\ge K$: "
)
_MARGIN = (
    r"$M_k=\log\left((K-1)\left[\frac{\sqrt{n_k}}{N\sqrt{\frac{K-1}K\lambda_W\lambda_H}}-1\right]\right)$ if "
    r"$N\sqrt{\lambda_W\lambda_H}/\sqrt{n_k}<\sqrt{(K-1)/K}$, else 0"
)

_mean = sp.sqrt((K - 1) / K)  # of the classifier's K - 1 parts
_alive = N * sp.sqrt(lam_W * lam_H) / sp.sqrt(n_k) < _mean
margin = sp.Piecewise(
    (sp.log((K - 1) * (sp.sqrt(n_k) / (N * _mean * sp.sqrt(lam_W * lam_H)) - 1)), _alive), (sp.S.Zero, True)
)
length2 = _mean * sp.sqrt(lam_W / lam_H) / sp.sqrt(n_k) * margin  # ||h_k||^2
_energy = n_k * length2
row2 = lam_H / lam_W / (K * (K - 1)) * (K * (K - 2) * _energy + Total(_energy))  # pyright: ignore


def _problem(point: Point) -> Problem:
    counts = sizes(point)
    strength = point["level"] * math.sqrt(max(counts) * (1 - 1 / point["K"])) / sum(counts)
    return Problem(
        targets=classes(encodings.one_hot(point["K"]), counts),
        lam_W=strength * point["aspect"],
        lam_H=strength / point["aspect"],
        loss="cross_entropy",
        constraint=NonNegative(),
    )


def _lost(problem: Problem) -> np.ndarray:
    """Classes of at most N^2 K/(K-1) lam_W lam_H samples, off the last digits of the threshold."""
    bound = problem.N**2 * problem.K / (problem.K - 1) * float(problem.lam_W[0]) * float(problem.lam_H)
    return problem.classes.counts <= bound * (1 - 1e-12)


_ENTROPY = Assumption("the loss is cross-entropy", lambda p: p.loss == "cross_entropy")
_RELU = Assumption("features are non-negative", lambda p: isinstance(p.constraint, NonNegative))
_ONE_LAYER = Assumption("one linear layer", lambda p: p.p == 2)
_SETTING = (_ENTROPY, _RELU, _ONE_LAYER, ONE_HOT, NO_BIAS, WIDE)
_RANGES = {
    "K": Integers(2, 12, small=(2, 3)),
    "n": Integers(1, 300, small=(1, 3)),
    "seed": Integers(1, 10**6, small=(1, 2)),
    "level": LogReals(1e-4, 1.5, edges=(0.9, 1.1), small=(0.5, 0.9)),
    "aspect": LogReals(1e-2, 1e2, small=(1.0,)),
}

THEOREMS = (
    Theorem(
        name="thm1",
        title="Non-negative features are orthogonal, each class with its own length and margin",
        statement=_OBJECTIVE + r"with " + _MARGIN + r", $h_k'h_l=0$, "
        r"$\|h_k\|^2=\sqrt{\frac{K-1}K\frac{\lambda_W}{\lambda_H}/n_k}\,M_k$, $w_k=\sqrt{\frac1{K(K-1)}}"
        r"\sqrt{\lambda_H/\lambda_W}\,(K\sqrt{n_k}h_k-\sum_m\sqrt{n_m}h_m)$, and the margin of class $k$ is $M_k$. "
        r"(Printed $[\cdot]_+$, read as said here; NC1 is what lets the features be given by class.)",
        citation=Citation("dang2024", "Theorem 1", "memory"),
        kind="tight",
        claims=(
            Equals("gram", length2 * delta_kl),
            Equals("classifier_norm", sp.sqrt(row2)),
            Equals("logits", (delta_kl - 1 / K) * margin.xreplace({n_k: n_l})),  # w_j'h_k for w as stated
        ),
        domain=Domain(_RANGES),
        problem=_problem,
        assumes=_SETTING,
        scaling="dang2024",
    ),
    Theorem(
        name="cor4",
        title="Non-negative features: when a class falls to the origin",
        statement=_OBJECTIVE + r"$n_k\le N^2\frac K{K-1}\lambda_W\lambda_H$ implies $h_k=0$.",
        citation=Citation("dang2024", "Corollary 4", "memory"),
        kind="tight",
        claims=(Among("for n_k <= N^2 K/(K-1) lam_W lam_H", _lost, Equals("class_mean_norm", sp.Integer(0))),),
        domain=Domain({**_RANGES, "level": LogReals(0.2, 1.5, edges=(0.9, 1.1), small=(0.9, 1.1))}),
        problem=_problem,
        assumes=_SETTING,
        scaling="dang2024",
    ),
)
