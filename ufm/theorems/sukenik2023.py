"""Deep neural collapse is optimal for two classes (arXiv 2305.13165), judged in the deep linear model."""

import math

import sympy as sp

from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem
from ufm.symbols import delta_kl, lam_H, n
from ufm.theorems.dang2023_deep_mse import DEEP, SQUARED, no_bias

_OBJECTIVE = (
    r"$\frac1{2N}\|W_L\cdots W_1H-Y\|^2+\frac12\sum_l\lambda_{W_l}\|W_l\|^2+\frac{\lambda_H}2\|H\|^2$, $K=2$ classes "
    r"of $n$ samples (the paper has ReLUs between the layers; judged here is the linear model, whose optimum has "
    r"non-negative features up to a rotation): "
)

L = sp.Symbol("L", integer=True, positive=True)  # linear layers
P = sp.Symbol("lambda_{W_1}..lambda_{W_L}", positive=True)
threshold = (L - 1) ** (L - 1) / (2 ** (L + 1) * L ** (2 * L))
_LETTERS = {L: lambda problem: problem.p - 1, P: lambda problem: math.prod(map(float, problem.lam_W))}


def _two_classes(point: Point) -> Problem:
    return no_bias({**point, "K": 2})


def _relative(problem: Problem) -> float:
    """n lam_H lam_W1..lam_WL over the threshold."""
    layers = problem.p - 1
    product = math.prod(map(float, problem.lam_W)) * float(problem.lam_H) * int(problem.classes.counts[0])
    return product * 2 ** (layers + 1) * layers ** (2 * layers) / (layers - 1) ** (layers - 1)


_TWO = Assumption("there are two classes", lambda p: p.K == 2)
_OFF = Assumption("the weights are not at the threshold itself", lambda p: abs(_relative(p) - 1) > 1e-9)
_BELOW = Assumption("n lam_H lam_W1..lam_WL is below the threshold", lambda p: _relative(p) < 1 - 1e-9)
_RANGES = {
    "M": Values((2, 3, 5)),
    "n": Integers(1, 500, small=(1, 2)),
    "level": LogReals(0.1, 10.0, edges=(0.999, 1.001), small=(0.5, 1.1)),
    "aspect": LogReals(0.1, 10.0, small=(1.0,)),
    "tilt": LogReals(0.5, 2.0, small=(1.0,)),
}

THEOREMS = (
    Theorem(
        name="deep_nc",
        title="Two classes: deep neural collapse is optimal",
        statement=_OBJECTIVE + r"deep neural collapse is optimal: orthogonal class means, layers aligned with them. "
        r"(Read where the optimum is not zero.)",
        citation=Citation("sukenik2023", "main theorem", "memory"),
        kind="structural",
        claims=(Equals("cosines", delta_kl), Equals("balance", sp.Integer(0))),
        domain=Domain({**_RANGES, "level": LogReals(1e-3, 0.999, small=(0.5,))}),
        problem=_two_classes,
        assumes=(SQUARED, DEEP, BALANCED, NO_BIAS, WIDE, _TWO, _BELOW),
        scaling="dang2023",
    ),
    Theorem(
        name="threshold",
        title="Two classes: when the optimum is zero",
        statement=_OBJECTIVE + r"the optimum is zero iff $n\lambda_H\lambda_{W_1}\cdots\lambda_{W_L}>"
        r"\frac{(L-1)^{L-1}}{2^{L+1}L^{2L}}$; otherwise it has rank 2. (At equality both are optimal.)",
        citation=Citation("sukenik2023", "main theorem, the threshold", "memory"),
        kind="tight",
        claims=(Equals("rank", sp.Piecewise((0, n * lam_H * P > threshold), (2, True)), _LETTERS),),
        domain=Domain(_RANGES),
        problem=_two_classes,
        assumes=(SQUARED, DEEP, BALANCED, NO_BIAS, WIDE, _TWO, _OFF),
        scaling="dang2023",
    ),
)
