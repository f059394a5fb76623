"""Why a small temperature asks for the largest one-vs-rest margin, and who has it where that is known."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.exchangeable import ONES, ONES_RULE
from ufm.derivation.load import lemma
from ufm.derivation.regimes import Regime
from ufm.symbols import K

q, T = sp.symbols("q T", positive=True)
d = sp.Symbol("d", integer=True, positive=True)


def margin() -> Derivation:
    """The best feature sees the distance to the hull of the others; the loss is that of the least distance."""
    proof = Proof("Softmax codes", "Unit features and classifiers, any $K \\ge 2$ and $d$.")
    x, rest = sp.symbols("x y", positive=True)
    proof.section("The best feature")
    w_k, w_j, near = (sp.MatrixSymbol(name, d, 1) for name in ("w_k", "w_j", "p"))
    away: Any = w_k - near
    row: Any = w_k - w_j
    rest_row: Any = near - w_j
    proof.lemma(
        "at most the distance",
        "Let $p$ be the point of the hull of the $w_j$, $j\\ne k$, nearest to $w_k$. For a unit $h$, "
        "$\\min_j(w_k-w_j)'h "
        "\\le (w_k-p)'h$, as $p$ is a mean of the $w_j$, and that is at most $\\lVert w_k-p\\rVert$,",
        lemma("cauchy_schwarz"),
        sp.Le(sp.Symbol("(w_k - p)'h"), sp.Symbol("|w_k - p|"), evaluate=False),
    )
    proof.identity(
        "attained",
        "which $h$ along $w_k - p$ attains: $p$ is nearest, so that $(p-w_j)'(w_k-p) \\ge 0$ for every $j$, and",
        (
            sp.Trace(row.T * away),
            sp.Trace(away.T * away) + sp.Trace(rest_row.T * away),
        ),
    )
    proof.section("The loss")
    proof.sign(
        "from below",
        "So some class has a label whose margin is at most $q = q(W)$, and with $x = e^{-q/T}$ it alone loses at least "
        "$\\log(1 + x)$, as other labels only add to the sum,",
        sp.Ge(1 + x + rest, 1 + x, evaluate=False),
    )
    proof.sign(
        "from above",
        "while with the best features no margin is below $q$: no class loses more than $\\log(1 + (K-1)x)$, as each of "
        "the other labels adds at most $x$.",
        sp.Le((K - 1) * x, (K - 1) * (x + rest), evaluate=False),
    )
    proof.section("The limit")
    proof.limit(
        "comes near",
        "Let $q_T$ belong to a minimiser and $q^*$ be the largest. Then $(1 + e^{-q_T/T})^{1/K} \\le 1 + (K-1)x$ "
        "with $x = "
        "e^{-q^*/T}$, so that $e^{(q^*-q_T)/T} \\le ((1 + (K-1)x)^K - 1)/x$, which tends to $K(K-1)$: $0 \\le q^* - "
        "q_T \\le "
        "T\\log(K(K-1)) + o(T)$.",
        ((1 + (K - 1) * x) ** K - 1) / x,
        (x, 0),
        K * (K - 1),
        (Regime("late", r"T > 0", {x: x}), x, 0),
    )
    below, above = sp.log(1 + sp.exp(-q / T)) / K, sp.log(1 + (K - 1) * sp.exp(-q / T))
    return proof.conclude(
        claims={
            "loss": sp.Ge(sp.Symbol("loss"), below, evaluate=False),
            "loss_at_best": sp.Le(sp.Symbol("loss_at_best"), above, evaluate=False),
        }
    )


def tammes() -> Derivation:
    """Averages over vectors for the simplex, over pairs of neighbouring gaps on the circle."""
    proof = Proof("Where both codes are known", "$K$ unit vectors $w_k$, $2 \\le K \\le d + 1$, or $d = 2$.")
    W: Any = sp.MatrixSymbol("W", d, K)
    ones: Any = ONES
    total = sp.Symbol("S", nonnegative=True)  # |sum of the vectors|^2
    proof.section("Any dimension")
    proof.given("unit", "Let the columns of $W$ be the vectors,", ONES_RULE, shown=False)
    inside = W - W * ones * ones.T / K
    proof.identity(
        "sum",
        "The squared length of their sum is $K$ plus the inner products of all pairs. It is not negative, so that the "
        "largest inner product is at least their mean, and that at least $-\\frac1{K-1}$; also",
        (
            sp.Trace(inside.T * inside),
            sp.Trace(W.T * W) - sp.Trace(ones.T * W.T * W * ones) / K,
        ),
    )
    proof.equal(
        "distances",
        "The distance of $w_k$ to the hull of the others is at most that to their mean, $\\lVert Kw_k - "
        "\\sum_jw_j\\rVert/(K-1)$. The mean of these squares is, with $S = \\lVert\\sum_jw_j\\rVert^2$,",
        (K**2 * K - 2 * K * total + K * total) / (K * (K - 1) ** 2),
        (K**2 - total) / (K - 1) ** 2,
    )
    proof.sign(
        "least distance",
        "and so the least distance is at most $\\frac K{K-1} = 1 + \\frac1{K-1}$. A simplex, which $K \\le d+1$ has "
        "room "
        "for, has both.",
        sp.Ge(K**2 - (K**2 - total), 0, evaluate=False),
    )
    proof.section("The circle, at least four vectors")
    a, b = sp.symbols("alpha beta", positive=True)
    proof.equal(
        "largest inner product",
        "The gaps between neighbours sum to $2\\pi$; the least of them, at most $\\frac{2\\pi}K$, has a cosine of at "
        "least $\\cos\\frac{2\\pi}K$.",
        K * (2 * sp.pi / K),
        2 * sp.pi,
    )
    proof.equal(
        "two gaps",
        "Every gap belongs to two pairs of neighbouring gaps: one such pair has $\\alpha + \\beta \\le \\frac{4\\pi}K "
        "\\le \\pi$, as the mean is",
        2 * (2 * sp.pi) / K,
        4 * sp.pi / K,
    )
    corner = sp.Matrix([1, 0])
    left, right = sp.Matrix([sp.cos(a), -sp.sin(a)]), sp.Matrix([sp.cos(b), sp.sin(b)])
    middle = sp.Matrix([sp.cos((b - a) / 2), sp.sin((b - a) / 2)])  # normal of the chord of the neighbours
    proof.equal(
        "chord",
        "The hull of the others meets the arc between the two neighbours of that vector in their chord alone, on which "
        "the foot of the vector lies, as the angles of the triangle at the neighbours, $\\frac{\\beta}{2}$ and "
        "$\\frac{\\alpha}{2}$, are acute. The chord has the normal at the angle $\\frac{\\beta-\\alpha}2$,",
        right.dot(middle),
        left.dot(middle),
    )
    proof.equal(
        "distance",
        "and the vector is apart from it by",
        (corner - right).dot(middle),
        sp.cos((b - a) / 2) - sp.cos((b + a) / 2),
    )
    proof.equal(
        "polygon",
        "at most $1 - \\cos\\frac{\\alpha+\\beta}2 \\le 1 - \\cos\\frac{2\\pi}K$, as no cosine exceeds 1; a regular "
        "polygon "
        "has that everywhere.",
        1 - sp.cos(a),
        2 * sp.sin(a / 2) ** 2,
    )
    inner = sp.Piecewise((-1 / (K - 1), d >= K - 1), (sp.cos(2 * sp.pi / K), True))
    return proof.conclude(
        claims={
            "largest_inner_product": sp.Ge(sp.Symbol("largest_inner_product"), inner, evaluate=False),
            "code_margin": sp.Le(sp.Symbol("code_margin"), 1 - inner, evaluate=False),
        }
    )


PROOFS: dict[str, Callable[[], Derivation]] = {"margin": margin, "tammes": tammes}
