"""The NECO score: a projection shortens, and the principal directions of collapsed features lie among class means."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.proof import equation
from ufm.symbols import K, d

r = sp.Symbol("r", integer=True, positive=True)
P, h = sp.MatrixSymbol("P", d, r), sp.MatrixSymbol("h", d, 1)


def between_zero_and_one() -> Derivation:
    """||h||^2 - ||P'h||^2 is a square."""
    score = sp.Symbol("neco", real=True)
    proof = Proof("The range of the score", "Any $h \\ne 0$, orthonormal directions $P$.")
    proof.given("directions", "The directions are orthonormal,", {P.T * P: sp.Identity(r)})
    proof.squares(
        "projection",
        "so that a projection shortens:",
        norm2(h) - norm2(P.T * h),
        sp.S.Zero,
        [(sp.S.One, h - P * P.T * h)],
    )
    return proof.conclude(claims={"neco": (score <= 1, score >= 0)})


def nc5_score() -> Derivation:
    """P = M_c A, and M_c = M (I - q 1') is orthogonal to o where M is."""
    M, A = sp.MatrixSymbol("M", d, K), sp.MatrixSymbol("A", K, r)
    C, o = sp.MatrixSymbol("C", K, K), sp.MatrixSymbol("o", d, 1)
    q, ONES = sp.MatrixSymbol("q", K, 1), sp.MatrixSymbol("𝟏_K", K, 1)
    Z = sp.MatrixSymbol("Z", K, 1)
    proof = Proof("NC5 and the score", "Collapsed features with class means $M$, shares $q$ of the samples; $M'o = 0$.")
    proof.define("centring", "The centred class means are $M C$ with", C, sp.Identity(K) - q * ONES.T)
    proof.define(
        "directions",
        "Principal directions of collapsed features with non-zero variance lie in their span:",
        P,
        M * C * A,
    )
    proof.follows(
        "orthogonal",
        "so where $M' o$ vanishes, so does the projection.",
        P.T * o,
        sp.ZeroMatrix(r, 1),
        {Z: M.T * o},
        A.T * (sp.Identity(K) - ONES * q.T) * Z,
    )
    return proof.conclude(claims={"neco": equation(P.T * o, sp.ZeroMatrix(r, 1))})


PROOFS: dict[str, Callable[[], Derivation]] = {"range": between_zero_and_one, "nc5_score": nc5_score}
