"""Unequal classes under cross-entropy: features of a class coincide, and enough samples leave nothing but the bias."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.proof import equation
from ufm.symbols import K, N, d, lam_b, lam_H, lam_W, tau

c = sp.Symbol("c", positive=True)
W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)
b = sp.MatrixSymbol("b", K, 1)
ONES_N: Any = sp.MatrixSymbol("𝟏_N", N, 1)
E: Any = sp.MatrixSymbol("E", K, N)


def nc1() -> Derivation:
    """Replacing features by their class means does not raise the fit, and lowers the penalty."""
    Q: Any = sp.MatrixSymbol("Q", N, K)
    E_K = sp.MatrixSymbol("E_Q", K, K)
    proof = Proof(
        "Equal labels, equal features", "Any loss that is convex in the logits, any class sizes, any $W$, $b$."
    )
    proof.given(
        "classes",
        "$Q$ holds the normalised indicators of the classes. Replace $H$ by its class means, $HQQ'$; there the "
        "slopes of "
        "the losses are equal within each class, a matrix",
        {Q.T * Q: sp.Identity(K), E: E_K * Q.T},
    )
    within: Any = H - H * Q * Q.T
    proof.lemma(
        "tangent",
        "The fit at $H$ is at least that at the class means plus its slope along the difference (for cross-entropy, "
        "log-sum-exp lies above its tangents),",
        lemma("gibbs"),
        sp.Ge(sp.Symbol("fit(H)"), sp.Symbol("fit(HQQ') + tr E'W(H-HQQ')"), evaluate=False),
    )
    proof.identity("slope", "which is zero,", (sp.Trace(E.T * W * within), sp.S.Zero))
    proof.identity(
        "penalty",
        "and the penalty falls by the deviations from the class means. As $\\lambda_H > 0$ there are none at a "
        "minimum.",
        (norm2(H), norm2(H * Q * Q.T) + norm2(within)),
    )
    return proof.conclude(claims={"role_spread": equation(within, sp.ZeroMatrix(d, N))})


def many_samples_null() -> Derivation:
    """N c^2 >= 2 leaves W = 0, H = 0."""
    T, R = sp.MatrixSymbol("T", K, K), sp.MatrixSymbol("R", K, K)
    Z_H, Z_W = sp.MatrixSymbol("Z_H", d, N), sp.MatrixSymbol("Z_W", K, d)
    offset = sp.MatrixSymbol("b_0", K, 1)
    proof = Proof(
        "Nothing but the bias",
        "Cross-entropy, any class sizes, $N\\lambda_W\\lambda_H \\ge 2$; written for $0 < \\lambda_b < \\infty$ "
        "(without a "
        "bias its terms are absent, with a free one $E1 = 0$).",
    )
    proof.define("mean weight", "Let", c, sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "and", tau, N * c)
    proof.lemma(
        "tangent",
        "Let $b_0$ be the best bias alone, $p$ its softmax, $E = Y - p1'$. $N L$ is at least a constant, attained at "
        "$W = 0$, "
        "$H = 0$, $b = b_0$, plus",
        lemma("gibbs"),
        sp.Ge(sp.Symbol("N L"), sp.Symbol("A"), evaluate=False),
    )
    proof.given(
        "the residual",
        "By the choice of $b_0$, $E1 = N\\lambda_bb_0$. A column of $E$ has a squared length below 2, so that the "
        "largest "
        "singular value of $E$ is below $\\sqrt{2N} \\le Nc = \\tau$, and there are $T$ and its inverse $R$ with",
        {
            E * ONES_N: N * lam_b * offset,
            T * T.T: tau**2 * sp.Identity(K) - E * E.T,
            R * T.T: sp.Identity(K),
        },
    )
    proof.equal("the threshold", "Here", tau**2 / N, N * lam_W * lam_H)
    tangent = -sp.Trace(E.T * (W * H + b * ONES_N.T))
    tangent += N / 2 * (lam_W * norm2(W) + lam_H * norm2(H) + lam_b * norm2(b))
    vanishing = proof.squares(
        "sum of squares",
        "which is a sum of squares, up to that constant:",
        tangent,
        -N * lam_b / 2 * norm2(offset),
        [
            (N * lam_H / 2, H - W.T * E / (N * lam_H)),
            (1 / (2 * N * lam_H), T.T * W),
            (N * lam_b / 2, b - offset),
        ],
    )
    zero = {Z_H: vanishing[0], Z_W: vanishing[1]}
    classifier: Any = 2 * N * lam_H * R * Z_W
    proof.follows("classifier", "At a minimum all vanish. So", W, sp.ZeroMatrix(K, d), zero, classifier)
    features = 2 / (N * lam_H) * Z_H + classifier.T * E / (N * lam_H)
    proof.follows("features", "and", H, sp.ZeroMatrix(d, N), zero, features)
    return proof.conclude(
        claims={"gram": equation(H, sp.ZeroMatrix(d, N)), "classifier_gram": equation(W, sp.ZeroMatrix(K, d))}
    )


PROOFS: dict[str, Callable[[], Derivation]] = {"nc1": nc1, "many_samples_null": many_samples_null}
