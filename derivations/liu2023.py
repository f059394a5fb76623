"""Long tails: the least-squares classifier from the total covariance, and how far classes can be apart."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.proof import equation
from ufm.symbols import K, N, d

r = sp.Symbol("r", integer=True, positive=True)


def least_squares_corrected() -> Derivation:
    """The loss is a constant and two squares; the classifier makes both vanish."""
    U, V = sp.MatrixSymbol("U", d, r), sp.MatrixSymbol("V", N, r)
    S, R = sp.MatrixSymbol("S", r, r), sp.MatrixSymbol("R", r, r)
    Y, D = sp.MatrixSymbol("Y", K, N), sp.MatrixSymbol("D", K, K)
    M, mean = sp.MatrixSymbol("Mdot", d, K), sp.MatrixSymbol("mu_G", d, 1)
    ONES = sp.MatrixSymbol("𝟏_N", N, 1)
    W, b = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("b", K, 1)
    WLS, BLS = sp.MatrixSymbol("W_LS", K, d), sp.MatrixSymbol("b_LS", K, 1)
    total, inverse = sp.MatrixSymbol("Sigma_T", d, d), sp.MatrixSymbol("Sigma_T^+", d, d)
    HC: Any = U * S * V.T
    proof = Proof("The least-squares classifier", "Any features, classes of any sizes, no regularisation.")
    proof.section("The features")
    proof.given(
        "features",
        "Let $U S V'$ be the thin singular value decomposition of the centred features, $R = S^{-1}$; $V'1 = 0$. The "
        "class means less the global one, times $D = \\mathrm{diag}(n_k)$, are sums over the classes:",
        {
            U.T * U: sp.Identity(r),
            V.T * V: sp.Identity(r),
            R * S: sp.Identity(r),
            S * R: sp.Identity(r),
            V.T * ONES: sp.ZeroMatrix(r, 1),
            ONES.T * ONES: N * sp.Identity(1),
            M * D: HC * Y.T,
        },
    )
    proof.define("covariance", "The total covariance", total, HC * HC.T / N)
    proof.define("pseudo-inverse", "has the pseudo-inverse", inverse, N * U * R.T * R * U.T)
    proof.identity(
        "Penrose",
        "as the conditions of Penrose hold:",
        (total * inverse, U * U.T),
        (inverse * total, U * U.T),
        (inverse * total * inverse, inverse),
    )
    proof.section("The minimum")
    fit = W * HC - Y * V * V.T
    offset = W * mean + b - Y * ONES / N
    proof.squares(
        "sum of squares",
        "The loss is a constant and two squares,",
        norm2(W * (HC + mean * ONES.T) + b * ONES.T - Y) / (2 * N),
        norm2(Y - Y * V * V.T - Y * ONES * ONES.T / N) / (2 * N),
        [(1 / (2 * N), fit), (sp.Rational(1, 2), offset)],
    )
    best: Any = inverse * M * D / N
    proof.define("classifier", "which both vanish at", WLS, best.T)
    proof.define("bias", "and", BLS, Y * ONES / N - WLS * mean)
    proof.identity("attained", "as", (WLS * HC, Y * V * V.T), (WLS * mean + BLS, Y * ONES / N))
    return proof.conclude(claims={"excess_loss": equation(WLS * HC, Y * V * V.T)})


def separation() -> Derivation:
    """One sum of vectors bounds all nearest angles at once, those beyond the right angle more than the others."""
    proof = Proof(
        "Nearest angles",
        "Any $K \\ge 2$ unit vectors, in any dimension: the mean of the angles to the nearest other one is at most "
        "$\\arccos(-\\frac{1}{K-1})$.",
    )
    j, k = sp.symbols("j k", integer=True, positive=True)
    proof.section("One inequality")
    proof.given(
        "order",
        "Let $c_k$ be the largest cosine of $u_k$ to another vector, $c_1 \\le \\ldots \\le c_K$, and $m_k = -c_k$. "
        "Any "
        "$u_k'u_l$ is at most the smaller of $c_k$ and $c_l$, so that $0 \\le \\lVert\\sum u_k\\rVert^2 \\le K + "
        "2\\sum_k(K-k)c_k$, and $\\sum_k(K-k)m_k \\le K/2$.",
        {},
    )
    proof.given(
        "goal",
        "As $\\arccos c = \\frac{\\pi}{2} - \\arcsin c$, what is to be shown is $\\sum\\arcsin m_k \\le "
        "K\\arcsin(\\frac1{K-1})$, for which $\\frac K{K-1}$ on the left is enough.",
        {},
    )
    proof.equal(
        "partial sums",
        "Let $A_j$ be the sum of the first $j$ weights,",
        sp.summation(K - k, (k, 1, j)),
        j * (2 * K - 1 - j) / 2,
    )
    t = K / (j * (2 * K - 1 - j))
    proof.equal(
        "blocks",
        "$t_j = K/(2A_j)$ and $\\lambda_j = (m_j - m_{j+1})/t_j \\ge 0$ ($m_{p+1} = 0$ after the last positive one, "
        "$m_p$): then $m_k = \\sum_{j\\ge k}\\lambda_jt_j$ for $k \\le p$, and $\\Lambda = \\sum\\lambda_j = "
        "\\frac2K\\sum_{k\\le p}(K-k)m_k$. Here",
        j * t,
        K / (2 * K - 1 - j),
    )
    a, b = sp.symbols("a b", integer=True, nonnegative=True)
    steps = {j: 1 + a, K: 2 + a + b}
    proof.sign(
        "size of a block",
        "and for $j < K$",
        sp.Ge(((K - j) / (K - 1) - t**2).subs(steps, simultaneous=True), 0, evaluate=False),
    )
    proof.equal("so that", "so that $1 + t_j^2$ is at most", 1 + (K - j) / (K - 1), (2 * K - 1 - j) / (K - 1))
    proof.section("All nearest angles are right or obtuse")
    proof.lemma(
        "convexity",
        "Then $\\Lambda \\le 1$, and $\\sum_k\\arcsin m_k \\le \\sum_j\\lambda_j\\,j\\arcsin t_j$.",
        lemma("jensen"),
        sp.Le(sp.Symbol("arcsin m_k"), sp.Symbol("sum lambda_j arcsin t_j"), evaluate=False),
    )
    proof.lemma(
        "cubic",
        "For $j < K$, as $\\frac{\\pi}{2} - 1 < 1$, $j\\arcsin t_j \\le jt_j(1 + t_j^2) \\le \\frac K{K-1}$,",
        lemma("arcsine"),
        sp.Le(sp.Symbol("arcsin t_j"), sp.Symbol("t_j + t_j^3"), evaluate=False),
    )
    proof.equal("last block", "and for $j = K$ it is $K\\arcsin(\\frac1{K-1})$:", t.subs(j, K), 1 / (K - 1))
    proof.section("Some nearest angles are acute")
    q, w, C = sp.Symbol("q", positive=True), sp.Symbol("w", nonnegative=True), sp.Symbol("C", positive=True)
    proof.lemma(
        "acute ones",
        "Let $q$ of the $c_k$ be positive, $C$ their sum; $q \\ge 2$, as two nearest vectors share their cosine. The "
        "weights fall, the cosines rise: $\\Lambda \\le 1 + \\frac2K\\sum(K-k)c_k \\le 1 + (q-1)C/K$.",
        lemma("opposite_orders"),
        sp.Le(sp.Symbol("Lambda"), 1 + (q - 1) * C / K, evaluate=False),
    )
    proof.given(
        "acute cubes",
        "If $\\Lambda \\le \\frac{13}{10}$: the cube is convex, too, so that $\\sum m_k^3 \\le "
        "\\Lambda^2\\sum\\lambda_j"
        "jt_j^3$, and $(\\frac{\\pi}{2} - 1)\\Lambda^2 \\le 1$ as $\\pi < \\frac{22}7$. Hence $\\sum_{k\\le "
        "p}\\arcsin m_k "
        "\\le \\Lambda\\frac K{K-1}$.",
        {},
    )
    proof.sign("constant", "Indeed", sp.Lt((sp.Rational(11, 7) - 1) * sp.Rational(13, 10) ** 2, 1, evaluate=False))
    extra = (1 + (q - 1) * C / (q + w)) * (q + w) / (q + w - 1) - (q + w) / (q + w - 1)
    proof.sign(
        "small excess",
        "What this has beyond $\\frac K{K-1}$ is at most $C$, which the acute angles take back, as $\\arcsin c \\ge c$ "
        "(with $K = q + w$):",
        sp.Ge((C - extra).subs(q, 2 + a), 0, evaluate=False),
    )
    y = sp.Symbol("y", positive=True)  # q - 1
    chord = sp.Rational(11, 7) * K / (K + y)
    proof.equal(
        "large excess",
        "If $\\Lambda \\ge \\frac{13}{10}$, then $C \\ge \\frac{3K}{10y}$ with $y = q - 1$, and as $\\arcsin m \\le "
        "\\frac{\\pi}{2}m$ and $jt_j \\le \\frac K{K+y}$ the sum less $C$ is at most $\\frac{11}7\\Lambda\\frac "
        "K{K+y} - "
        "C$. That "
        "falls in $C$ where $\\Lambda$ is at its bound,",
        sp.diff(chord * (1 + y * C / K) - C, C),
        -(K - sp.Rational(4, 7) * y) / (K + y),
    )
    proof.equal(
        "large excess is enough",
        "and where $C$ is least it is below 1 by a positive number.",
        (1 - chord * sp.Rational(13, 10) + 3 * K / (10 * y)) * 70 * y * (K + y),
        21 * (K - sp.Rational(26, 21) * y) ** 2 + sp.Rational(794, 21) * y**2,
    )
    bound = -sp.acos(-1 / (K - 1))
    return proof.conclude(claims={"separation": sp.Ge(sp.Symbol("separation"), bound, evaluate=False)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "least_squares_corrected": least_squares_corrected,
    "separation": separation,
}
