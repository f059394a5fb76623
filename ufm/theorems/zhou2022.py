"""Optimization landscape of neural collapse under the squared loss (arXiv 2203.01238), as remembered."""

import math

import numpy as np
import sympy as sp

from ufm.catalogue import At, Citation, Domain, Equals, Integers, LogReals, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem, samples
from ufm.problem.scaling import scaling
from ufm.symbols import K, SoftThreshold, Y, lam_H, lam_W, sigma
from ufm.theorems.class_encoding import THEOREMS as OUR_THEOREMS
from ufm.theorems.class_encoding import value

_TRANSITION = OUR_THEOREMS[0]
_OBJECTIVE = (
    r"$\frac1{2N}\|WH+b1'-Y\|^2+\frac{\lambda_W}2\|W\|^2+\frac{\lambda_H}2\|H\|^2+\frac{\lambda_b}2\|b\|^2$, balanced "
    "one-hot: "
)
_PLAIN = r"$\frac12\|WH-Y\|^2+\frac{\lambda_W}2\|W\|^2+\frac{\lambda_H}2\|H\|^2$: "


def _at(*lam_b: float) -> Domain:
    return Domain({**_TRANSITION.domain.ranges, "lam_b_ratio": Values(lam_b)})


def _flows_at(*lam_b: float) -> Domain:
    return Domain({**_TRANSITION.flow_domain.ranges, "lam_b_ratio": Values(lam_b)})


def any_targets(point: Point) -> Problem:
    """Small integer targets, without any structure."""
    rng = np.random.default_rng(point["seed"])
    Y = rng.integers(-3, 4, (point["m"], point["m"] + point["more"]))
    ours = scaling("zhou2022_sum").to_ours({"lam_W": point["lam_W"], "lam_H": point["lam_H"]}, 1, Y.shape[1])
    return Problem(targets=samples(Y), lam_b=math.inf, **ours)


THEOREMS = (
    Theorem(
        name="no_bias",
        title="Without a bias the class means are an orthogonal frame",
        statement=_OBJECTIVE
        + r"without a bias the class means are an orthogonal frame. (Read where they are not zero.)",
        citation=Citation("zhou2022", "main theorem, no bias", "memory"),
        kind="structural",
        claims=(At("lam_b", math.inf, Equals("cosine", sp.Integer(0))),),
        domain=_at(math.inf),
        flow_domain=_flows_at(math.inf),
        problem=_TRANSITION.problem,
        assumes=_TRANSITION.assumes,
        scaling="zhou2022",
    ),
    Theorem(
        name="free_bias",
        title="With a free bias the class means are a simplex ETF",
        statement=_OBJECTIVE + r"with $\lambda_b=0$ the class means are a simplex ETF. (Read where they are not zero.)",
        citation=Citation("zhou2022", "main theorem, free bias", "memory"),
        kind="structural",
        claims=(At("lam_b", 0.0, Equals("cosine", -1 / (K - 1))),),
        domain=_at(0.0),
        flow_domain=_flows_at(0.0),
        problem=_TRANSITION.problem,
        assumes=_TRANSITION.assumes,
        scaling="zhou2022",
    ),
    Theorem(
        name="strict_saddles",
        title="Every critical point that is not a global minimum is a strict saddle",
        statement=_OBJECTIVE
        + r"every critical point that is not a global minimiser is a strict saddle. What is asked of the flows: from "
        r"random starts they end at the global value.",
        citation=Citation("zhou2022", "main theorem, landscape", "memory"),
        kind="structural",
        claims=(Equals("value", value),),
        domain=_TRANSITION.domain,
        flow_domain=_flows_at(0.0, 0.5, 2.0, 20.0, math.inf),
        problem=_TRANSITION.problem,
        assumes=(SHALLOW, BALANCED, WIDE),
        scaling="zhou2022",
    ),
    Theorem(
        name="product",
        title="The product is the soft-thresholded target matrix",
        statement=_PLAIN
        + r"at a global minimum $WH=U[S-\sqrt{\lambda_W\lambda_H}\,I]_+V'$ for $Y=USV'$. (Read with $d\ge m$: a "
        r"smaller width may not reach the rank of what is kept.)",
        citation=Citation("zhou2022", "lemma on the objective without 1/N", "memory"),
        kind="tight",
        claims=(
            Equals("singular_values", sp.Max(0, sigma - sp.sqrt(lam_W * lam_H))),
            Equals("logits", SoftThreshold(Y, sp.sqrt(lam_W * lam_H))),
        ),
        domain=Domain(
            {
                "m": Integers(1, 8, small=(2, 1)),
                "more": Integers(1, 20, small=(1,)),
                "seed": Integers(1, 10**6, small=(1,)),
                "lam_W": LogReals(1e-2, 20.0, small=(1.0,)),
                "lam_H": LogReals(1e-2, 20.0, small=(1.0,)),
            }
        ),
        flow_domain=Domain(
            {
                "m": Integers(1, 4),
                "more": Integers(1, 6),
                "seed": Integers(1, 10**6),
                "lam_W": LogReals(0.3, 3.0),
                "lam_H": LogReals(0.3, 3.0),
            }
        ),
        problem=any_targets,
        assumes=(SHALLOW, NO_BIAS, WIDE),
        scaling="zhou2022_sum",
    ),
)
