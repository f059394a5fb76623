"""Classes of any codes and any sizes: their targets are a matrix of K columns."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine.shallow import BIAS, Bias, i, j, unit, zero
from ufm.derivation.proof import Proof
from ufm.derivation.regimes import gamma
from ufm.symbols import K, N, SoftThreshold, lam_H, lam_W, m, tau

CODES: Any = sp.MatrixSymbol("C", m, K)
D: Any = sp.MatrixSymbol("D", K, K)  # diag(sqrt(n_k))
ROOT = sp.MatrixSymbol("(A'A)^{1/2}", K, K)
Q, q = sp.MatrixSymbol("Q_K", N, K), sp.MatrixSymbol("q_K", K, 1)  # normalised indicators of the classes, Q'1
ONES: Any = sp.MatrixSymbol("𝟏_N", N, 1)
ONES_K = sp.MatrixSymbol("𝟏_K", K, 1)
TARGETS, MEAN = sp.MatrixSymbol("Y_C", m, N), sp.MatrixSymbol("ybar_C", m, 1)
A = sp.MatrixSymbol("A_C", m, K)


def any_classes(bias: Bias, general: Derivation, *, shallow: bool) -> Derivation:
    """What was derived of any targets, with singular values that are those of the m x K matrix of the classes.

    general: the optimum of any targets; shallow: with one linear layer the class means' Gram matrix is derived as well.
    """
    off = "" if bias == "none" else " less their mean over the samples"
    proof = Proof(
        "The optimum of any classes",
        f"Squared loss, {BIAS[bias]}, $K$ classes of any codes $C$ and sizes $n_k$, a width of at least the number of "
        "directions that are kept.",
    )
    proof.carry(general)
    proof.section("The targets of classes")
    one = sp.Identity(1)
    proof.given(
        "classes",
        "With $D = \\mathrm{diag}(\\sqrt{n_k})$ and the normalised indicators of the classes,",
        {
            TARGETS: CODES * D * Q.T,
            **unit((Q, K)),
            Q.T * ONES: q,
            Q * q: ONES,
            ONES_K.T * D: q.T,
            ONES.T * ONES: N * one,
            q.T * q: N * one,
        },
    )
    proof.define("mean code", "the mean target is", MEAN, TARGETS * ONES / N)
    columns, shown = (CODES - MEAN * ONES_K.T) * D, TARGETS - MEAN * ONES.T
    if bias == "none":
        columns, shown = CODES * D, TARGETS
    proof.define(
        "columns of classes", f"Let $A$ hold the codes{off}, each times the root of its class's size.", A, columns
    )
    proof.identity(
        "singular values of classes",
        f"It is the target matrix{'' if bias == 'none' else ' without its mean'} in an orthonormal basis: its singular "
        "values and left singular vectors are those that are shrunk.",
        (shown, A * Q.T),
        (shown * shown.T, A * A.T),
    )
    formulae = {name: formula for name, formula in general.formulae.items() if name != "logits"}
    if shallow and bias != "penalised":
        formulae["gram"] = _gram(proof)
    return proof.conclude(formulae, dict(general.claims), general.regimes)


def _gram(proof: Proof) -> Any:
    """The Gram matrix of the class means, from H'H = gamma^2 V_1 (S_1 - tau) V_1'."""
    U_1, U_2, V_1, V_2 = (
        sp.MatrixSymbol(f"{x}_{k}", n, s) for x, n in (("U", m), ("V", K)) for k, s in ((1, j), (2, i))
    )
    S_1, S_2 = sp.MatrixSymbol("S_1", j, j), sp.MatrixSymbol("S_2", i, i)
    inverse, means = sp.MatrixSymbol("D^{-1}", K, K), sp.MatrixSymbol("G", K, K)
    kept = S_1 - tau * sp.Identity(j)
    proof.section("The class means")
    proof.define("shrinkage of the classes", "", tau, N * sp.sqrt(lam_W * lam_H), shown=False)
    proof.define("aspect of the classes", "", gamma, (lam_W / lam_H) ** sp.Rational(1, 4), shown=False)
    parts: Any = U_1 * S_1 * V_1.T + U_2 * S_2 * V_2.T
    orthogonal = {U_1.T * U_2: zero(j, i), V_1.T * V_2: zero(j, i)}
    proof.given(
        "parts",
        "Let $A = U_1S_1V_1' + U_2S_2V_2'$, with the kept directions first.",
        {**unit((U_1, j), (U_2, i), (V_1, j), (V_2, i)), **orthogonal},
        shown=False,
    )
    root: Any = V_1 * S_1 * V_1.T + V_2 * S_2 * V_2.T
    proof.identity("root", "Then $V_1S_1V_1' + V_2S_2V_2'$ is the root of $A'A$:", (root.T * root, parts.T * parts))
    features = gamma**2 * Q * V_1 * kept * V_1.T * Q.T
    proof.define(
        "Gram matrix of the means",
        "The features have $H'H = \\gamma^2 QV_1 (S_1 - \\tau) V_1'Q'$, and so their class means $HQD^{-1}$",
        means,
        inverse * Q.T * features * Q * inverse,
    )
    proof.identity(
        "part of the root",
        "that is, in the part of that root above $\\tau$,",
        (means, sp.sqrt(lam_W / lam_H) * inverse * V_1 * kept * V_1.T * inverse),
    )
    return sp.sqrt(lam_W / lam_H) * inverse * SoftThreshold(ROOT, N * sp.sqrt(lam_W * lam_H)) * inverse
