"""Class-distance normalised variance: invariance, and its least value for classes of equal spread."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.proof import equation
from ufm.derivation.regimes import EVERYWHERE
from ufm.symbols import K, d

moved, before = sp.Symbol("cdnv_moved", nonnegative=True), sp.Symbol("cdnv", nonnegative=True)


def similarity() -> Derivation:
    """Every squared distance is multiplied by one number."""
    a, v, D = sp.symbols("a v D", positive=True)
    Q, x, y = sp.MatrixSymbol("Q", d, d), sp.MatrixSymbol("x", d, 1), sp.MatrixSymbol("y", d, 1)
    shift = sp.MatrixSymbol("u", d, 1)
    proof = Proof("Similarities", "Any features; $Q$ orthogonal, $a \\ne 0$.")
    proof.given("rotation", "Let", {Q.T * Q: sp.Identity(d)})
    proof.identity(
        "distances",
        "The squared distance of any two points, samples or class means, is multiplied by $a^2$,",
        (norm2((a * Q * x + shift) - (a * Q * y + shift)), a**2 * norm2(x - y)),
    )
    proof.equal("ratio", "and so are variances $v$ and distances $D$: their ratio stays.", a**2 * v / (a**2 * D), v / D)
    return proof.conclude(claims={"cdnv_moved": equation(moved, before)})


def least() -> Derivation:
    """The mean of 1/D is at least one over the mean of D, which is tr Sigma_B up to a factor."""
    M, ONES, J = sp.MatrixSymbol("M", d, K), sp.MatrixSymbol("𝟏_K", K, 1), sp.MatrixSymbol("J", K, K)
    v, B, slack = sp.symbols("v B epsilon", positive=True)
    ratio = sp.Symbol("tr Sigma_W/tr Sigma_B", nonnegative=True)
    proof = Proof("The least value", "Classes of one size and one variance $v$, class means $M$.")
    proof.given("ones", "", {ONES.T * ONES: K * sp.Identity(1)}, shown=False)
    proof.define("centring", "With the centring matrix", J, sp.Identity(K) - ONES * ONES.T / K)
    proof.identity(
        "pairs",
        "the squared distances of all ordered pairs, $\\sum_{kl} \\lVert m_k \\rVert^2 + \\lVert m_l \\rVert^2 - "
        "2 m_k' m_l$, sum to",
        (2 * K * norm2(M) - 2 * norm2(M * ONES), 2 * K * norm2(M * J)),
    )
    proof.equal(
        "mean distance",
        "So, with $B = \\mathrm{tr}\\, \\Sigma_B = \\lVert M J \\rVert^2/K$, their mean over the $K(K-1)$ ordered "
        "pairs is",
        2 * K * (K * B) / (K * (K - 1)),
        2 * K * B / (K - 1),
    )
    proof.lemma(
        "means",
        "The arithmetic mean of the reciprocals $1/D_{kl}$ is at least one over the arithmetic mean of the $D_{kl}$,",
        lemma("inequality_of_means"),
    )
    proof.sign(
        "bound",
        "so the measure, the mean of $v/D_{kl}$, exceeds $v$ over the mean distance by some multiple $\\epsilon$ of "
        "$v$, and is at least (where $v/B$ is the ratio of the traces)",
        v * ((K - 1) / (2 * K * B) + slack) >= (K - 1) / (2 * K) * (v / B),
        regime=EVERYWHERE,
    )
    return proof.conclude(claims={"cdnv": before >= (K - 1) / (2 * K) * ratio})


PROOFS: dict[str, Callable[[], Derivation]] = {"similarity": similarity, "least": least}
