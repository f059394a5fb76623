"""Why non-negative features are orthogonal under cross-entropy: inner products that may not be negative help nobody.

The loss is taken at its tangent, the classifier is minimised out by a square, and what is left is one square a class.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.exchangeable import CENTRED, ONES, ONES_RULE
from ufm.derivation.load import lemma, prove
from ufm.derivation.regimes import Regime, gamma, kappa, t, v
from ufm.symbols import K, N, Total, d, delta_kl, lam_H, lam_W, n_k, n_l

W, G = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("G", d, K)
m = sp.Symbol("m", real=True)
x, c_k = sp.symbols("x c_k", positive=True)
_total: Any = Total
_MEAN = sp.sqrt((K - 1) / K)
_RATIO = sp.sqrt(n_k) / (N * _MEAN * sp.sqrt(lam_W * lam_H))
_ALIVE = N * sp.sqrt(lam_W * lam_H) / sp.sqrt(n_k) < _MEAN
MARGIN = sp.Piecewise((sp.log((K - 1) * (_RATIO - 1)), _ALIVE), (sp.S.Zero, True))


def _class(name: str, condition: str, factor: Any) -> Regime:
    """sqrt(n_k) is `factor` times the threshold N sqrt(K/(K-1) lam_W lam_H)."""
    size = kappa + 2
    count = (factor * N * t) ** 2 * size / (size - 1)
    return Regime(
        name,
        condition,
        MappingProxyType({K: size, lam_W: gamma**2 * t, lam_H: t / gamma**2, n_k: count, n_l: count}),
    )


ALIVE = _class("alive", r"n_k > N^2\frac K{K-1}\lambda_W\lambda_H", 1 + v)
AT = _class("at the threshold", r"n_k = N^2\frac K{K-1}\lambda_W\lambda_H", sp.S.One)
LOST = _class("lost", r"n_k < N^2\frac K{K-1}\lambda_W\lambda_H", 1 / (1 + v))


def _fit(proof: Proof) -> None:
    proof.section("The fit")
    proof.uses(
        "collapse",
        "Features of one class may be taken equal: their mean, non-negative too, has no larger fit and a smaller "
        "penalty.",
        prove("hong2023:nc1"),
    )
    proof.lemma(
        "mean margin",
        "The loss of a class is at least $\\ell(m_k) = \\log(1+(K-1)e^{-m_k})$, $m_k$ its mean margin over the other "
        "classes, with equality where all its margins are equal: the mean of exponentials is at least the "
        "exponential of "
        "the mean.",
        lemma("weighted_means"),
        sp.Ge(sp.Symbol("CE_k"), sp.Symbol("ell(m_k)"), evaluate=False),
    )
    slope = -(K - 1) / (sp.exp(m) + K - 1)
    loss = sp.log(1 + (K - 1) * sp.exp(-m))
    proof.equal("slope", "The slope of $\\ell$ is", sp.diff(loss, m), slope)
    proof.equal(
        "convexity",
        "and $\\ell$ is convex, so that it lies above its tangent: $\\ell(m) \\ge \\ell(M_k) + \\ell'(M_k)(m-M_k)$.",
        sp.diff(slope, m),
        (K - 1) * sp.exp(m) / (sp.exp(m) + K - 1) ** 2,
    )


def _quadratic(proof: Proof) -> None:
    proof.section("The rest is a sum of squares")
    width = K / ((K - 1) * lam_W)
    proof.given("ones", "", ONES_RULE, shown=False)
    linear = K / (K - 1) * sp.Trace(CENTRED * W * G)
    proof.identity(
        "the classifier",
        "With $c_k = -\\frac{n_k}N\\ell'(M_k) > 0$ and the columns $c_kh_k$ of $G$, $\\sum_kc_km_k = \\frac K{K-1}"
        "\\mathrm{tr}\\,(I-\\frac1K11')WG$. The square in $W$ is completed by",
        (
            lam_W / 2 * norm2(W) - linear,
            lam_W / 2 * norm2(W - width * CENTRED * G.T) - lam_W * width**2 / 2 * norm2(G * CENTRED),
        ),
    )
    proof.identity(
        "inner products",
        "and $\\lVert G1\\rVert^2 = \\lVert G\\rVert^2 + \\sum_{k\\ne l}c_kc_lh_k'h_l \\ge \\lVert G\\rVert^2$, as "
        "no inner "
        "product of non-negative features is negative; so $\\lVert G(I-\\frac1K11')\\rVert^2 \\le (1-\\frac1K)\\lVert "
        "G\\rVert^2$, with equality where features of different kept classes are orthogonal:",
        (norm2(G * CENTRED), norm2(G) - norm2(G * ONES) / K),
    )
    proof.equal(
        "one square a class",
        "What is left is $\\frac12(\\lambda_Hn_k-\\frac K{(K-1)\\lambda_W}c_k^2)\\lVert h_k\\rVert^2$ a class,",
        lam_W * width**2 * (1 - 1 / K),
        K / ((K - 1) * lam_W),
    )
    bound = _MEAN * sp.sqrt(lam_W * lam_H) * sp.sqrt(n_k)
    proof.equal(
        "kept classes",
        "which vanishes at $c_k = \\sqrt{\\frac{K-1}K\\lambda_W\\lambda_Hn_k}$,",
        lam_H * n_k - K / ((K - 1) * lam_W) * bound**2,
        sp.S.Zero,
    )
    odds = 1 / (x - 1)  # (K-1) e^{-M} for e^M = (K-1)(x-1)
    proof.equal(
        "the margin",
        "that is, at $M_k = \\log((K-1)(x-1))$ with $x = n_k/(Nc_k)$, where $-\\ell'(M_k)$ is",
        odds / (1 + odds),
        1 / x,
    )
    proof.equal("the printed bracket", "and $x$ is", n_k / (N * bound), _RATIO)
    proof.equal(
        "alive",
        "It is positive where $x > K/(K-1)$, which is the printed condition;",
        _MEAN * K / (K - 1) * _MEAN,
        sp.S.One,
    )
    proof.sign(
        "lost classes",
        "otherwise take $M_k = 0$, $c_k = \\frac{n_k}N\\frac{K-1}K$: the square's factor is not negative, and its "
        "class at "
        "the origin.",
        sp.Ge(lam_H * n_k, K / ((K - 1) * lam_W) * (n_k / N * (K - 1) / K) ** 2, evaluate=False),
        regime=LOST,
    )


def _lengths(proof: Proof) -> None:
    proof.section("Lengths")
    bound = _MEAN * sp.sqrt(lam_W * lam_H) * sp.sqrt(n_k)
    width = K / ((K - 1) * lam_W)
    proof.equal(
        "features",
        "At a minimum $W = \\frac K{(K-1)\\lambda_W}(I-\\frac1K11')G'$, the margin of a class is "
        "$\\frac K{(K-1)\\lambda_W}c_k\\lVert h_k\\rVert^2 = M_k$, and $\\lVert h_k\\rVert^2$ is $M_k$ times",
        1 / (width * bound),
        _MEAN * sp.sqrt(lam_W / lam_H) / sp.sqrt(n_k),
    )
    proof.equal(
        "classifier",
        "With $q_k = n_k\\lVert h_k\\rVert^2$ a row of $W$ has the squared length $\\frac{\\lambda_H}{\\lambda_WK(K-1)}"
        "(K(K-2)q_k+\\sum_mq_m)$, the factor of both being",
        width**2 * bound**2 / n_k / K**2,
        lam_H / lam_W / (K * (K - 1)),
    )


def thm1() -> Derivation:
    """All minimisers have orthogonal features with the printed lengths."""
    proof = Proof(
        "Orthogonal features",
        "One-hot labels, cross-entropy, $H \\ge 0$, no bias, $d \\ge K$: attained where the kept features are "
        "orthogonal.",
    )
    _fit(proof)
    _quadratic(proof)
    _lengths(proof)
    length2 = _MEAN * sp.sqrt(lam_W / lam_H) / sp.sqrt(n_k) * MARGIN
    energy = n_k * length2
    row2 = lam_H / lam_W / (K * (K - 1)) * (K * (K - 2) * energy + _total(energy))
    formulae = {
        "gram": length2 * delta_kl,
        "classifier_norm": sp.sqrt(row2),
        "logits": (delta_kl - 1 / K) * MARGIN.xreplace({n_k: n_l}),
    }
    return proof.conclude(formulae, {}, (ALIVE, AT, LOST))


def cor4() -> Derivation:
    """A class that is not alive is at the origin."""
    general = prove("dang2024:thm1")
    proof = Proof("Lost classes", "One-hot labels, cross-entropy, $H \\ge 0$, no bias, $d \\ge K$.")
    proof.uses("lengths", "The theorem gives a class that is not alive the length zero,", general)
    proof.equal("margin (lost)", "its margin being zero.", MARGIN, sp.S.Zero, regime=LOST)
    proof.equal("margin (threshold)", "At the threshold too:", MARGIN, sp.S.Zero, regime=AT)
    return proof.conclude({"class_mean_norm": sp.S.Zero}, {}, (AT, LOST))


PROOFS: dict[str, Callable[[], Derivation]] = {"thm1": thm1, "cor4": cor4}
