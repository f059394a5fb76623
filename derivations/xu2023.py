"""The variability collapse index: what of the class indicators lies in the row space of the centred features."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.proof import equation
from ufm.symbols import K, N, d

r, rho = sp.Symbol("r", integer=True, positive=True), sp.Symbol("rho", integer=True, positive=True)
n = sp.Symbol("n", positive=True)  # a class size
vci, moved = sp.Symbol("vci", real=True), sp.Symbol("vci_moved", real=True)
loss, weighted = sp.Symbol("probe_loss", real=True), sp.Symbol("weighted_probe_loss", real=True)
U, V = sp.MatrixSymbol("U", d, r), sp.MatrixSymbol("V", N, r)
S, R = sp.MatrixSymbol("S", r, r), sp.MatrixSymbol("R", r, r)  # inverses of each other
F = sp.MatrixSymbol("F", N, K)
HC = sp.MatrixSymbol("H_c", d, N)
ONES = sp.MatrixSymbol("𝟏_N", N, 1)
W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)
b, hbar = sp.MatrixSymbol("b", K, 1), sp.MatrixSymbol("hbar", d, 1)
TOTAL, TOTAL_INVERSE = sp.MatrixSymbol("Sigma_T", d, d), sp.MatrixSymbol("Sigma_T^+", d, d)
BETWEEN = sp.MatrixSymbol("Sigma_B", d, d)
one_r = sp.Identity(r)
INVERSES = {R * S: one_r, S * R: one_r}


def _features(proof: Proof) -> None:
    """Centred features by their singular value decomposition, class indicators by an orthonormal basis."""
    proof.section("The features")
    proof.given(
        "features",
        "Let $H_c = U S V'$ be the thin singular value decomposition of the centred features, $R = S^{-1}$, and let "
        "the columns of $F$ be the class indicators over $\\sqrt{n_k}$. As $H_c$ is centred, $V' 1 = 0$; as $1$ is a "
        "sum of indicators, $F F' 1 = 1$.",
        {
            HC: U * S * V.T,
            U.T * U: one_r,
            V.T * V: one_r,
            **INVERSES,
            V.T * ONES: sp.ZeroMatrix(r, 1),
            ONES.T * ONES: N * sp.Identity(1),
            F.T * F: sp.Identity(K),
            F * F.T * ONES: ONES,
        },
    )
    proof.define("total", "The total covariance is", TOTAL, HC * HC.T / N)
    proof.define("pseudo-inverse", "with the pseudo-inverse", TOTAL_INVERSE, N * U * R.T * R * U.T)
    proof.define(
        "between",
        "and, as $H_c F$ has the columns $\\sqrt{n_k} (\\bar h_k - \\bar h)$,",
        BETWEEN,
        HC * F * F.T * HC.T / N,
    )
    proof.identity(
        "pseudo-inverse holds",
        "The conditions of Penrose hold (and both products are symmetric):",
        (TOTAL * TOTAL_INVERSE, U * U.T),
        (TOTAL_INVERSE * TOTAL, U * U.T),
        (TOTAL * TOTAL_INVERSE * TOTAL, TOTAL),
        (TOTAL_INVERSE * TOTAL * TOTAL_INVERSE, TOTAL_INVERSE),
    )
    proof.identity(
        "explained",
        "So the trace is what of the class indicators lies in the row space of the centred features,",
        (sp.Trace(TOTAL_INVERSE * BETWEEN), norm2(F.T * V)),
    )


def between_zero_and_one() -> Derivation:
    """The trace is a squared norm, and the rank less the trace is another."""
    P, C = sp.MatrixSymbol("P", K, rho), sp.MatrixSymbol("C", r, rho)
    proof = Proof("The range of the index", "Any features whose class means differ: the index is between 0 and 1.")
    _features(proof)
    proof.section("The bounds")
    proof.define(
        "index",
        "With $\\rho$ the rank of $\\Sigma_B$, which is that of $F'V$, the index is",
        vci,
        1 - norm2(F.T * V) / rho,
    )
    proof.squares("above", "One less the index is a square,", 1 - vci, sp.S.Zero, [(1 / rho, F.T * V)])
    proof.given(
        "row space of F'V",
        "Let the $\\rho$ columns of $C$ be an orthonormal basis of the row space of $F'V$.",
        {F.T * V: P * C.T, C.T * C: sp.Identity(rho)},
    )
    proof.squares("below", "and so is the index:", vci, sp.S.Zero, [(1 / rho, V * C - F * F.T * V * C)])
    return proof.conclude(claims={"vci": (vci <= 1, vci >= 0)})


def invariance() -> Derivation:
    """An invertible map keeps the row space of the centred features, and the index is a function of that alone."""
    A, B = sp.MatrixSymbol("A", d, d), sp.MatrixSymbol("B", d, d)
    U1, V1 = sp.MatrixSymbol("U_1", d, r), sp.MatrixSymbol("V_1", N, r)
    S1, R1 = sp.MatrixSymbol("S_1", r, r), sp.MatrixSymbol("R_1", r, r)
    Z_3, Z_4 = sp.MatrixSymbol("Z_3", d, N), sp.MatrixSymbol("Z_4", d, N)
    Z_5, Z_6 = sp.MatrixSymbol("Z_5", r, N), sp.MatrixSymbol("Z_6", r, N)
    proof = Proof("Linear maps", "Any features, $A$ invertible: the index of $A H$ is that of $H$.")
    _features(proof)
    proof.section("The moved features")
    proof.given(
        "moved features",
        "Let $A H_c = U_1 S_1 V_1'$ be the thin singular value decomposition of the moved features, which have the "
        "same rank; $B = A^{-1}$, $R_1 = S_1^{-1}$.",
        {
            A * B: sp.Identity(d),
            B * A: sp.Identity(d),
            U1.T * U1: one_r,
            V1.T * V1: one_r,
            R1 * S1: one_r,
            S1 * R1: one_r,
        },
    )
    there = {Z_3: A * U * S * V.T - U1 * S1 * V1.T}
    back = {Z_4: U * S * V.T - B * U1 * S1 * V1.T}
    proof.follows("back", "Then", U * S * V.T, B * U1 * S1 * V1.T, there, B * Z_3)
    proof.follows(
        "new in old",
        "The new row space lies in the old one,",
        V1.T * V * V.T,
        V1.T,
        there,
        R1 * U1.T * (Z_3 - Z_3 * V * V.T),
    )
    proof.follows(
        "old in new", "and the old one in the new one,", V.T * V1 * V1.T, V.T, back, R * U.T * (Z_4 * V1 * V1.T - Z_4)
    )
    both = {Z_5: V1.T * V * V.T - V1.T, Z_6: V.T * V1 * V1.T - V.T}
    proof.follows("one row space", "so they are one:", V * V.T, V1 * V1.T, both, V1 * Z_5 - Z_6.T * V.T)
    proof.section("The index")
    proof.define(
        "index",
        "The index sees the features through this space only ($\\rho$ is kept too):",
        vci,
        1 - norm2(F.T * V) / rho,
    )
    proof.define("moved index", "", moved, 1 - norm2(F.T * V1) / rho)
    same = {Z_3: V * V.T - V1 * V1.T}
    proof.follows("unchanged", "so that", moved, vci, same, sp.Trace(F.T * Z_3 * F) / rho)
    return proof.conclude(claims={"vci_moved": equation(moved, vci)})


def _probe(proof: Proof) -> None:
    """The least squared loss for targets sqrt(N) F', that is sqrt(N/n_k) e_k in class k."""
    proof.section("The probe")
    proof.define("uncentred", "The features themselves are", H, U * S * V.T + hbar * ONES.T)
    proof.define("index", "and the index, for $K - 1$ independent class means, is", vci, 1 - norm2(F.T * V) / (K - 1))
    targets = sp.sqrt(N) * F.T
    proof.squares(
        "sum of squares",
        "For targets $\\sqrt N F'$, that is $\\sqrt{N/n_k}\\, e_k$ in class $k$, the loss is a constant and two "
        "squares,",
        norm2(W * H + b * ONES.T - targets) / N,
        K - 1 - norm2(F.T * V),
        [
            (1 / N, W * U * S * V.T - targets * V * V.T),
            (sp.S.One, W * hbar + b - F.T * ONES / sp.sqrt(N)),
        ],
    )
    best = targets * V * R * U.T
    proof.identity(
        "attained",
        "which vanish together at a point:",
        (best * U * S * V.T, targets * V * V.T),
        (best * hbar + b, F.T * ONES / sp.sqrt(N)),
        where={b: F.T * ONES / sp.sqrt(N) - best * hbar},
    )


