"""Squared loss, p factors (p a letter), any widths of at least the rank: the carried steps to every global minimiser.

The layers are minimised out, von Neumann's inequality aligns the product with the targets, and one scalar problem a
direction is left. A penalised bias is carried where the mean direction, its fit weighed by rho, is the least one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine import roots
from ufm.derivation.engine.direction import at_stationarity, e, one_direction, p, s, share, sigma
from ufm.derivation.engine.shallow import (
    BIAS,
    H_Q,
    ONES,
    A,
    Bias,
    H,
    H_perp,
    X,
    Y,
    b,
    bias_term,
    q,
    r,
    split_features,
)
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import Proof, equation
from ufm.derivation.words import SquaredNorm as norm2
from ufm.symbols import N, d, lam_b, lam_H, m, rho, sigma_0, tau

Lam = sp.Symbol("Lambda", positive=True)
Pi = sp.Symbol("Pi_W", positive=True)  # the product of the weights of all layers
lam_l, lam_k = sp.symbols("lambda_l lambda_k", positive=True)  # of a layer and of the one before it
lam_top = sp.Symbol("lambda_M", positive=True)  # of the last layer

P = sp.MatrixSymbol("P", m, d)  # the product of all layers
LAYER, BEFORE, LOWER = sp.MatrixSymbol("W_l", d, d), sp.MatrixSymbol("W_k", d, d), sp.MatrixSymbol("R", d, r)
INPUTS, OUTPUTS = sp.MatrixSymbol("S", d, r), sp.MatrixSymbol("T", d, r)
FIRST, F = sp.MatrixSymbol("W_1", d, d), sp.MatrixSymbol("F", d, r)  # F = H_Q, without its meaning


@cache
def deep(bias: Bias) -> Derivation:
    """Every global minimiser of a deep linear model: one scalar problem a direction, and balanced factors."""
    proof = Proof(
        "The directions of a deep linear model",
        f"Squared loss, $p \\ge 2$ factors of any positive weights, {BIAS[bias]}, "
        + ("the mean direction a singular direction of the targets and, its fit weighed by $\\rho$, the least one, "
           if bias == "penalised" else "any targets, ")
        + "widths of at least the rank: every global minimiser shares the singular vectors of the targets.",
    )  # fmt: skip
    _letters(proof, "$L$ is $\\frac1{2N}$ of the squared distance of $W_M\\cdots W_1 H + b\\mathbf{1}'$ to $Y$, plus ")
    _reduce(proof, bias)
    _layers_minimised_out(proof)
    _decouple(proof, bias)
    one_direction(proof)
    if bias == "penalised":
        _mean_direction(proof)
    _geometry(proof)
    return _closed_forms(proof, bias)


@cache
def factors() -> Derivation:
    """Any loss: what a product costs at least, and that balanced factors of it cost no more."""
    proof = Proof(
        "The factors of a product",
        "$p$ factors of any positive weights, widths of at least the rank: the least penalty of a product of singular "
        "values $s_i$ is $\\frac p2\\Lambda\\sum_i s_i^{2/p}$, that of balanced factors, as every critical "
        "point has them.",
    )
    _letters(proof, "$L$ is any fit of $W_M\\cdots W_1 H + b\\mathbf{1}'$, plus ")
    _layers_minimised_out(proof)
    _geometry(proof)
    return proof.conclude(claims={"balance": prove("foundations:balance").claims["balance"]})


def _letters(proof: Proof, fit: str) -> None:
    """The weights of all factors as one; fit: the words for the rest of the loss."""
    proof.section("The loss")
    proof.define(
        "mean weight",
        fit + "half the squared norms with their weights, $M = p-1$. "
        "With $\\Pi_W = \\prod_l\\lambda_{W_l}$ the mean weight of all $p$ factors is",
        Lam,
        (Pi * lam_H) ** (1 / p),
    )
    proof.define("shrinkage", "and the shrinkage", tau, N * Lam)


def _reduce(proof: Proof, bias: Bias) -> None:
    split_features(proof, bias)
    half = sp.Rational(1, 2)
    proof.squares(
        "the loss splits",
        "With $P$ for the product of the layers, fit and penalty of the features fall into those of the reduced "
        "features and those of the rest. As $\\lambda_H > 0$, a minimum has $H_{\\perp} = 0$: samples with one target "
        "have one feature.",
        norm2(P * H + bias_term(bias, ONES) - Y) / 2 + N * lam_H / 2 * norm2(H),
        norm2(P * H_Q + bias_term(bias, q) - A) / 2 + N * lam_H / 2 * norm2(H_Q),
        [(half, P * H_perp), (N * lam_H / 2, H_perp)],
    )


def _layers_minimised_out(proof: Proof) -> None:
    """Of all factors with the product X the balanced ones are cheapest, at (p/2) tau sum s_i^(2/p)."""
    energy, least = sp.Symbol("energy"), sp.Symbol("least_energy")
    one, size = sp.symbols("lambda a", positive=True)
    proof.section("Reduce the layers")
    proof.lemma(
        "penalty",
        "Let $X = W_M\\cdots W_1 H_Q$ have the singular values $s_i$. Each factor divided by the root of its "
        "weight over $\\Lambda$, the penalties are $\\Lambda$ times an energy whose least value is known,",
        lemma("product_penalty"),
        sp.Ge(energy, least, evaluate=False),
    )
    proof.equal(
        "rescaled factors",
        "the rescaling keeps the product: the rescaling factors $\\sqrt{\\lambda_l/\\Lambda}$ multiply to one.",
        Pi * lam_H / Lam**p,
        sp.S.One,
    )
    proof.equal(
        "attained",
        "Factors with the singular values $a_l$, $\\lambda_l a_l^2 = \\Lambda s^{2/p}$, attain it: their product "
        "is $s$.",
        (Lam * s ** (2 / p)) ** p / (Pi * lam_H),
        s**2,
    )
    proof.equal(
        "their penalty",
        "and each of the $p$ costs the same.",
        N * p * (one * size**2 / 2).subs(size, sp.sqrt(Lam * s ** (2 / p) / one)),
        p / 2 * tau * s ** (2 / p),
    )


def _decouple(proof: Proof, bias: Bias) -> None:
    """Fit and penalty are at least sums over the singular values, with equality for shared singular vectors."""
    proof.section("Decouple")
    if bias == "free":
        _centre_the_bias(proof)
    if bias == "penalised":
        _weigh_the_mean(proof)
        return
    aligned, product = sp.Symbol("tr X'A"), sp.Symbol("sum s_i sigma_i", positive=True)
    centred = " of the centred targets" if bias == "free" else " of the targets"
    start = "With $A$ for the centred targets the fit is" if bias == "free" else "The fit is"
    proof.identity("fit", start, (norm2(X - A), norm2(X) + norm2(A) - 2 * sp.Trace(X.T * A)))
    proof.lemma(
        "aligned",
        f"Let $\\sigma_i$ be the singular values{centred}. The last term is largest where $X$ shares their singular "
        "vectors, and only there, so that $N L \\ge \\sum_i [\\frac12(\\sigma_i - s_i)^2 + \\frac p2\\,\\tau\\,"
        "s_i^{2/p}]$: one problem a direction, and its minimum is attained.",
        lemma("von_neumann"),
        sp.Le(aligned, product, evaluate=False),
    )


def _centre_the_bias(proof: Proof) -> None:
    """A free bias is the mean target, and the features are centred."""
    C: Any = sp.Identity(r) - q * q.T / N
    proof.identity(
        "the bias",
        "the fit is a centred one plus a square that the bias makes zero,",
        (norm2(P * H_Q + b * q.T - A), norm2((P * H_Q - A) * C) + N * norm2((P * H_Q - A) * q / N + b)),
    )
    proof.identity(
        "the features",
        "the centred fit sees $H_QC$ alone, and the rest of $H_Q$ only costs: at a minimum $H_Q = H_QC$, and "
        "$b = \\bar y$. What is left has no bias and centred targets.",
        (norm2(H_Q), norm2(H_Q * C) + norm2(H_Q * q) / N),
    )


def _weigh_the_mean(proof: Proof) -> None:
    """The bias minimised out weighs the mean direction by rho; no asymmetric product does better."""
    C: Any = sp.Identity(r) - q * q.T / N
    mean: Any = q * q.T / N
    vanishing = b - (A - X) * q / (N * (1 + lam_b))
    keeps = lam_b / (1 + lam_b)
    proof.identity(
        "the bias",
        "For any product $X$ the best bias makes the last square vanish; the mean direction keeps the weight "
        "$\\rho = \\lambda_b/(1+\\lambda_b)$:",
        (
            norm2(X + b * q.T - A) + N * lam_b * norm2(b),
            norm2((X - A) * C) + keeps * norm2((X - A) * q) / N + N * (1 + lam_b) * norm2(vanishing),
        ),
    )
    proof.identity(
        "one weighted matrix",
        "With $R = I - (1 - \\sqrt{\\rho})\\,qq'/N$ that is the fit of $XR$ to $AR$,",
        (norm2((X - A) * (C + sp.sqrt(rho) * mean)), norm2((X - A) * C) + rho * norm2((X - A) * q) / N),
    )
    fit, product = sp.Symbol("tr (X R)'(A R)"), sp.Symbol("sum y_i alpha_i")
    powers, altered = sp.Symbol("sum s_i^(2/p)"), sp.Symbol("sum of altered y_i^(2/p)")
    proof.lemma(
        "aligned",
        "Let $y_i$ be the singular values of $XR$ and $\\alpha_i$ those of $AR$, the last of them "
        "$\\sqrt{\\rho}\\,\\sigma_0$ of the mean direction, by assumption the least. The fit is at least "
        "$\\frac12\\sum_i (\\alpha_i - y_i)^2$, with equality only where $XR$ shares the singular vectors of $AR$: "
        "there the mean direction is one of $X$ from both sides, and the best $b$ lies along the mean target;",
        lemma("von_neumann"),
        sp.Le(fit, product, evaluate=False),
    )
    proof.lemma(
        "mean direction",
        "and the sum of $s_i^{2/p}$ is at least that of $(y_1, y_2, .., y_r/\\sqrt{\\rho})$, because $X$ can be "
        "filled up to a square matrix and $R$ weighs one direction by $\\sqrt{\\rho}$.",
        lemma("weighted_mean_product"),
        sp.Ge(powers, altered, evaluate=False),
    )
    y, s_0 = sp.Symbol("y_r", nonnegative=True), sp.Symbol("s_0", nonnegative=True)
    last = (sp.sqrt(rho) * sigma_0 - y) ** 2 / 2 + p / 2 * tau * (y / sp.sqrt(rho)) ** (2 / p)
    proof.equal(
        "the last direction",
        "So $N L$ is at least a sum of one problem a direction, $\\frac12(\\sigma_i - s_i)^2 + \\frac p2\\,\\tau\\,"
        "s_i^{2/p}$, and of the last term, which in $s_0 = y_r/\\sqrt{\\rho}$ is the same problem, its fit weighed by "
        "$\\rho$. A product that shares the singular vectors of the targets attains it:",
        last.subs(y, sp.sqrt(rho) * s_0),
        rho / 2 * (sigma_0 - s_0) ** 2 + p / 2 * tau * s_0 ** (2 / p),
    )


def _mean_direction(proof: Proof) -> None:
    """The same scalar problem with tau/rho for tau, and the bias it leaves."""
    s_0 = sp.Symbol("s_0", nonnegative=True)
    whole = rho / 2 * (sigma_0 - s_0) ** 2 + p / 2 * tau * s_0 ** (2 / p)
    proof.section("The mean direction")
    proof.equal(
        "a weight on the fit",
        "Dividing by $\\rho$, the mean direction is a direction with $\\tau/\\rho$ for $\\tau$;",
        whole / rho,
        (sigma_0 - s_0) ** 2 / 2 + p / 2 * (tau / rho) * s_0 ** (2 / p),
    )
    proof.equal(
        "length of the bias",
        "and the best bias, $b = (A-X)q/(N(1+\\lambda_b))$, is along the mean target with the length, at a residual "
        "$e_0 = \\sigma_0 - s_0$, of $e_0/(\\sqrt N(1+\\lambda_b))$; so $N\\lambda_b\\lVert b\\rVert$ is",
        N * lam_b * (e * sp.sqrt(N) / (N * (1 + lam_b))),
        sp.sqrt(N) * rho * e,
        where={rho: lam_b / (1 + lam_b)},
    )


def _geometry(proof: Proof) -> None:
    """Balanced factors have Gram matrices that are powers of those of the product."""
    proof.section("Geometry")
    proof.uses(
        "balance",
        "Every critical point has balanced factors. Write $F$ for $H_Q$, and $k = l-1$: "
        "$\\lambda_l W_l'W_l = \\lambda_k W_kW_k'$, and for the first layer, with $F$ below it, "
        "$\\lambda_l W_1'W_1 = \\lambda_H FF'$.",
        prove("foundations:balance"),
    )
    proof.given("first balance", "", {FIRST.T * FIRST: lam_H / lam_l * F * F.T}, shown=False)
    proof.identity("first layer", "So the first layer has", (FIRST.T * FIRST * F, lam_H / lam_l * F * F.T * F))
    gram: Any = F.T * F
    balanced = {
        LAYER.T * LAYER: lam_k / lam_l * BEFORE * BEFORE.T,
        BEFORE.T * BEFORE * LOWER: lam_H / lam_k * LOWER * gram,
    }
    proof.given("one layer further", "", balanced, shown=False)
    proof.identity(
        "from layer to layer",
        "and if $W_k'W_kR = \\frac{\\lambda_H}{\\lambda_k}\\,RF'F$ for the inputs $R$ of layer $k$, then layer $l$ "
        "has the same for its inputs $W_kR$:",
        (LAYER.T * LAYER * BEFORE * LOWER, lam_H / lam_l * BEFORE * LOWER * gram),
    )
    proof.given("outputs", "", {LAYER.T * OUTPUTS: lam_H / lam_l * INPUTS * gram}, shown=False)
    proof.identity(
        "a factor a layer",
        "By induction it holds in every layer, and with inputs $S$ and outputs $T = W_lS$ the Gram matrix "
        "$T'T = S'W_l'T$ gains a factor $F'F$:",
        (INPUTS.T * LAYER.T * OUTPUTS, lam_H / lam_l * INPUTS.T * INPUTS * gram),
    )
    proof.equal(
        "power of the features",
        "Hence $X'X = \\prod_l\\frac{\\lambda_H}{\\lambda_l}\\, (F'F)^p = (\\lambda_H/\\Lambda)^p (F'F)^p$, "
        "whose root is unique: $F'F = \\frac{\\Lambda}{\\lambda_H}\\,(X'X)^{1/p}$. Indeed",
        lam_H ** (p - 1) / Pi,
        (lam_H / Lam) ** p,
    )
    proof.equal(
        "power of the layers",
        "Transposed, from the last layer ($\\lambda_M$) down, $W_MW_M' = \\frac{\\Lambda}{\\lambda_M}\\,(XX')^{1/p}$, "
        "and the product $P$ of all layers has $PP' = \\frac{\\lambda_M^{p-1}}{\\Pi_W}\\,(W_MW_M')^{p-1} = "
        "\\frac{\\lambda_H}{\\Lambda}\\,(XX')^{1-1/p}$, as",
        lam_top ** (p - 1) / Pi * (Lam / lam_top) ** (p - 1),
        lam_H / Lam,
    )


def _closed_forms(proof: Proof, bias: Bias) -> Derivation:
    """Each observable of one direction in its share kappa: of X, H_Q'H_Q, PP', and of N times the minimum."""
    proof.section("The closed form of a direction")
    kept, left = share * sigma, (1 - share) * sigma
    at = at_stationarity(kept, left)  # tau, times 1/rho on the mean direction
    proof.equal(
        "features",
        "At the stationary point $\\Lambda s^{2/p} = se/N$, so that on a direction with the share $\\kappa$ the "
        "eigenvalue of $H_Q'H_Q$ is (here and below 0 where the direction is lost)",
        at / N * kept ** (2 / p) / lam_H,
        sigma**2 * share * (1 - share) / (N * lam_H),
    )
    proof.equal(
        "classifier",
        "that of $PP'$ is",
        lam_H * N / at * kept ** (2 - 2 / p),
        N * lam_H * share / (1 - share),
    )
    proof.equal(
        "value of a direction",
        "and the part of $N$ times the minimum is (with $\\kappa = 0$ that of zero)",
        left**2 / 2 + p / 2 * at * kept ** (2 / p),
        sigma**2 * (1 - share) * (1 + (p - 1) * share) / 2,
    )
    formulae = {
        "relative": tau / sigma ** (2 - 2 / p),
        "coexistence": roots.coexistence(p),
        "spinodal": roots.spinodal(p),
        "shrunk": sigma * share,
        "features": sigma**2 * share * (1 - share) / (N * lam_H),
        "classifier": N * lam_H * share / (1 - share),
        "part": sigma**2 * (1 - share) * (1 + (p - 1) * share) / 2,
    }
    if bias == "penalised":
        proof.equal(
            "features of the mean",
            "On the mean direction $\\tau/\\rho$ takes the place of $\\tau$: the eigenvalues are $\\rho$ times and "
            "$1/\\rho$ times these, and the part of the minimum $\\rho$ times:",
            rho * at / N * kept ** (2 / p) / lam_H,
            rho * formulae["features"],
        )
    claims: dict[str, Any] = {"balance": prove("foundations:balance").claims["balance"]}
    if bias == "free":
        claims["bias_gap"] = equation(b, A * q / N)
    claims["uniqueness"] = "away from coexistence every global minimum has the same X, b, H_Q'H_Q and PP'"
    return proof.conclude(formulae, claims)
