"""The metrics NC1 and NC2: what the pseudo-inverse sees, and the overlap with a simplex."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.proof import equation
from ufm.derivation.regimes import EVERYWHERE
from ufm.symbols import K, N, d

r = sp.Symbol("r", integer=True, positive=True)


def nc1_zero_corrected() -> Derivation:
    """Sigma_B^+ is a square, so the trace is a squared norm, of what the within-class part has along the means."""
    U, V = sp.MatrixSymbol("U", d, r), sp.MatrixSymbol("V", K, r)
    S, R = sp.MatrixSymbol("S", r, r), sp.MatrixSymbol("R", r, r)
    B, B_inverse = sp.MatrixSymbol("B", d, K), sp.MatrixSymbol("B^+", K, d)
    HW = sp.MatrixSymbol("H_w", d, N)
    within, inverse = sp.MatrixSymbol("Sigma_W", d, d), sp.MatrixSymbol("Sigma_B^+", d, d)
    Z = sp.MatrixSymbol("Z", K, N)
    nc1, energy = sp.Symbol("nc1", real=True), sp.Symbol("||B^+ H_w||^2", nonnegative=True)
    proof = Proof("What NC1 sees", "Any features whose class means differ, classes of any sizes.")
    proof.given(
        "class means",
        "Let $B = U S V'$ be the thin singular value decomposition of the centred class means times $\\sqrt{n_k/N}$, "
        "so that $\\Sigma_B = B B'$, and $R = S^{-1}$.",
        {
            B: U * S * V.T,
            U.T * U: sp.Identity(r),
            V.T * V: sp.Identity(r),
            R * S: sp.Identity(r),
            S * R: sp.Identity(r),
        },
    )
    proof.define("pseudo-inverse", "The pseudo-inverses are", B_inverse, V * R * U.T)
    proof.define("pseudo-inverse of the covariance", "and", inverse, U * R.T * R * U.T)
    proof.identity(
        "Penrose",
        "as the conditions of Penrose hold:",
        (B * B_inverse, U * U.T),
        (B_inverse * B, V * V.T),
        (B * B.T * inverse, U * U.T),
        (inverse * B * B.T, U * U.T),
        (inverse * B * B.T * inverse, inverse),
    )
    proof.define("within", "With the within-class covariance", within, HW * HW.T / N)
    proof.identity("square", "the trace is a square,", (sp.Trace(within * inverse), norm2(B_inverse * HW) / N))
    proof.follows(
        "zero",
        "which vanishes only if the within-class part is orthogonal to the class means:",
        U.T * HW,
        sp.ZeroMatrix(r, N),
        {Z: V * R * U.T * HW},
        S * V.T * Z,
    )
    proof.define("energy", "So with", energy, norm2(B_inverse * HW))
    proof.define("nc1", "the metric is", nc1, sp.Trace(within * inverse) / K)
    proof.identity("nc1 is", "that is,", (nc1, energy / (N * K)))
    return proof.conclude(claims={"nc1": equation(nc1, energy / (N * K))})


def nc2() -> Derivation:
    """Both normalised Gram matrices have norm 1; their product has a trace that is a squared norm."""
    W, J, ONES = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("J", K, K), sp.MatrixSymbol("𝟏_K", K, 1)
    g, o = sp.Symbol("g", positive=True), sp.Symbol("o", nonnegative=True)
    squared = sp.Symbol("nc2_squared", real=True)
    one = sp.Identity(K)
    proof = Proof("The range of NC2", "Any classifier $W \\ne 0$; $g = \\lVert W W' \\rVert$, $J = I - 1 1'/K$.")
    proof.given("ones", "", {ONES.T * ONES: K * sp.Identity(1)}, shown=False)
    proof.define("centring", "The centring matrix", J, one - ONES * ONES.T / K)
    proof.identity("projection", "is a projection of trace $K - 1$:", (J * J.T, J))
    proof.identity("its norm", "", (norm2(J), K - 1))
    proof.identity(
        "distance",
        "So the distance, times $g$ and squared, is",
        (
            norm2(W * W.T - g * J / sp.sqrt(K - 1)),
            norm2(W * W.T) - 2 * g * norm2(J * W) / sp.sqrt(K - 1) + g**2,
        ),
    )
    proof.equal(
        "overlap",
        "With $\\lVert W W' \\rVert^2 = g^2$ and $o = \\lVert J W \\rVert^2/g$ this is $g^2$ times",
        (g**2 - 2 * g * (o * g) / sp.sqrt(K - 1) + g**2) / g**2,
        2 - 2 * o / sp.sqrt(K - 1),
    )
    proof.sign("at most 2", "and $o$ is not negative.", 2 - 2 * o / sp.sqrt(K - 1) <= 2, regime=EVERYWHERE)
    return proof.conclude(
        claims={"nc2_squared": (equation(squared, 2 - 2 * o / sp.sqrt(K - 1)), squared <= 2, squared >= 0)}
    )


PROOFS: dict[str, Callable[[], Derivation]] = {"nc1_zero_corrected": nc1_zero_corrected, "nc2": nc2}