def probe_weighted() -> Derivation:
    """The constant is K - 1 times the index."""
    proof = Proof(
        "A linear probe for weighted targets", "Classes of any sizes, $K - 1$ independent class means, a free bias."
    )
    _features(proof)
    _probe(proof)
    proof.define("least loss", "So the least loss is", weighted, K - 1 - norm2(F.T * V))
    proof.identity("by the index", "and", (weighted, (K - 1) * vci))
    return proof.conclude(claims={"weighted_probe_loss": equation(weighted, (K - 1) * vci)})


def probe_balanced() -> Derivation:
    """Classes of one size: one-hot targets are the weighted ones over sqrt(K)."""
    proof = Proof(
        "A linear probe for one-hot targets", "Classes of one size, $K - 1$ independent class means, a free bias."
    )
    _features(proof)
    _probe(proof)
    proof.section("One-hot targets")
    root, targets = sp.sqrt(K), sp.sqrt(N) * F.T
    proof.identity(
        "one size",
        "With $n_k = N/K$ one-hot targets are $\\sqrt{n_k} F' = \\sqrt N F'/\\sqrt K$: their loss at $W/\\sqrt K$, "
        "$b/\\sqrt K$ is that of the weighted ones at $W$, $b$, over $K$.",
        (
            norm2(W * H / root + b * ONES.T / root - targets / root) / N,
            norm2(W * H + b * ONES.T - targets) / (N * K),
        ),
    )
    proof.define("least loss", "So the least loss is", loss, (K - 1 - norm2(F.T * V)) / K)
    proof.identity("by the index", "and", (loss, (K - 1) / K * vci))
    return proof.conclude(claims={"probe_loss": equation(loss, (K - 1) / K * vci)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "range": between_zero_and_one,
    "invariance": invariance,
    "probe_balanced": probe_balanced,
    "probe_weighted": probe_weighted,
}
