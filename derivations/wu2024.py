"""Uniformity of directions: the mean squared distance of K unit vectors is largest where they sum to zero."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.proof import equation
from ufm.derivation.regimes import EVERYWHERE
from ufm.symbols import K, d

M, ONES = sp.MatrixSymbol("M", d, K), sp.MatrixSymbol("𝟏_K", K, 1)
x, y = sp.MatrixSymbol("x", d, 1), sp.MatrixSymbol("y", d, 1)


def uniformity_bound() -> Derivation:
    """The geometric mean of the squared distances is at most the arithmetic one, which a sum of all can only lower."""
    geometric = sp.Symbol("distance_geometric_mean", nonnegative=True)
    s, slack = sp.symbols("s epsilon", nonnegative=True)
    proof = Proof("Uniformity is bounded", "Any $K \\ge 2$ unit vectors, the columns of $M$, in any dimension.")
    proof.given("ones", "", {ONES.T * ONES: K * sp.Identity(1)}, shown=False)
    proof.identity(
        "pair",
        "The squared distance of two vectors is",
        (norm2(x - y), norm2(x) + norm2(y) - 2 * sp.Trace(x.T * y)),
    )
    proof.identity(
        "sum of products",
        "and the products of all ordered pairs sum to the squared norm of the sum,",
        (sp.Trace(ONES.T * M.T * M * ONES), norm2(M * ONES)),
    )
    proof.equal(
        "mean distance",
        "so that, with $\\lVert m_k \\rVert = 1$ and $s = \\lVert M 1 \\rVert^2$, the mean over the $K(K-1)$ ordered "
        "pairs is",
        (2 * K * K - 2 * s) / (K * (K - 1)),
        2 * K / (K - 1) - 2 * s / (K * (K - 1)),
    )
    proof.lemma(
        "means", "The geometric mean is at most that, by some $\\epsilon \\ge 0$,", lemma("inequality_of_means")
    )
    proof.sign(
        "bound",
        "and so it is at most",
        2 * K / (K - 1) - 2 * s / (K * (K - 1)) - slack <= 2 * K / (K - 1),
        regime=EVERYWHERE,
    )
    return proof.conclude(claims={"distance_geometric_mean": geometric <= 2 * K / (K - 1)})


def uniformity_simplex() -> Derivation:
    """All distances of a simplex ETF are one number."""
    a = sp.Symbol("a", positive=True)
    mean, variance = sp.Symbol("uniformity_mean", real=True), sp.Symbol("uniformity_variance", nonnegative=True)
    e, f = sp.MatrixSymbol("e_k", K, 1), sp.MatrixSymbol("e_l", K, 1)
    proof = Proof("The simplex", "$M'M = a^2 (I - 1 1'/K)$, with columns scaled to length 1.")
    proof.given(
        "two classes",
        "Let $e_k$ and $e_l$ pick two classes,",
        {
            e.T * e: sp.Identity(1),
            f.T * f: sp.Identity(1),
            e.T * f: sp.ZeroMatrix(1, 1),
            e.T * ONES: sp.Identity(1),
            f.T * ONES: sp.Identity(1),
            M.T * M: a**2 * (sp.Identity(K) - ONES * ONES.T / K),
        },
    )
    proof.identity(
        "lengths",
        "whose lengths and product are",
        (norm2(M * e), a**2 * (K - 1) / K),
        (sp.Trace(e.T * M.T * M * f), -(a**2) / K),
        (norm2(M * e - M * f), 2 * a**2),
    )
    proof.equal(
        "distance",
        "So every squared distance of unit vectors is one number: the kernel does not vary.",
        2 * a**2 / (a**2 * (K - 1) / K),
        2 * K / (K - 1),
    )
    return proof.conclude(
        claims={
            "uniformity_mean": equation(mean, -sp.log(2 * K / (K - 1)) / 2),
            "uniformity_variance": equation(variance, 0),
        }
    )


PROOFS: dict[str, Callable[[], Derivation]] = {
    "uniformity_bound": uniformity_bound,
    "uniformity_simplex": uniformity_simplex,
}
