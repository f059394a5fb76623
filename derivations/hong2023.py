"""Unequal classes under cross-entropy: features of a class coincide, and when classes, or all features, are lost."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma, prove
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


K_A, K_B = sp.symbols("K_A K_B", integer=True, positive=True)
n_A, n_B = sp.symbols("n_A n_B", integer=True, positive=True)


def minority_collapse() -> Derivation:
    """Directions within a group are decided by one number; the one between the groups is never lost before them."""
    proof = Proof(
        "Minority collapse",
        "Two groups, $K_A$ classes of $n_A$ samples and $K_B$ of $n_B < n_A$, two classes each at least; any bias. "
        "$\\tau = N\\lambda_Z$.",
    )
    proof.lemma(
        "convex",
        "With features equal within classes the loss is a convex function of the class logits $Z$ and the bias,",
        lemma("nuclear_norm"),
        equation(sp.Symbol("N L"), sp.Symbol("fits and the nuclear norm")),
    )
    proof.section("Within a group")
    p_own, v = sp.symbols("p v", positive=True)
    n_g, T = sp.symbols("n_g tau", positive=True)
    proof.given(
        "residual",
        "$D = \\mathrm{diag}(n)$, $E$: labels less probabilities. At a minimum $ED^{1/2} = \\tau(UV' + F)$ with the "
        "singular vectors of $ZD^{1/2}$ and $F$, $\\lVert F\\rVert \\le 1$, orthogonal to them. The fit is strictly "
        "convex in the probabilities, so that all minima share them, and classes of one size are exchangeable in "
        "$E$. On "
        "the directions that tell classes of one group apart $E$ is the number $e = 1 - p + p'$, $p$ being the "
        "probability of a class's own label and $p'$ that of another of its group, and $Z$ is $\\zeta = \\log(p/p')$.",
        {},
    )
    proof.sign(
        "kept",
        "Where $\\zeta > 0$, $e < 1$, while $e\\sqrt{n_g} = \\tau$: so $\\tau < \\sqrt{n_g}$.",
        sp.Lt(1 - (p_own + v) + p_own, 1, evaluate=False),
    )
    proof.equal(
        "lost",
        "Where $\\zeta = 0$, $e$ is 1, while $e\\sqrt{n_g} \\le \\tau$. So these directions are lost exactly from "
        "$\\tau = \\sqrt{n_g}$ on; those within the minority first.",
        (1 - p_own + p_own) * sp.sqrt(n_g),
        sp.sqrt(n_g),
    )
    proof.section("Above the threshold")
    proof.equal(
        "at most",
        "Columns of $E$ sum to zero, hence those of $Z$ do. What is left beside the $K_A - 1$ directions within the "
        "majority is one direction, between the sizes.",
        K_A - 1 + 1,
        K_A,
    )
    proof.section("Below the threshold")
    X, Y = sp.symbols("X Y", positive=True)
    size = K_A + K_B
    x, y = T * X / (size * sp.sqrt(n_A)), T * Y / (size * sp.sqrt(n_B))
    own_A, own_B = (T / sp.sqrt(n_A) - K_B * x) / K_A, (T / sp.sqrt(n_B) - K_A * y) / K_B
    proof.equal(
        "probabilities",
        "Both kinds of directions within groups are kept. Write $x = \\tau X/(K\\sqrt{n_A})$ for the probability "
        "that a "
        "majority class gives a minority label and $y = \\tau Y/(K\\sqrt{n_B})$ for the reverse. A column of $E$ "
        "sums to "
        "zero, and so other labels of the own group have the probabilities $p_A = (\\tau/\\sqrt{n_A} - K_Bx)/K_A$ and "
        "$p_B$ likewise:",
        own_A,
        T * (size - K_B * X) / (K_A * size * sp.sqrt(n_A)),
    )
    proof.equal(
        "if the direction were lost",
        "Suppose that $Z$ vanishes on the direction between the sizes. Then $z$ differs by $\\zeta_A/K_A > 0$ "
        "between a "
        "minority label and another majority label of a majority class, likewise for the minority, and the biases "
        "cancel "
        "in $xy/(p_Ap_B) = e^{\\zeta_A/K_A + \\zeta_B/K_B} > 1$. Now $xy - p_Ap_B$ is a positive multiple of",
        (x * y - own_A * own_B) * K_A * K_B * size * sp.sqrt(n_A * n_B) / T**2,
        K_B * X + K_A * Y - size,
    )
    on_direction = (1 / K_A + 1 / K_B) * (K_B**2 * x**2 * n_A * K_A + K_A**2 * y**2 * n_B * K_B)
    proof.equal(
        "size of the residual",
        "so $K_BX + K_AY > K$. But on that direction $E$ is $(1_A/K_A - 1_B/K_B)(K_Bx1_A - K_Ay1_B)'$, and the squared "
        "singular value of $ED^{1/2}$, at most $\\tau^2$, is",
        on_direction,
        T**2 * (K_B * X**2 + K_A * Y**2) / size,
    )
    proof.equal(
        "contradiction",
        "so that $K_BX^2 + K_AY^2 \\le K$, and $(K_BX + K_AY)^2 \\le K^2$ after all:",
        size * (K_B * X**2 + K_A * Y**2) - (K_B * X + K_A * Y) ** 2,
        K_A * K_B * (X - Y) ** 2,
    )
    proof.equal("all are kept", "All directions are kept:", (K_A - 1) + (K_B - 1) + 1, K_A + K_B - 1)
    lost = c >= sp.sqrt(n_B) / N
    rank = sp.Symbol("rank")
    least = sp.Piecewise((0, lost), (K_A + K_B - 1, True)).subs(c, sp.sqrt(lam_W * lam_H))
    most = sp.Piecewise((K_A, lost), (K_A + K_B - 1, True)).subs(c, sp.sqrt(lam_W * lam_H))
    return proof.conclude(
        claims={"rank": (sp.Ge(rank, least, evaluate=False), sp.Le(rank, most, evaluate=False))}  # pyright: ignore
    )


def many_samples_rescaled() -> Derivation:
    """The regularisation path at fixed sizes."""
    known = prove("thrampoulidis2022:vanishing_weights")
    proof = Proof("Weights that vanish", "No bias, $\\lambda_Z\\sqrt N \\to 0$ at a fixed ratio of sizes.")
    m, s, k = sp.symbols("m s k", positive=True)
    proof.equal(
        "scale",
        "Sizes that are $s$ times larger change the loss as the weight does: with $D = sD_1$, $N = sN_1$ the penalty "
        "is $\\lambda_Z\\lVert ZD^{1/2}\\rVert_*$, the weight $\\lambda_Z\\sqrt s$ of the sizes $D_1$, which "
        "vanishes as $\\lambda_Z\\sqrt N$ does:",
        m * sp.sqrt(s * k),
        (m * sp.sqrt(s)) * sp.sqrt(k),
    )
    proof.uses("path", "So the limit is that of vanishing weights at fixed sizes.", known)
    return proof.conclude(claims=dict(known.claims))


PROOFS: dict[str, Callable[[], Derivation]] = {
    "nc1": nc1,
    "minority_collapse": minority_collapse,
    "many_samples_null": many_samples_null,
    "many_samples_rescaled": many_samples_rescaled,
}
