"""Why simplex-encoded labels meet unit margins best, at all class sizes: multipliers from an M-matrix's root."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.exchangeable import CENTRED, ONES, ONES_RULE
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import equation
from ufm.derivation.regimes import Regime
from ufm.symbols import K, N, d, delta_kl

j = sp.Symbol("j", integer=True, positive=True)  # K - 1
f = sp.Symbol("f", positive=True)
W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)
Z: Any = sp.MatrixSymbol("Zhat", K, N)
V: Any = sp.MatrixSymbol("V", K, j)
U: Any = sp.MatrixSymbol("U", N, j)
G: Any = sp.MatrixSymbol("G", j, j)
R: Any = sp.MatrixSymbol("R", j, j)
O: Any = sp.MatrixSymbol("O", d, j)
S, F = sp.MatrixSymbol("S", K, K), sp.MatrixSymbol("F", K, K)
E: Any = sp.MatrixSymbol("E", K, N)
Z_H: Any = sp.MatrixSymbol("Z_H", d, N)
Z_W: Any = sp.MatrixSymbol("Z_W", K, d)


def multipliers() -> Derivation:
    """The matrix whose root gives the multipliers has no positive entry off its diagonal, whatever the sizes."""
    proof = Proof(
        "Multipliers",
        "Any class sizes: with $S = \\mathrm{diag}(n_k)$, $F = S^{-1}$, $f = \\sum_k1/n_k$ and $C = I-\\frac1K11'$, "
        "the "
        "pseudo-inverse of $CSC$ has no positive entry off its diagonal.",
    )
    proof.given("ones", "", ONES_RULE, shown=False)
    proof.given(
        "sizes",
        "The inverse of the sizes, and their sum,",
        {F * S: sp.Identity(K), ONES.T * F * ONES: f * sp.Identity(1)},
    )
    matrix: Any = F - F * ONES * ONES.T * F / f
    proof.identity(
        "the kernel",
        "Let $A = F - F11'F/f$, whose entry $(j,k)$ off the diagonal is $-\\frac1{n_jn_kf} < 0$. The ones are in its "
        "kernel,",
        (matrix * ONES, sp.ZeroMatrix(K, 1)),
    )
    proof.identity(
        "the pseudo-inverse",
        "so that $AC = A$, and on the directions orthogonal to the ones it is the inverse of $CSC$:",
        (matrix * CENTRED, matrix),
        (matrix * CENTRED * S * CENTRED, CENTRED),
    )
    proof.lemma(
        "its root",
        "Hence its root $A^{1/2} = V\\Lambda^{-1}V'$, where $\\hat Z = V\\Lambda U'$ and $\\hat Z\\hat Z' = CSC$, "
        "has only negative entries off its diagonal too, and its rows sum to zero.",
        lemma("m_matrix_root"),
        sp.Lt(sp.Symbol("(A^{1/2})_{jk}"), 0, evaluate=False),
    )
    return proof.conclude(claims={"signs": sp.Lt(sp.Symbol("(A^{1/2})_{jk}"), 0, evaluate=False)})


def seli() -> Derivation:
    """Duality: a sum of squares, and margins that are weighted by the multipliers."""
    proof = Proof("Simplex-encoded labels", "Unit margins, any class sizes, $d \\ge K-1$.")
    one = sp.Identity(j)
    proof.given(
        "singular value decomposition",
        "$\\hat Z = V\\Lambda U'$ has rank $K-1$; let $\\Lambda = GG'$, and $R$ its inverse.",
        {
            Z: V * G * G.T * U.T,
            V.T * V: one,
            U.T * U: one,
            O.T * O: one,
            R * G * G.T: one,
            E: V * U.T,
        },
    )
    proof.section("The bound")
    energy = (norm2(W) + norm2(H)) / 2
    vanishing = proof.squares(
        "sum of squares",
        "With $E = VU'$ the penalties less $\\mathrm{tr}\\,E'WH$ are squares,",
        energy - sp.Trace(E.T * W * H),
        sp.S.Zero,
        [(sp.S.Half, H - W.T * E), (sp.S.Half, W - V * V.T * W)],
    )
    proof.identity("multipliers", "$E$ is $V\\Lambda^{-1}V'\\hat Z$,", (V * R * V.T * Z, E))
    proof.uses(
        "signs",
        "so that its column for a sample of class $k$ is that of $A^{1/2}$, as $V\\Lambda^{-1}V'$ annihilates the "
        "ones: no "
        "positive entry but the $k$-th, and the sum zero. Hence $\\mathrm{tr}\\,E'WH = \\sum_i\\sum_{j\\ne y_i}"
        "|A^{1/2}_{jy_i}|\\,(z_{y_i}-z_j) \\ge \\sum_i\\sum_{j\\ne y_i}|A^{1/2}_{jy_i}|$ under unit margins,",
        prove("thrampoulidis2022:multipliers"),
    )
    proof.identity(
        "the bound's value",
        "with equality at $WH = \\hat Z$, whose margins are all 1. So the minimum is at least",
        (sp.Trace(E.T * Z), sp.Trace(G * G.T)),
    )
    proof.identity(
        "attained",
        "and $W = VGO'$, $H = OG'U'$ attain it.",
        (W * H, Z),
        (energy, sp.Trace(G * G.T)),
        where={W: V * G * O.T, H: O * G.T * U.T},
    )
    proof.section("Every optimum")
    proof.given(
        "margins",
        "At an optimum the squares vanish, and the margins with a multiplier, all of them as no entry of that root "
        "is zero, are 1. As $W = VV'W$ has "
        "columns orthogonal to the ones, $WH$ is centred, and so",
        {W * H: Z},
    )
    zero = {Z_H: vanishing[0], Z_W: vanishing[1]}
    proof.follows("features", "The Gram matrices follow,", H.T * H, U * G * G.T * U.T, zero, 2 * H.T * Z_H)
    proof.follows(
        "classifier",
        "and",
        W * W.T,
        V * G * G.T * V.T,
        zero,
        -2 * W * Z_H * U * V.T + 2 * W * Z_W.T,
    )
    grams = {name: sp.MatrixSymbol(text, K, K) for name, text in _GRAMS.items()}
    return proof.conclude({"logits": delta_kl - 1 / K, **grams})


def vanishing_weights() -> Derivation:
    """The margins of the optimum, over their size, tend to those of the least norm; then every one of them is 1."""
    proof = Proof(
        "The regularisation path",
        "Cross-entropy, any class sizes, no bias, $\\lambda = \\sqrt{\\lambda_W\\lambda_H} \\to 0$.",
    )
    x, rest, weight, nu = sp.symbols("x y lambda nu", positive=True)
    proof.lemma(
        "nuclear norm",
        "The optimum has the logits that minimise the mean cross-entropy plus $\\lambda\\nu(Z)$, $\\nu(Z)$ being the "
        "nuclear norm of the logits of all samples; under unit margins the least $\\nu$ is $\\hat\\nu = \\nu(\\hat "
        "Z)$.",
        lemma("nuclear_norm"),
        equation(sp.Symbol("L"), sp.Symbol("CE(Z) + lambda nu(Z)")),
    )
    proof.section("The least margin")
    proof.sign(
        "from below",
        "If $q$ is the least margin of $Z$, the sample that has it loses $\\log(1 + e^{-q} + \\ldots)$, and the mean "
        "is "
        "at least $\\frac1N\\log(1 + e^{-q})$:",
        sp.Ge(1 + x + rest, 1 + x, evaluate=False),
    )
    proof.limit(
        "grows",
        "The least value is at most that at $s\\hat Z$ with $s = \\log(1/\\lambda)$, all of whose margins are $s$: it "
        "vanishes with $\\lambda$, and so $q \\to \\infty$ along the path, and with it $\\nu$.",
        sp.log(1 + (K - 1) * weight) - weight * sp.log(weight) * nu,
        (weight, 0),
        sp.S.Zero,
        (Regime("small", r"\\lambda > 0", {weight: weight}), weight, 0),
    )
    proof.limit(
        "keeps up",
        "Let $r = \\nu(Z)/\\hat\\nu$. $Z$ has at most the mean cross-entropy of $r\\hat Z$, which has the same $\\nu$: "
        "$(1 + e^{-q})^{1/N} \\le 1 + (K-1)e^{-r}$. With $x = e^{-r}$, $e^{r-q} \\le ((1 + (K-1)x)^N - 1)/x$, which "
        "stays "
        "bounded: so $q \\ge r - O(1)$ and $\\delta = 1 - q/r \\to 0$.",
        ((1 + (K - 1) * x) ** N - 1) / x,
        (x, 0),
        N * (K - 1),
        (Regime("late", r"r > 0", {x: x}), x, 0),
    )
    proof.section("Every margin")
    margin, least, share = sp.symbols("m q w", positive=True)
    others = sp.Symbol("o", nonnegative=True)
    proof.uses(
        "multipliers",
        "With $\\hat Z = V\\Lambda U'$ the matrix $E = VU'$ weighs margins by positive $w$ (its entries off the labels "
        "are negative), $\\mathrm{tr}\\,E'Z = \\sum w\\,m$, and $\\sum w = \\mathrm{tr}\\,E'\\hat Z = \\hat\\nu$.",
        prove("thrampoulidis2022:multipliers"),
    )
    proof.lemma(
        "bound",
        "No singular value of $E$ exceeds 1, so that $\\sum w\\,m \\le \\nu(Z) = r\\hat\\nu$,",
        lemma("von_neumann"),
        sp.Le(sp.Symbol("tr E'Z"), sp.Symbol("nu(Z)"), evaluate=False),
    )
    proof.equal(
        "each",
        "while every margin is at least $q$. So what one of them has beyond $q$, times its $w$, is at most "
        "$r\\hat\\nu - q\\hat\\nu = r\\delta\\hat\\nu$:",
        share * margin + others * least + (nu - share - others) * least - nu * least,
        share * (margin - least),
    )
    proof.sign(
        "squeezed",
        "over $r$, all margins lie between $1 - \\delta$ and $1 - \\delta + \\delta\\hat\\nu/w$, and tend to 1. "
        "Columns "
        "of $Z$ sum to zero, as those of the residual do; so a column tends to $e_k - \\frac1K1$ in units of $r$.",
        sp.Ge(margin + least, least, evaluate=False),
    )
    proof.equal(
        "norm",
        "The norm of $I - \\frac1K11'$ makes it a direction.",
        K * (1 - 1 / K) ** 2 + K * (K - 1) / K**2,
        K - 1,
    )
    direction = (delta_kl - 1 / K) / sp.sqrt(K - 1)
    reached = f"logit_directions tends to {direction} as lam_W, lam_H vanish"
    return proof.conclude(claims={reached: equation(sp.Symbol("lim Z/|Z|"), direction)})


_GRAMS = {"classifier_gram": "VLambdaV'", "gram": "ULambdaU'"}

PROOFS: dict[str, Callable[[], Derivation]] = {
    "multipliers": multipliers,
    "seli": seli,
    "seli_any_sizes": seli,
    "vanishing_weights": vanishing_weights,
}
