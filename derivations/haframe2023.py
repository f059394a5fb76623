"""Hierarchy-aware frames: the factorisation, and the smallest similarity that leaves a positive semidefinite matrix."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.proof import equation
from ufm.symbols import K, d

S, V = sp.MatrixSymbol("S", K, K), sp.MatrixSymbol("V", K, K)
W = sp.MatrixSymbol("W", K, d)


def gram() -> Derivation:
    """W = V R Q' with R R' = diag(w)."""
    Q, R = sp.MatrixSymbol("Q", d, K), sp.MatrixSymbol("R", K, K)
    proof = Proof("The factorisation", "$S = V R R' V'$ positive semidefinite, $d \\ge K$.")
    proof.given("basis", "Let", {Q.T * Q: sp.Identity(K)})
    proof.define("similarities", "With $R$ the root of the eigenvalues,", S, V * R * R.T * V.T)
    proof.define("classifier", "the classifier is", W, V * R * Q.T)
    proof.identity("gram", "so that", (W * W.T, S))
    return proof.conclude(claims={"frame_gap": equation(W * W.T, S)})


def most_negative() -> Derivation:
    """At s* the matrix is a projection between invertible factors; below it one vector has a negative value."""
    E, L, L_inverse = sp.MatrixSymbol("E", K, K), sp.MatrixSymbol("L", K, K), sp.MatrixSymbol("R", K, K)
    v, x = sp.MatrixSymbol("v", K, 1), sp.MatrixSymbol("x", K, 1)
    u, e = sp.symbols("u e", positive=True)
    a = 1 + e  # 1'E^-1 1 exceeds 1: (e_1'1)^2 <= 1'E^-1 1 e_1'E e_1 with equality only if e_1'E = 1'
    s, below = -1 / (a - 1), -1 / (a - 1) - u
    least, reciprocal = sp.Symbol("least_s", negative=True), sp.Symbol("1'E^-1 1", positive=True)
    proof = Proof("The most negative value", "Any positive definite $E$ with $1'E^{-1}1 = 1 + e > 1$.")
    proof.given(
        "factors",
        "Let $E = L L'$, $R = L^{-1}$ and $v = R 1$, so that $1 = L v$ and $v'v = 1'E^{-1}1$.",
        {
            E: L * L.T,
            L_inverse * L: sp.Identity(K),
            L * L_inverse: sp.Identity(K),
            v.T * v: a * sp.Identity(1),
        },
    )

    def similarity(value: Any) -> Any:
        return (1 - value) * E + value * L * v * v.T * L.T

    proof.section("The value is allowed")
    proof.squares(
        "sum of squares",
        "At $s^* = -1/(1'E^{-1}1 - 1)$ every quadratic form is a square,",
        sp.Trace(x.T * similarity(s) * x),
        sp.S.Zero,
        [(1 - s, L.T * x - v * v.T * L.T * x / a)],
    )
    proof.section("None below it is")
    test: Any = L_inverse.T * v
    proof.identity(
        "test vector",
        "and at $s^* - u$ the vector $E^{-1}1$ has a form that is negative:",
        (sp.Trace(test.T * similarity(below) * test), -u * a * (a - 1)),
    )
    proof.sign("negative", "", -u * a * (a - 1) < 0)
    proof.equal("in the letters of the statement", "So", s, (-1 / (reciprocal - 1)).subs(reciprocal, a))
    return proof.conclude(claims={"least_s": equation(least, -1 / (reciprocal - 1))})


def simplex_allowed() -> Derivation:
    """The kernel of a hierarchy is a sum of blocks, and K E - 11' a sum of squares by Cauchy and Schwarz."""
    blocks = sp.Symbol("B", integer=True, positive=True)
    E, F = sp.MatrixSymbol("E", K, K), sp.MatrixSymbol("F", K, blocks)
    g, x, ONES = sp.MatrixSymbol("g", blocks, 1), sp.MatrixSymbol("x", K, 1), sp.MatrixSymbol("𝟏_K", K, 1)
    c, rest = sp.Symbol("c", positive=True), sp.Symbol("epsilon", nonnegative=True)
    least = sp.Symbol("least_s", negative=True)
    proof = Proof(
        "Hierarchies allow the simplex", "$D$ the heights of lowest common ancestors in a tree of $K$ leaves."
    )
    proof.given(
        "blocks",
        "For a node $b$ let $c_b \\ge 0$ be $e^{-\\gamma h_b/D_{max}}$ less the same of its parent (of "
        "nothing, for the "
        "root). Two leaves share the nodes from their lowest common ancestor up, so $E = \\sum_b c_b 1_b "
        "1_b'$, $1_b$ the "
        "leaves of $b$. Let $F$ have the columns $\\sqrt{c_b}\\, 1_b$ and $g$ the entries $\\sqrt{c_b}$: as the $c_b$ "
        "above one leaf sum to $E_{ii} = 1$,",
        {E: F * F.T, F * g: ONES, g.T * g: c * sp.Identity(1)},
    )
    proof.equal(
        "their sum",
        "and $c = \\sum_b c_b \\le \\sum_b c_b \\lvert b \\rvert = \\sum_i E_{ii} = K$, that is, for some "
        "$\\epsilon \\ge 0$,",
        (c + rest) - rest,
        c,
    )
    proof.squares(
        "sum of squares",
        "With $K = c + \\epsilon$, $K - 1$ times the form of $S$ at $s = -1/(K-1)$ is a sum of squares:",
        sp.Trace(x.T * ((c + rest) * E - ONES * ONES.T) * x),
        sp.S.Zero,
        [(rest, F.T * x), (c, F.T * x - g * g.T * F.T * x / c)],
    )
    proof.equal("similarities", "as $1 - s = K/(K-1)$.", 1 + 1 / (K - 1), K / (K - 1))
    return proof.conclude(claims={"least_s": least <= -1 / (K - 1)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "gram": gram,
    "most_negative": most_negative,
    "simplex_allowed": simplex_allowed,
}
