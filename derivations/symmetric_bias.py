"""Why a symmetric bias is globally optimal for balanced one-hot classes, whatever the depth and the bias weight."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma, prove
from ufm.symbols import K, N, lam_b, n, tau

M = sp.Symbol("M", integer=True, positive=True)  # linear layers
p = sp.Symbol("p", integer=True, positive=True)  # factors
x, x_0 = sp.symbols("x^* x_0^*", nonnegative=True)
s, s_0 = sp.symbols("s s_0", nonnegative=True)
kappa = sp.Symbol("kappa", positive=True)
weight = sp.Symbol("rho", positive=True)

X, A = sp.MatrixSymbol("X", K, K), sp.MatrixSymbol("A", K, K)
q, b = sp.MatrixSymbol("q", K, 1), sp.MatrixSymbol("b", K, 1)


def _reduction(proof: Proof) -> None:
    """The bias minimised out leaves a weight on one direction."""
    C: Any = sp.Identity(K) - q * q.T / N
    mean: Any = q * q.T / N
    proof.section("The bias minimised out")
    proof.given(
        "class basis",
        "With the features of a class equal (their spread only costs) and in the orthonormal basis of the classes the "
        "targets are $A = \\sqrt n I$ and the row of ones is $q'$, $q = \\sqrt n 1$.",
        {q.T * q: N * sp.Identity(1)},
    )
    rho = lam_b / (1 + lam_b)
    vanishing = b - (A - X) * q / (N * (1 + lam_b))
    proof.identity(
        "the bias",
        "For any product $X$ of all factors the best bias makes the last square vanish; the mean direction keeps the "
        "weight $\\rho = \\lambda_b/(1+\\lambda_b)$.",
        (
            norm2(X + b * q.T - A) + N * lam_b * norm2(b),
            norm2((X - A) * C) + rho * norm2((X - A) * q) / N + N * (1 + lam_b) * norm2(vanishing),
        ),
    )
    root = sp.sqrt(weight)
    proof.identity(
        "one weighted matrix",
        "With $R = I - (1 - \\sqrt{\\rho})\\,qq'/N$ that is the fit of $XR$ to $AR$,",
        (norm2((X - A) * (C + root * mean)), norm2((X - A) * C) + weight * norm2((X - A) * q) / N),
    )


def _bound(proof: Proof) -> None:
    """Both terms of the loss are at least sums over the singular values of X M."""
    fit, product = sp.Symbol("tr (X M)'(A M)"), sp.Symbol("sum y_i alpha_i")
    energy, least = sp.Symbol("energy"), sp.Symbol("least_energy")
    powers, altered = sp.Symbol("sum x_i^(2/p)"), sp.Symbol("sum of altered y_i^(2/p)")
    proof.section("A bound that no bias beats")
    proof.lemma(
        "aligned",
        "Let $y_i$ be the singular values of $XR$ and $\\alpha_i$ those of $AR$, $\\sqrt n$ for $i < K$ and "
        "$\\sqrt{\\rho n}$ for $i = K$, descending. The fit is at least $\\frac12\\sum_i (\\alpha_i - y_i)^2$, with "
        "equality only where $q$, the direction of the single $\\alpha_K$, is a singular direction of $XR$ from both "
        "sides: there $Xq$, and with it the best $b$, is a multiple of the ones;",
        lemma("von_neumann"),
        sp.Le(fit, product, evaluate=False),
    )
    proof.lemma(
        "penalty",
        "the penalties of the factors of $X$, singular values $x_i$, are at least $\\frac p2\\tau\\sum x_i^{2/p}$,",
        lemma("product_penalty"),
        sp.Ge(energy, least, evaluate=False),
    )
    proof.lemma(
        "mean direction",
        "and this sum is at least that of $(y_1, .., y_{K-1}, y_K/\\sqrt{\\rho})$, because $X$ is square and $R$ "
        "weighs one direction by $\\sqrt{\\rho}$.",
        lemma("weighted_mean_product"),
        sp.Ge(powers, altered, evaluate=False),
    )
    y = sp.Symbol("y_K", nonnegative=True)
    last = (sp.sqrt(weight * n) - y) ** 2 / 2 + p / 2 * tau * (y / sp.sqrt(weight)) ** (2 / p)
    proof.equal(
        "the last direction",
        "So $N L$ is at least $K-1$ times the least value of $\\frac12(\\sqrt n - s)^2 + \\frac p2\\tau s^{2/p}$, plus "
        "that of the last term, which in $s_0 = y_K/\\sqrt{\\rho}$ is the same problem, its fit weighed by $\\rho$:",
        last.subs(y, sp.sqrt(weight) * s_0),
        weight / 2 * (sp.sqrt(n) - s_0) ** 2 + p / 2 * tau * s_0 ** (2 / p),
    )


def _attained(proof: Proof) -> None:
    """A symmetric point has that value."""
    proof.section("A symmetric bias attains it")
    proof.equal(
        "symmetric product",
        "$X = s(I - qq'/N) + s_0\\,qq'/N$ has these singular values, and its factors can be balanced; the best bias, "
        "$b = (A - X)q/(N(1+\\lambda_b))$, has all entries equal to",
        (sp.sqrt(n) - s_0) * sp.sqrt(n) / (N * (1 + lam_b)),
        ((1 - s_0 / sp.sqrt(n)) / (K * (1 + lam_b))).subs(K, N / n),
    )
    proof.equal(
        "a weight on the fit",
        "Dividing by $\\rho$, the mean direction is a direction with $\\tau/\\rho$ for $\\tau$;",
        (weight / 2 * (sp.sqrt(n) - s_0) ** 2 + p / 2 * tau * s_0 ** (2 / p)) / weight,
        (sp.sqrt(n) - s_0) ** 2 / 2 + p / 2 * (tau / weight) * s_0 ** (2 / p),
    )
    proof.uses(
        "direction",
        "on each the nonzero stationary point is the only global minimum where $s > (p-2)(\\sqrt n - s)$, zero where "
        "it is smaller or none exists;",
        prove("deep_linear:direction"),
    )
    proof.uses("root", "in $x^M = s/(\\sqrt n - s)$ it is the largest root.", prove("deep_linear:root"))
    proof.equal(
        "value of a direction",
        "By stationarity, $\\tau s^{2/p} = (\\sqrt n - s)s$, a direction of $s = \\kappa\\sqrt n$ costs, $p = M + 1$,",
        (sp.sqrt(n) * (1 - kappa)) ** 2 / 2 + (M + 1) / 2 * sp.sqrt(n) * (1 - kappa) * sp.sqrt(n) * kappa,
        n * (1 - kappa) * (1 + M * kappa) / 2,
    )


def theorem() -> Derivation:
    """Balanced one-hot, any depth, any bias weight: one direction problem K - 1 times, and one for the mean."""
    proof = Proof(
        "The symmetric bias is optimal at every depth",
        "Balanced one-hot targets, squared loss, $p = M+1 \\ge 2$ factors of any weights, $0 < \\lambda_b < \\infty$, "
        "width at least $K$.",
    )
    _reduction(proof)
    _bound(proof)
    _attained(proof)
    kept, kept_0 = x**M / (x**M + 1), x_0**M / (x_0**M + 1)
    rho = lam_b / (1 + lam_b)
    value = ((K - 1) * (1 - kept) * (1 + M * kept) + rho * (1 - kept_0) * (1 + M * kept_0)) / (2 * K)
    return proof.conclude(
        {
            "singular_values_centred": sp.sqrt(n) * kept,
            "singular_value_mean": sp.sqrt(n) * kept_0,
            "bias": (1 - kept_0) / (K * (1 + lam_b)),
            "value": value,
        }
    )


PROOFS: dict[str, Callable[[], Derivation]] = {"every_depth": theorem}
