"""A penalised bias of balanced classes is symmetric at the global minimum, for every depth: a result of ours."""

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem
from ufm.symbols import K, lam_b, n
from ufm.theorems.dang2023_deep_mse import SQUARED, M, kept_root, layers_of, no_bias, strength

x, x_0 = sp.symbols("x^* x_0^*", nonnegative=True)  # x^M = s/(sqrt(n) - s) where s > 0 is the global minimum, else 0
rho = lam_b / (1 + lam_b)
kappa, kappa_0 = x**M / (x**M + 1), x_0**M / (x_0**M + 1)


def _centred(problem: Problem) -> float:
    return kept_root(float(strength(problem)[0]), layers_of(problem))


def _mean(problem: Problem) -> float:
    """The same with tau/rho for tau: the strength is a power 1 + 1/M of tau."""
    layers = layers_of(problem)
    return kept_root(float(strength(problem)[0]) * problem.rho ** -(1 + 1 / layers), layers)


LETTERS = {x: _centred, x_0: _mean, M: layers_of}
_PENALISED = Assumption("the bias is penalised, 0 < lam_b < inf", lambda p: bool(0 < float(p.lam_b) < np.inf))


def _problem(point: Point) -> Problem:
    """`level` times the strength at which the features vanish; a bias of any weight."""
    return no_bias(point).replace(lam_b=point["lam_b"])


THEOREMS = (
    Theorem(
        name="every_depth",
        title="The symmetric bias is globally optimal at every depth and every bias weight",
        statement=(
            r"Balanced one-hot labels, squared loss, $M \ge 1$ linear layers of any weights, $0 < \lambda_b < \infty$, "
            r"width at least $K$. At the global minimum all entries of $b$ are equal: each of the $K-1$ centred "
            r"directions minimises $\frac12(\sqrt n-s)^2+\frac p2\tau s^{2/p}$ and the mean direction the same with "
            r"$\tau/\rho$ for $\tau$, where $p=M+1$, $\tau=N\Lambda$, $\rho=\lambda_b/(1+\lambda_b)$."
        ),
        citation=Citation("ufm", "symmetric bias", "own"),
        kind="tight",
        claims=(
            Equals("singular_values_centred", sp.sqrt(n) * kappa, LETTERS),
            Equals("singular_value_mean", sp.sqrt(n) * kappa_0, LETTERS),
            Equals("bias", (1 - kappa_0) / (K * (1 + lam_b)), LETTERS),
            Equals(
                "value",
                ((K - 1) * (1 - kappa) * (1 + M * kappa) + rho * (1 - kappa_0) * (1 + M * kappa_0)) / (2 * K),
                LETTERS,
            ),
        ),
        domain=Domain(
            {
                "M": Values((2, 1, 3, 5)),
                "K": Integers(2, 12, small=(2, 3)),
                "n": Integers(1, 500, small=(1, 2)),
                "level": LogReals(1e-3, 1.5, small=(0.5, 0.1)),
                "lam_b": LogReals(1e-2, 1e2, small=(1.0, 0.5)),
                "aspect": LogReals(1e-1, 10.0, edges=(1.0,), small=(1.0,)),
                "tilt": LogReals(0.5, 2.0, small=(1.0,)),
            }
        ),
        problem=_problem,
        assumes=(SQUARED, BALANCED, _PENALISED, WIDE),
    ),
)
