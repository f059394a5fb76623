"""Two weights of the features: the class-encoding transition where their mean is penalised apart from what is centred.

Networks with plain weight decay weigh the two apart (docs/networks.md); `ufm.constraints.FeatureMetric.mean_apart`
states the problem.
"""

import math
from typing import Any

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import BALANCED, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.catalogue.theorem import Assumption
from ufm.constraints import FeatureMetric
from ufm.problem import Problem, classes
from ufm.symbols import K, lam_b, lam_H, lam_W, n

lam_0 = sp.Symbol("lambda_0", positive=True)
lam_1 = lam_H
t_0 = K * sp.sqrt(n * lam_W * lam_0)
t_1 = K * sp.sqrt(n * lam_W * lam_1)
rho = 1 / (1 + 1 / lam_b)
s = sp.sqrt(n) * sp.Max(0, 1 - t_1)
s_0 = sp.sqrt(n) * sp.Max(0, 1 - t_0 - t_0 / lam_b)  # = sqrt(n) (1 - t_0/rho)_+
g, g_0 = s / sp.sqrt(lam_1), s_0 / sp.sqrt(lam_0)  # eigenvalues of N/sqrt(lam_W) times the class means' Gram matrix
value = ((K - 1) * (sp.sqrt(n) - s) ** 2 + rho * (sp.sqrt(n) - s_0) ** 2) / (2 * K * n) + sp.sqrt(lam_W) * (
    (K - 1) * sp.sqrt(lam_1) * s + sp.sqrt(lam_0) * s_0
)


def _mean_weight(problem: Problem) -> float:
    """lam_0, read off the metric: 1'D M D1/N is lam_1/lam_0."""
    counts, metric = problem.classes.counts.astype(float), problem.constraint
    if not isinstance(metric, FeatureMetric):
        return math.nan
    return float(problem.lam_H) * counts.sum() / float(counts @ metric.M @ counts)


def _is_two_weights(problem: Problem) -> bool:
    """Whether the metric is that of two weights, the mean's and the centred features'."""
    if not isinstance(problem.constraint, FeatureMetric):
        return False
    apart = FeatureMetric.mean_apart(problem.classes.counts, _mean_weight(problem) / float(problem.lam_H))
    return bool(np.allclose(problem.constraint.M, apart.M, rtol=1e-9, atol=1e-12 * np.abs(apart.M).max()))


def _t_1(problem: Problem) -> float:
    size = problem.K * math.sqrt(float(problem.classes.counts[0]))
    return size * math.sqrt(float(problem.lam_W[0]) * float(problem.lam_H))


def _problem(point: Point) -> Problem:
    """lam_b in units of t_0/(1 - t_0) where that is a threshold; lam_W/lam_1 = aspect^2."""
    size, per_class, t = point["K"], point["n"], point["t_1"]
    weight = t / (size * math.sqrt(per_class))
    mean = math.sqrt(point["ratio"]) * t
    return Problem(
        targets=classes(encodings.one_hot(size), per_class),
        lam_W=weight * point["aspect"],
        lam_H=weight / point["aspect"],
        lam_b=point["lam_b_ratio"] * (mean / (1 - mean) if mean < 1 else 1.0),
        constraint=FeatureMetric.mean_apart([per_class] * size, point["ratio"]),
    )


_TWO_WEIGHTS = Assumption(
    "the features' penalty is lam_0 N/2 |hbar|^2 on their mean and lam_1/2 |Hc|^2 on what is centred", _is_two_weights
)
_ALIVE = Assumption("t_1 < 1", lambda p: _t_1(p) < 1)
_LETTERS: dict[Any, Any] = {lam_0: _mean_weight}
_RANGES = {
    "K": Integers(2, 6, small=(2, 3, 4)),  # what the optimum costs grows as K^6
    "n": Integers(1, 1000, small=(1, 4)),
    "ratio": LogReals(0.02, 50.0, edges=(1.0,), small=(4.0, 0.25)),
    "lam_b_ratio": LogReals(1e-2, 1e2, edges=(0.0, 0.99, 1.01, math.inf), small=(2.0, 0.5, math.inf)),
    "aspect": LogReals(1e-2, 1e2, edges=(1.0,), small=(1.0,)),
}
_OBJECTIVE = (
    r"Balanced one-hot labels, squared loss, a penalty of the features with two weights, "
    r"$\frac{\lambda_0}2N\|\bar h\|^2+\frac{\lambda_1}2\|H_c\|^2$ ($\bar h$ their mean, $H_c$ the features less it), "
    r"width at least K, $t_i=K\sqrt{n\lambda_W\lambda_i}$, $\rho=\lambda_b/(1+\lambda_b)$: "
)
_STRENGTHS = (
    Equals("singular_values_centred", s),
    Equals("singular_value_mean", s_0, _LETTERS),
    Equals("bias", (sp.sqrt(n) - s_0) / (K * sp.sqrt(n) * (1 + lam_b)), _LETTERS),
    Equals("value", value, _LETTERS),
)

THEOREMS = (
    Theorem(
        name="transition",
        title="From simplex ETF to orthogonal frame and beyond, where the mean has a weight of its own",
        statement=_OBJECTIVE + r"for $t_1<1$ the centred directions have $s_1=\sqrt n(1-t_1)$, the mean direction "
        r"$s_0=\sqrt n(1-t_0/\rho)_+$. So the class means are an exact simplex ETF up to $\lambda_b^*=t_0/(1-t_0)$ "
        r"(for every $\lambda_b$ where $t_0\ge1$), and above it have the cosine $(g_0-g_1)/(g_0+(K-1)g_1)$ with "
        r"$g_i=s_i/\sqrt{\lambda_i}$: positive without a bias where $\lambda_0<\lambda_1$.",
        citation=Citation("ufm", "two weights of the features", "own"),
        kind="tight",
        claims=(
            *_STRENGTHS,
            Equals("cosine", (g_0 - g) / (g_0 + (K - 1) * g), _LETTERS),
            Equals("class_mean_norm", sp.sqrt(sp.sqrt(lam_W) * (g_0 + (K - 1) * g) / (K * n)), _LETTERS),
            Equals(
                "classifier_norm",
                sp.sqrt((sp.sqrt(lam_0) * s_0 + (K - 1) * sp.sqrt(lam_1) * s) / (K * sp.sqrt(lam_W))),
                _LETTERS,
            ),
        ),
        domain=Domain({**_RANGES, "t_1": LogReals(1e-2, 0.95, small=(0.5, 0.25))}),
        problem=_problem,
        assumes=(SHALLOW, BALANCED, WIDE, _TWO_WEIGHTS, _ALIVE),
    ),
    Theorem(
        name="any_strength",
        title="The two strengths, whatever the weights",
        statement=_OBJECTIVE
        + r"$s_1=\sqrt n(1-t_1)_+$ and $s_0=\sqrt n(1-t_0/\rho)_+$. Where $t_1\ge1>t_0/\rho$ the mean alone "
        r"survives: all class means are one vector.",
        citation=Citation("ufm", "two weights of the features", "own"),
        kind="tight",
        claims=_STRENGTHS,
        domain=Domain({**_RANGES, "t_1": LogReals(0.1, 10.0, edges=(1.0,), small=(2.0, 0.5))}),
        problem=_problem,
        assumes=(SHALLOW, BALANCED, WIDE, _TWO_WEIGHTS),
    ),
)
