"""Why the singular values of (I - n 1'/N) diag(sqrt n) decide: these are the centred targets in the class basis."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.directions import AT, CLASSES, DIRECTIONS, KEPT, LOST
from ufm.derivation.load import prove
from ufm.derivation.regimes import Regime, gamma, v
from ufm.symbols import COV_ROOT, K, N, SoftThreshold, lam_H, lam_W, n_k, tau

c = sp.Symbol("c", positive=True)
j, i = sp.symbols("j i", integer=True, positive=True)
D = sp.MatrixSymbol("D", K, K)  # diag(sqrt(n_k))
SIZES = sp.MatrixSymbol("n", K, 1)
ONES_K, ONES = sp.MatrixSymbol("𝟏_K", K, 1), sp.MatrixSymbol("𝟏_N", N, 1)
Q = sp.MatrixSymbol("Q", N, K)  # normalised indicators of the classes
q = sp.MatrixSymbol("q", K, 1)
ybar = sp.MatrixSymbol("ybar", K, 1)
Y = sp.MatrixSymbol("Y", K, N)
ROOT = sp.MatrixSymbol("Sigma_K^{1/2}", K, K)  # for one-hot codes m = K, and this is Sigma^{1/2}
YHAT = sp.MatrixSymbol("Yhat", K, K)


def spectrum() -> Derivation:
    """The centred one-hot targets are the printed matrix in an orthonormal basis, and shrinkage does the rest."""
    general = prove("shrinkage:free_bias")
    U_1, U_2 = sp.MatrixSymbol("U_1", K, j), sp.MatrixSymbol("U_2", K, i)
    S_1, S_2 = sp.MatrixSymbol("S_1", j, j), sp.MatrixSymbol("S_2", i, i)
    V_1, V_2 = sp.MatrixSymbol("V_1", N, j), sp.MatrixSymbol("V_2", N, i)
    proof = Proof("Unequal classes with a free bias", "One-hot targets with class sizes $n_k$, $\\lambda_b = 0$.")
    proof.define("mean weight", "Let", c, sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "", tau, N * c)
    proof.define("aspect", "and", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.section("The centred targets")
    proof.given(
        "one-hot",
        "With $D = \\mathrm{diag}(\\sqrt{n_k})$ and $Q$ the normalised indicators of the classes, $q = Q' "
        "\\mathbf{1}_N$ "
        "holds the $\\sqrt{n_k}$ and",
        {
            Y: D * Q.T,
            Q.T * Q: sp.Identity(K),
            Q.T * ONES: q,
            Q * q: ONES,
            ONES_K.T * D: q.T,
            D * q: SIZES,
            SIZES.T * ONES_K: N * sp.Identity(1),
            ONES.T * ONES: N * sp.Identity(1),
        },
    )
    proof.define("mean target", "The mean target is", ybar, Y * ONES / N)
    proof.define("the printed matrix", "and the printed matrix", YHAT, (sp.Identity(K) - SIZES * ONES_K.T / N) * D)
    centred: Any = Y - ybar * ONES.T
    proof.identity(
        "the same matrix",
        "is the centred target matrix in the basis $Q$: centring the samples from the right is centring the sizes from "
        "the "
        "left. So both have the same singular values and left singular vectors.",
        (centred, YHAT * Q.T),
        (centred * centred.T, YHAT * YHAT.T),
    )
    proof.section("The minimisers")
    proof.uses(
        "shrunk targets",
        "The theorem on shrinkage with a free bias gives every minimiser $(\\sigma_i - \\tau)_+$ on each direction, "
        "and "
        "$WW' = U_1 (S_1 - \\tau) U_1'/\\gamma^2$.",
        general,
    )
    orthogonal = {U_1.T * U_2: sp.ZeroMatrix(j, i), V_1.T * V_2: sp.ZeroMatrix(j, i)}
    unit = {U.T * U: sp.Identity(size) for U, size in ((U_1, j), (U_2, i), (V_1, j), (V_2, i))}
    proof.given("left vectors", "With the singular value decomposition of the centred targets,", {**orthogonal, **unit})
    split: Any = U_1 * S_1 * V_1.T + U_2 * S_2 * V_2.T
    proof.define(
        "root", "the root of $\\hat Y \\hat Y'/N$ is", ROOT, (U_1 * S_1 * U_1.T + U_2 * S_2 * U_2.T) / sp.sqrt(N)
    )
    proof.identity("covariance", "for", (ROOT * ROOT.T, split * split.T / N))
    shrunk = U_1 * (S_1 - tau * sp.Identity(j)) * U_1.T
    proof.equal(
        "scale",
        "and $WW'$ is, in the positive part of this root above $\\tau/\\sqrt N$, by the factor",
        sp.sqrt(N) / gamma**2,
        sp.sqrt(N * lam_H / lam_W),
    )
    proof.identity("classifier", "that is,", (shrunk / gamma**2, sp.sqrt(N) / gamma**2 * (shrunk / sp.sqrt(N))))
    part = SoftThreshold(COV_ROOT, sp.sqrt(N) * sp.sqrt(lam_W * lam_H))
    formulae = {
        "singular_values_centred": general.formulae["singular_values_centred"],
        "classifier_gram": sp.sqrt(N * lam_H / lam_W) * part,
    }
    return proof.conclude(formulae, {}, DIRECTIONS)


def small_rows() -> Derivation:
    """Two sizes: only the directions within the larger classes are kept, so that the smaller ones' rows are zero."""
    k_a, k_b = sp.symbols("K_A K_B", integer=True, positive=True)
    n_a, n_b = sp.symbols("n_A n_B", positive=True)
    J_A, J_B = sp.MatrixSymbol("J_A", K, k_a), sp.MatrixSymbol("J_B", K, k_b)
    ones_a, ones_b = sp.MatrixSymbol("𝟏_A", k_a, 1), sp.MatrixSymbol("𝟏_B", k_b, 1)
    V_A, V_B = sp.MatrixSymbol("V_A", k_a, j), sp.MatrixSymbol("V_B", k_b, i)
    e, one = sp.MatrixSymbol("e_k", k_a, 1), sp.Identity(1)
    proof = Proof(
        "The rows of small classes",
        "One-hot targets, $\\lambda_b = 0$, $K_A$ classes of $n_A$ samples and $K_B$ of $n_B < n_A$; $\\tau$ between "
        "$\\sqrt{n_A}$ and the singular value of the direction that tells the groups apart.",
    )
    proof.define("mean weight", "Let", c, sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "", tau, N * c)
    proof.define("aspect", "and", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    sizes = Regime("two sizes", "N = K_A n_A + K_B n_B", {N: k_a * n_a + k_b * n_b})
    proof.section("The singular directions")
    proof.given(
        "two groups",
        "Let the columns of $J_A$ and $J_B$ be the unit vectors of the two groups, and those of $V_A$ and $V_B$ "
        "orthonormal bases of the vectors of sum zero within each.",
        {
            J_A.T * J_A: sp.Identity(k_a),
            J_B.T * J_B: sp.Identity(k_b),
            J_A.T * J_B: sp.ZeroMatrix(k_a, k_b),
            D * J_A: sp.sqrt(n_a) * J_A,
            D * J_B: sp.sqrt(n_b) * J_B,
            D.T * J_A: sp.sqrt(n_a) * J_A,
            D.T * J_B: sp.sqrt(n_b) * J_B,
            ONES_K: J_A * ones_a + J_B * ones_b,
            SIZES: n_a * J_A * ones_a + n_b * J_B * ones_b,
            ones_a.T * V_A: sp.ZeroMatrix(1, j),
            ones_b.T * V_B: sp.ZeroMatrix(1, i),
            ones_a.T * ones_a: k_a * one,
            ones_b.T * ones_b: k_b * one,
            V_A.T * V_A: sp.Identity(j),
        },
    )
    proof.define("the printed matrix", "With the centred targets", YHAT, (sp.Identity(K) - SIZES * ONES_K.T / N) * D)
    for name, J, V, size in (("larger", J_A, V_A, n_a), ("smaller", J_B, V_B, n_b)):
        proof.identity(
            f"within the {name} classes",
            f"the vectors of sum zero within the {name} classes are singular directions from both sides,",
            (YHAT * J * V, sp.sqrt(size) * J * V),
            (YHAT.T * J * V, sp.sqrt(size) * J * V),
        )
    proof.identity(
        "the ones",
        "and the ones are left out, where $N = K_An_A + K_Bn_B$:",
        (YHAT.T * ONES_K, sp.ZeroMatrix(K, 1)),
        regime=sizes,
    )
    u: Any = J_A * ones_a / k_a - J_B * ones_b / k_b
    spread, length = n_b / k_b + n_a / k_a - (n_a - n_b) ** 2 / (k_a * n_a + k_b * n_b), 1 / k_a + 1 / k_b
    proof.identity(
        "the direction between",
        "The direction $u = J_A\\mathbf{1}_A/K_A - J_B\\mathbf{1}_B/K_B$ is the one left: orthogonal to the ones and "
        "to the others, with",
        (ONES_K.T * u, sp.ZeroMatrix(1, 1)),
        (u.T * YHAT * YHAT.T * u, spread * one),
        (u.T * u, length * one),
        regime=sizes,
    )
    proof.sign(
        "no smaller than the minority",
        "and the ratio, its singular value squared, is at least $n_B$.",
        sp.Ge(spread / length - n_b, 0, evaluate=False),
        regime=Regime("two sizes", "n_A > n_B", {n_a: n_b + v}),
    )
    proof.section("What is kept")
    proof.uses(
        "shrunk targets",
        "By assumption the direction between the groups does not exceed $\\tau$, and so neither do those of the "
        "smaller classes. $U_1 = J_AV_A$ is kept and nothing else, and shrinkage leaves "
        "$WW' = U_1(S_1-\\tau)U_1'/\\gamma^2$.",
        prove("shrinkage:free_bias"),
    )
    rows: Any = J_A * V_A * (sp.sqrt(n_a) - tau) * V_A.T * J_A.T / gamma**2
    proof.given(
        "projection",
        "With $V_AV_A' = I - \\frac1{K_A}\\mathbf{1}_A\\mathbf{1}_A'$ and the unit vector $e_k$ of a larger class,",
        {V_A * V_A.T: sp.Identity(k_a) - ones_a * ones_a.T / k_a, e.T * e: one, e.T * ones_a: one},
    )
    kept = (sp.sqrt(n_a) - tau) * (1 - 1 / k_a) / gamma**2
    proof.identity(
        "rows",
        "$\\lVert w_k\\rVert^2$ for a larger class, and for all smaller ones, is",
        (e.T * J_A.T * rows * J_A * e, kept * one),
        (J_B.T * rows * J_B, sp.ZeroMatrix(k_b, k_b)),
    )
    norm_kept = sp.sqrt((sp.sqrt(n_k) - tau) * (1 - 1 / k_a) / gamma**2)
    norm = proof.closed_form(
        "classifier_norm",
        "As $\\tau^2$ is between the two sizes, it tells them apart:",
        sp.Piecewise((norm_kept, sp.sqrt(n_k) > tau), (0, True)),
        {KEPT: norm_kept, AT: sp.S.Zero, LOST: sp.S.Zero},
    )
    return proof.conclude({"classifier_norm": norm}, {}, CLASSES)


PROOFS: dict[str, Callable[[], Derivation]] = {"spectrum": spectrum, "small_rows": small_rows}
