"""Why the singular values of (I - n 1'/N) diag(sqrt n) decide: these are the centred targets in the class basis."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.directions import DIRECTIONS
from ufm.derivation.load import prove
from ufm.derivation.regimes import gamma
from ufm.symbols import COV_ROOT, K, N, SoftThreshold, lam_H, lam_W, tau

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


PROOFS: dict[str, Callable[[], Derivation]] = {"spectrum": spectrum}
