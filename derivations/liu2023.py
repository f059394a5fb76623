"""The least-squares classifier for one-hot targets from the total covariance and the class means."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
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


PROOFS: dict[str, Callable[[], Derivation]] = {"least_squares_corrected": least_squares_corrected}
