"""Regression collapse: shrinkage with a free bias, in terms of the target covariance Sigma = (Y - ybar 1')(...)'/N."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.directions import DIRECTIONS, KEPT
from ufm.derivation.load import prove
from ufm.derivation.proof import equation
from ufm.derivation.regimes import gamma
from ufm.symbols import (
    COV_INVERSE_ROOT,
    COV_ROOT,
    Y_CENTRED,
    Y_MEAN,
    N,
    SoftThreshold,
    Total,
    Y,
    cov,
    d,
    lam_H,
    lam_W,
    m,
    tau,
)

c = sp.Symbol("c", positive=True)
L = sp.Symbol("L")
j, i = sp.symbols("j i", integer=True, positive=True)
W, H = sp.MatrixSymbol("W", m, d), sp.MatrixSymbol("H", d, N)
b, ybar = sp.MatrixSymbol("b", m, 1), sp.MatrixSymbol("ybar", m, 1)
ONES = sp.MatrixSymbol("𝟏_N", N, 1)
E = sp.MatrixSymbol("E", m, N)
SHRUNK = sp.MatrixSymbol("P", m, m)  # the positive part of Sigma^{1/2} - tau/sqrt(N) I
THRESHOLD = sp.sqrt(N) * sp.sqrt(lam_W * lam_H)  # tau/sqrt(N), the paper's sqrt(c)


def _letters(proof: Proof) -> None:
    proof.define("mean weight", "Let", c, sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "", tau, N * c)
    proof.define("aspect", "and", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))


def thm4_1_corrected() -> Derivation:
    """The minimisers keep the leading eigenvectors of the covariance: the positive part of Sigma^{1/2} - sqrt(c) I."""
    general = prove("shrinkage:free_bias")
    U_1, U_2 = sp.MatrixSymbol("U_1", m, j), sp.MatrixSymbol("U_2", m, i)
    S_1, S_2 = sp.MatrixSymbol("S_1", j, j), sp.MatrixSymbol("S_2", i, i)
    R_1, R_2 = sp.MatrixSymbol("R_1", j, j), sp.MatrixSymbol("R_2", i, i)  # inverses: Sigma is positive definite
    V_1, V_2 = sp.MatrixSymbol("V_1", N, j), sp.MatrixSymbol("V_2", N, i)
    proof = Proof(
        "The minimisers of multivariate regression",
        "Free bias, $\\Sigma$ positive definite, width at least $m$: $WW'$ and $WH$ of every global minimiser in terms "
        "of "
        "$\\Sigma^{1/2}$.",
    )
    _letters(proof)
    proof.section("The roots of the covariance")
    unit = {U.T * U: sp.Identity(size) for U, size in ((U_1, j), (U_2, i), (V_1, j), (V_2, i))}
    inverse = {R * S: sp.Identity(size) for R, S, size in ((R_1, S_1, j), (R_2, S_2, i))}
    inverse |= {S * R: sp.Identity(size) for R, S, size in ((R_1, S_1, j), (R_2, S_2, i))}
    orthogonal = {U_1.T * U_2: sp.ZeroMatrix(j, i), V_1.T * V_2: sp.ZeroMatrix(j, i)}
    proof.given(
        "singular value decomposition",
        "Let $S_1$ hold the singular values of the centred targets above $\\tau$, $S_2$ the others, $R_1$ and $R_2$ "
        "their "
        "inverses.",
        {Y_CENTRED: U_1 * S_1 * V_1.T + U_2 * S_2 * V_2.T, **unit, **inverse, **orthogonal},
    )
    root = (U_1 * S_1 * U_1.T + U_2 * S_2 * U_2.T) / sp.sqrt(N)
    inverse_root = sp.sqrt(N) * (U_1 * R_1 * U_1.T + U_2 * R_2 * U_2.T)
    projection = U_1 * U_1.T + U_2 * U_2.T
    proof.define("root", "Then", COV_ROOT, root)
    proof.define("inverse root", "and", COV_INVERSE_ROOT, inverse_root)
    proof.identity(
        "roots",
        "are the root of the covariance and its inverse ($U_1 U_1' + U_2 U_2'$ is the identity on the $m$ dimensions),",
        (COV_ROOT * COV_ROOT.T, Y_CENTRED * Y_CENTRED.T / N),
        (COV_INVERSE_ROOT * COV_ROOT, projection),
    )
    kept = U_1 * (S_1 - tau * sp.Identity(j))
    proof.define(
        "positive part",
        "and the positive part of $\\Sigma^{1/2} - (\\tau/\\sqrt N) I$, with $\\tau/\\sqrt N = \\sqrt{N \\lambda_W "
        "\\lambda_H}$, is",
        SHRUNK,
        kept * U_1.T / sp.sqrt(N),
    )
    proof.equal("threshold", "", tau / sp.sqrt(N), THRESHOLD)
    proof.section("The minimisers")
    proof.uses(
        "shrunk targets",
        "By the theorem on shrinkage with a free bias every minimiser has $b = \\bar y$, the product $WH = U_1 (S_1 - "
        "\\tau) V_1'$ and $WW' = U_1 (S_1 - \\tau) U_1'/\\gamma^2$.",
        general,
    )
    proof.identity(
        "in terms of the covariance",
        "In terms of the covariance these are",
        (kept * U_1.T / gamma**2, sp.sqrt(N) / gamma**2 * SHRUNK),
        (kept * V_1.T, SHRUNK * COV_INVERSE_ROOT * Y_CENTRED),
    )
    part = SoftThreshold(COV_ROOT, THRESHOLD)
    formulae = {
        "classifier_gram": sp.sqrt(N * lam_H / lam_W) * part,
        "logits": Y_MEAN + part * COV_INVERSE_ROOT * Y_CENTRED,
    }
    proof.equal("scale", "with", sp.sqrt(N) / gamma**2, sp.sqrt(N * lam_H / lam_W))
    return proof.conclude(formulae, {"bias_gap": general.claims["bias_gap"]}, DIRECTIONS)


def thm4_1_null() -> Derivation:
    """Where tau exceeds every singular value, W = 0, H = 0 and b = ybar."""
    T, R = sp.MatrixSymbol("T", m, m), sp.MatrixSymbol("R", m, m)
    Z_1, Z_2, Z_3 = sp.MatrixSymbol("Z_1", m, N), sp.MatrixSymbol("Z_2", d, N), sp.MatrixSymbol("Z_3", m, d)
    proof = Proof(
        "Only the bias is left", "Free bias, any targets, no singular value of the centred targets is $\\tau$ or more."
    )
    proof.section("The loss")
    loss = norm2(W * H + b * ONES.T - Y) / (2 * N) + (lam_W * norm2(W) + lam_H * norm2(H)) / 2
    proof.define("loss", "The loss of the unconstrained-features model:", L, loss)
    _letters(proof)
    proof.given(
        "targets",
        "The centred targets $E$ have singular values below $\\tau$, so that $T$ exists, and has an inverse $R$:",
        {
            Y: ybar * ONES.T + E,
            E * ONES: sp.ZeroMatrix(m, 1),
            ONES.T * ONES: N * sp.Identity(1),
            T * T.T: tau**2 * sp.Identity(m) - E * E.T,
            R * T.T: sp.Identity(m),
        },
    )
    proof.section("The minimum")
    vanishing = proof.squares(
        "sum of squares",
        "The loss is a constant, attained at $(0, 0, \\bar y)$, plus squares.",
        N * L,
        norm2(E) / 2,
        [
            (sp.Rational(1, 2), W * H + b * ONES.T - ybar * ONES.T),
            (N * lam_H / 2, H - W.T * E / (N * lam_H)),
            (1 / (2 * N * lam_H), T.T * W),
        ],
    )
    proof.identity(
        "attained",
        "",
        (N * L, norm2(E) / 2),
        where={W: sp.ZeroMatrix(m, d), H: sp.ZeroMatrix(d, N), b: ybar},
    )
    zero = dict(zip((Z_1, Z_2, Z_3), vanishing, strict=True))
    classifier: Any = 2 * N * lam_H * R * Z_3
    features = 2 / (N * lam_H) * Z_2 + classifier.T * E / (N * lam_H)
    proof.follows("classifier", "At a minimum all vanish. So", W, sp.ZeroMatrix(m, d), zero, classifier)
    proof.follows("features", "then", H, sp.ZeroMatrix(d, N), zero, features)
    offset = (2 * Z_1 * ONES - W * features * ONES) / N
    proof.follows("bias", "and", b, ybar, zero, offset)
    claims = {
        "classifier_gram": equation(W, sp.ZeroMatrix(m, d)),
        "gram": equation(H, sp.ZeroMatrix(d, N)),
        "bias_gap": equation(b, ybar),
    }
    return proof.conclude(claims=claims)


def thm4_1_saddles() -> Derivation:
    """The global value, and that no other critical point is a local minimum."""
    landscape = prove("shrinkage:strict_saddles_free")
    general = prove("shrinkage:free_bias")
    proof = Proof(
        "Strict saddles",
        "Any targets, width at least $m$: a critical point has the global value or is a strict saddle.",
    )
    proof.uses("value", "The theorem on shrinkage with a free bias gives the global value;", general)
    proof.uses("landscape", "for any targets, any other critical point is a strict saddle.", landscape)
    return proof.conclude({"value": general.formulae["value"]}, dict(landscape.claims), DIRECTIONS)


def lemma_d1() -> Derivation:
    """Shrinkage with a free bias is the lemma, in our weights."""
    return prove("shrinkage:free_bias")


def cor4_2() -> Derivation:
    """All singular values above tau: the five claims of the corollary."""
    general, balance = prove("shrinkage:free_bias"), prove("foundations:balance")
    U, S, R = (sp.MatrixSymbol(name, m, m) for name in ("U", "S", "R"))
    V = sp.MatrixSymbol("V", N, m)
    one = sp.Identity(m)
    proof = Proof(
        "Regression collapse",
        "Free bias, width at least $m$, every singular value of the centred targets above $\\tau$, that is "
        "$N \\lambda_W \\lambda_H < \\lambda_{min}(\\Sigma)$.",
    )
    _letters(proof)
    proof.section("The roots of the covariance")
    proof.given(
        "singular value decomposition",
        "All singular values of the centred targets are kept; $R$ is the inverse of $S$.",
        {Y_CENTRED: U * S * V.T, U.T * U: one, U * U.T: one, V.T * V: one, R * S: one, S * R: one},
    )
    proof.define("root", "Then", COV_ROOT, U * S * U.T / sp.sqrt(N))
    proof.define("inverse root", "and", COV_INVERSE_ROOT, sp.sqrt(N) * U * R * U.T)
    proof.identity(
        "roots",
        "are the root of the covariance and its inverse:",
        (COV_ROOT * COV_ROOT.T, Y_CENTRED * Y_CENTRED.T / N),
        (COV_INVERSE_ROOT * COV_ROOT, one),
    )
    proof.section("The minimisers")
    proof.uses(
        "shrunk targets",
        "By the theorem on shrinkage with a free bias every minimiser has $b = \\bar y$, $WH = U (S - \\tau) V'$, "
        "$WW' = U (S - \\tau) U'/\\gamma^2$ and $H = W'E/(N \\lambda_H)$.",
        general,
    )
    shift = tau / sp.sqrt(N)
    proof.equal("shift", "In the paper's letters $\\sqrt c$ is", shift, THRESHOLD)
    proof.identity(
        "classifier",
        "The classifier's Gram matrix is",
        (U * (S - tau * one) * U.T / gamma**2, sp.sqrt(N) / gamma**2 * (COV_ROOT - shift * one)),
    )
    proof.identity(
        "residual",
        "and $W H - (Y - \\bar Y)$ is",
        (U * (S - tau * one) * V.T - Y_CENTRED, -shift * COV_INVERSE_ROOT * Y_CENTRED),
    )
    proof.equal("scale", "Here", sp.sqrt(N) / gamma**2, sp.sqrt(N * lam_H / lam_W))
    proof.uses(
        "balance",
        "Balance, $\\lambda_W W'W = \\lambda_H H H'$, has equal traces: $\\lVert H\\rVert^2/\\lVert W\\rVert^2 = "
        "\\lambda_W/\\lambda_H$.",
        balance,
    )
    formulae = {
        "classifier_gram": sp.sqrt(N * lam_H / lam_W) * (COV_ROOT - THRESHOLD * one),
        "logits": Y - THRESHOLD * COV_INVERSE_ROOT * Y_CENTRED,
        "energy_ratio": lam_W / lam_H,
        "value": general.formulae["value"],
    }
    claims = {"outside_rows": equation(H, W.T * E / (N * lam_H))}
    return proof.conclude(formulae, claims, (KEPT,))


def thm4_3() -> Derivation:
    """Without regularisation every full-rank W is part of a minimiser, with any features outside its rows."""
    inverse = sp.MatrixSymbol("W^+", d, m)
    free = sp.MatrixSymbol("Z", d, N)
    Z_1 = sp.MatrixSymbol("Z_1", m, N)
    loss = norm2(W * H - Y) / (2 * N)
    proof = Proof("No regularisation", "No bias, $Y$ of full row rank, $d \\ge m$.")
    proof.define("loss", "The loss is a square,", L, loss)
    vanishing = proof.squares("minimum", "so that its minimum is zero", L, sp.S.Zero, [(1 / (2 * N), W * H - Y)])
    zero = {Z_1: vanishing[0]}
    proof.follows("product", "and every minimiser has", W * H, Y, zero, 2 * N * Z_1)
    proof.given(
        "full rank",
        "As $Y$ has full row rank, so has $W$, and $W^+$ is a right inverse.",
        {W * inverse: sp.Identity(m)},
    )
    rest = sp.Identity(d) - inverse * W
    proof.follows("features", "So its features are of the form", H, inverse * Y + rest * H, zero, 2 * N * inverse * Z_1)
    proof.identity(
        "all of them", "and all of that form are minimisers, with any $Z$.", (W * (inverse * Y + rest * free), Y)
    )
    return proof.conclude({"value": sp.S.Zero, "logits": Y}, {"no collapse": "Z is arbitrary"}, DIRECTIONS)


def thmF_1() -> Derivation:
    """A sum of squares in the shift: m (x - x*)^2 plus a constant."""
    P, R = sp.MatrixSymbol("P", m, m), sp.MatrixSymbol("R", m, m)
    x, gap = sp.Symbol("x", nonnegative=True), sp.Symbol("theta", positive=True)
    corollary = prove("andriopoulos2024:cor4_2_classifier")
    proof = Proof(
        "The shift",
        "For any $P = WW'$ and $R = \\Sigma^{1/2}$ with $\\theta = \\mathrm{tr} R - \\mathrm{tr} P > 0$: "
        "$\\lVert P - R + x I \\rVert^2$ has its only minimum over $x \\ge 0$ at $\\theta/m$.",
    )
    one = sp.Identity(m)
    distance: Any = norm2(P - R + x * one)
    proof.identity(
        "distance",
        "The distance is a parabola in $x$,",
        (distance, norm2(P - R) - 2 * x * sp.Trace(R - P) + m * x**2),
    )
    proof.equal(
        "vertex",
        "whose vertex is at $\\theta/m$, the only minimum, and positive.",
        -2 * x * gap + m * x**2,
        m * (x - gap / m) ** 2 - gap**2 / m,
    )
    proof.uses("classifier", "At the minimisers of Corollary 4.2 $WW'$ is known, and the traces are sums.", corollary)
    shifted = sp.sqrt(N * lam_H / lam_W) * (sp.sqrt(cov) - THRESHOLD)
    return proof.conclude({"isotropic_shift": Total(sp.sqrt(cov) - shifted) / m}, {}, (KEPT,))


PROOFS: dict[str, Callable[[], Derivation]] = {
    "thm4_1_corrected": thm4_1_corrected,
    "thm4_1_null": thm4_1_null,
    "thm4_1_saddles": thm4_1_saddles,
    **{f"cor4_2_{name}": cor4_2 for name in ("rows", "classifier", "energy", "value", "residual")},
    "lemma_d1_product": lemma_d1,
    "lemma_d1_value_corrected": lemma_d1,
    "thm4_3": thm4_3,
    "thmF_1": thmF_1,
}
