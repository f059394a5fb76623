"""Neural collapse in deep linear networks (arXiv 2301.00437), shallow and imbalanced: a general orthogonal frame."""

import math

import sympy as sp

from ufm import encodings
from ufm.catalogue import Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import NO_BIAS, ONE_HOT, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes
from ufm.symbols import N, delta_kl, lam_H, lam_W, n_k

_alive = n_k > N**2 * lam_W * lam_H
_s2 = sp.Piecewise((sp.sqrt(n_k * lam_H / lam_W) - N * lam_H, _alive), (0, True))  # the paper's s_k^2
_duality = sp.sqrt(lam_W / (n_k * lam_H))  # h_k = _duality * w_k


def sizes(point: Point) -> list[int]:
    """K class sizes between 1 and n, set by a seed."""
    return [1 + (point["seed"] * (k + 3) * 7919) % point["n"] for k in range(point["K"])]


def _problem(point: Point) -> Problem:
    """Unequal classes; tau = N c is `level` times the root of the largest size."""
    counts = sizes(point)
    strength = point["level"] * math.sqrt(max(counts)) / sum(counts)
    return Problem(
        targets=classes(encodings.one_hot(point["K"]), counts),
        lam_W=strength * point["aspect"],
        lam_H=strength / point["aspect"],
    )


THEOREMS = (
    Theorem(
        name="thm4_1",
        title="Unequal classes: a general orthogonal frame, small classes at the origin",
        statement=(
            r"$\frac1{2N}\|WH-Y\|^2+\frac{\lambda_W}2\|W\|^2+\frac{\lambda_H}2\|H\|^2$, one-hot, class sizes $n_k$, no "
            r"bias: $W\bar H$ is diagonal, $\|w_k\|^2=s_k^2$ and $h_k=\sqrt{\lambda_W/(n_k\lambda_H)}\,w_k$ with "
            r"$s_k^2=\sqrt{n_k\lambda_H/\lambda_W}-N\lambda_H$ if $n_k>N^2\lambda_W\lambda_H$, else 0."
        ),
        citation=Citation("dang2023", "Theorem 4.1", "memory"),
        kind="tight",
        claims=(
            # all inner products of w_k and h_l = _duality * w_l; together they say every word of the statement
            Equals("classifier_gram", _s2 * delta_kl),
            Equals("logits", _duality * _s2 * delta_kl),
            Equals("gram", _duality**2 * _s2 * delta_kl),
        ),
        domain=Domain(
            {
                "K": Integers(2, 30, small=(2, 3)),
                "n": Integers(1, 1000, small=(2, 3)),
                "seed": Integers(1, 10**6, small=(1, 2)),
                "level": LogReals(1e-3, 1.5, edges=(1.0,), small=(0.5, 0.8)),
                "aspect": LogReals(1e-2, 1e2, small=(1.0, 2.0)),
            }
        ),
        flow_domain=Domain(
            {
                "K": Integers(2, 5),
                "n": Integers(1, 12),
                "seed": Integers(1, 10**6),
                "level": LogReals(0.1, 0.7),
                "aspect": LogReals(0.5, 2.0),
            }
        ),
        problem=_problem,
        assumes=(SHALLOW, ONE_HOT, NO_BIAS, WIDE),
        scaling="dang2023",
    ),
)
