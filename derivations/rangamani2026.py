"""Deep regression collapse: how much of the features lies outside the rows of the targets."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.regimes import Regime
from ufm.symbols import N, d

t = sp.Symbol("t", integer=True, positive=True)
e1, e2 = sp.symbols("epsilon_1 epsilon_2", nonnegative=True)
OUTSIDE = sp.Symbol("outside_targets", nonnegative=True)
H, A = sp.MatrixSymbol("H", d, N), sp.MatrixSymbol("A", d, t)
P, Q = sp.MatrixSymbol("P", N, N), sp.MatrixSymbol("Q", N, N)
G = sp.MatrixSymbol("G", N, N)
g, T = sp.symbols("g T", nonnegative=True)
u1, u2, u3, u4, u5, u6, u7 = sp.symbols("u_1:8", nonnegative=True)
kappa = sp.Symbol("kappa", nonnegative=True)


def prop1_corrected() -> Derivation:
    """CKA bounds the Frobenius norm of the Gram matrix outside; t directions turn it into a trace."""
    Y = sp.MatrixSymbol("Y", t, N)
    one = sp.Identity(N)
    proof = Proof(
        "The part of the features outside the targets",
        "Centred features $H$ and targets $Y$; $\\epsilon_1$, $\\epsilon_2$ as small as the hypotheses allow.",
    )
    proof.section("The features")
    rank = sp.Symbol("r", integer=True, positive=True)
    V = sp.MatrixSymbol("V", N, rank)
    proof.given(
        "projections",
        "Let the columns of $V$ be an orthonormal basis of the row space of $Y$, and those of $A$ the top "
        "$t$ principal "
        "directions of $H$.",
        {V.T * V: sp.Identity(rank), A.T * A: sp.Identity(t), Y * V * V.T: Y},
    )
    proof.define("inside", "The projection on the rows of the targets, and that outside, are", P, V * V.T)
    proof.define("outside", "", Q, one - V * V.T)
    proof.define("Gram matrix", "The samples have the Gram matrix", G, H.T * H)
    proof.section("Alignment bounds a Frobenius norm")
    proof.identity(
        "alignment",
        "The targets see the part inside only:",
        (sp.Trace(G * Y.T * Y), sp.Trace(P * G * P * Y.T * Y)),
    )
    proof.lemma(
        "Cauchy and Schwarz",
        "so that $(1-\\epsilon_2) \\lVert G \\rVert \\lVert Y'Y \\rVert = \\mathrm{tr}\\, P G P Y'Y \\le "
        "\\lVert P G P \\rVert "
        "\\lVert Y'Y \\rVert$.",
        lemma("cauchy_schwarz"),
    )
    proof.identity(
        "Pythagoras",
        "The parts of the Gram matrix are orthogonal,",
        (norm2(G), norm2(P * G * P) + 2 * norm2(P * G * Q) + norm2(Q * G * Q)),
    )
    inside = (1 - e2) * g + u1
    part = Regime("", "", {e2: 1 - kappa})
    proof.sign(
        "outside norm",
        "so, with $g = \\lVert G \\rVert$, $\\lVert P G P \\rVert = (1-\\epsilon_2) g + u_1$ and $\\lVert P "
        "G Q \\rVert^2 = "
        "u_2$ for some $u_i \\ge 0$, $\\lVert Q G Q \\rVert^2$ is at most",
        e2 * (2 - e2) * g**2 - (g**2 - inside**2 - 2 * u2) >= 0,
        regime=part,
    )
    proof.section("Few directions turn it into a trace")
    rest: Any = H - A * A.T * H
    proof.identity(
        "signal and noise",
        "The energy outside is that of the signal and that of the noise,",
        (norm2(H * Q), norm2(A.T * H * Q) + norm2(rest * Q)),
    )
    proof.squares(
        "noise",
        "and the noise outside is at most all of the noise, $\\epsilon_1 \\lVert H \\rVert^2$:",
        norm2(rest) - norm2(rest * Q),
        sp.S.Zero,
        [(sp.S.One, rest * P)],
    )
    signal: Any = A.T * H * Q
    proof.lemma(
        "trace of t directions",
        "A $t \\times t$ matrix has a trace of at most $\\sqrt t$ times its norm: $\\lVert A'HQ \\rVert^2 "
        "\\le \\sqrt t \\lVert "
        "A'HQH'A \\rVert$.",
        lemma("cauchy_schwarz"),
    )
    proof.identity("turned", "The norm is that of", (norm2(signal * signal.T), norm2(signal.T * signal)))
    proof.squares(
        "signal",
        "which is at most $\\lVert Q G Q \\rVert$, as $Q G Q$ is that matrix and the same of the noise:",
        norm2(signal.T * signal + (rest * Q).T * (rest * Q)) - norm2(signal.T * signal),
        sp.S.Zero,
        [(sp.S.One, (rest * Q).T * (rest * Q)), (2 * sp.S.One, signal * (rest * Q).T)],
    )
    proof.identity("sum", "that is,", (Q * G * Q, signal.T * signal + (rest * Q).T * (rest * Q)))
    proof.lemma(
        "norm and trace",
        "The norm of a Gram matrix is at most its trace, as $(h_i'h_j)^2 \\le \\lVert h_i \\rVert^2 \\lVert "
        "h_j \\rVert^2$: "
        "$g \\le \\lVert H \\rVert^2 = T$.",
        lemma("cauchy_schwarz"),
    )
    proof.section("Together")
    sigma = sp.Symbol("sigma", nonnegative=True)
    outside = sp.sqrt(t) * (sigma * (T - u6) - u4 - u3) - u5 + e1 * T - u7
    proof.sign(
        "bound",
        "With $\\sigma = \\sqrt{\\epsilon_2 (2-\\epsilon_2)}$ every step loses some $u_i \\ge 0$: the energy outside, "
        "$\\lVert H Q \\rVert^2$, is at most $(\\epsilon_1 + \\sqrt t\\, \\sigma) T$.",
        (e1 + sp.sqrt(t) * sigma) * T - outside >= 0,
    )
    proof.equal("root", "The ratio is the root of it.", sp.sqrt(t) * sp.sqrt(e2 * (2 - e2)), sp.sqrt(t * e2 * (2 - e2)))
    bound: Any = sp.sqrt(e1 + sp.sqrt(t * e2 * (2 - e2)))
    return proof.conclude(claims={"outside_targets": sp.LessThan(OUTSIDE, bound)})


def prop1_scalar() -> Derivation:
    """For one target CKA is the share of the Gram matrix along it, over its norm, which exceeds the top variance."""
    y1 = sp.MatrixSymbol("y", N, 1)
    proof = Proof("Scalar targets", "Centred features $H$ and one centred target, along the unit vector $y$.")
    proof.given("target", "", {y1.T * y1: sp.Identity(1)}, shown=False)
    proof.define("Gram matrix", "The samples have the Gram matrix", G, H.T * H)
    proof.identity(
        "outside",
        "The energy outside the target is",
        (norm2(H - H * y1 * y1.T), norm2(H) - sp.Trace(y1.T * G * y1)),
    )
    proof.lemma(
        "norm",
        "CKA is $y'Gy/\\lVert G \\rVert$, and $\\lVert G \\rVert$ is at least the quadratic form $v'Gv = "
        "\\mathrm{tr}\\, G "
        "vv'$ at the top direction, which is $(1-\\epsilon_1) T$ with $T = \\mathrm{tr}\\, G$.",
        lemma("cauchy_schwarz"),
    )
    part = Regime("", "", {e2: 1 - kappa})
    proof.sign(
        "bound",
        "So with $\\lVert G \\rVert = (1-\\epsilon_1) T + u_1$ the energy outside, $T - (1-\\epsilon_2) "
        "\\lVert G \\rVert$, is "
        "at most",
        (e1 + e2 - e1 * e2) * T - (T - (1 - e2) * ((1 - e1) * T + u1)) >= 0,
        regime=part,
    )
    bound: Any = sp.sqrt(e1 + e2 - e1 * e2)
    return proof.conclude(claims={"outside_targets": sp.LessThan(OUTSIDE, bound)})


PROOFS: dict[str, Callable[[], Derivation]] = {"prop1_corrected": prop1_corrected, "prop1_scalar": prop1_scalar}
