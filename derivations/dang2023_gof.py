"""Why unequal one-hot classes have a general orthogonal frame: the shrinkage of any targets, class by class."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.directions import AT, CLASSES, KEPT, LOST
from ufm.derivation.load import prove
from ufm.derivation.regimes import gamma
from ufm.symbols import K, N, d, delta_kl, lam_H, lam_W, n_k, tau

c = sp.Symbol("c", positive=True)
j = sp.Symbol("j", integer=True, positive=True)
W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)
U, S, V = sp.MatrixSymbol("U_1", K, j), sp.MatrixSymbol("S_1", j, j), sp.MatrixSymbol("V_1", N, j)
E_K, E_L, E_LOST = (
    sp.MatrixSymbol(f"e_{k}", K, 1) for k in ("k", "l", "0")
)  # unit vectors: two kept classes, a lost one
Y_K, Y_L, Y_LOST = (sp.MatrixSymbol(f"y_{k}", N, 1) for k in ("k", "l", "0"))  # their indicators: rows of Y
A_K, A_L = sp.MatrixSymbol("a_k", j, 1), sp.MatrixSymbol("a_l", j, 1)
NONE = sp.ZeroMatrix(1, 1)


def _entries(proof: Proof) -> None:
    """Gram matrices and product between the classes, from those over the samples."""
    one = sp.Identity(1)
    shrunk = S - tau * sp.Identity(j)
    proof.section("Class by class")
    proof.uses(
        "shrunk targets",
        "With the singular value decomposition of the targets, $S_1$ the singular values above $\\tau$, every "
        "minimiser "
        "has the $W H$, $H'H$ and $WW'$ of the theorem on shrinkage without a bias.",
        prove("shrinkage:no_bias"),
    )
    proof.given("product", "They are", {W * H: U * shrunk * V.T}, shown=True)
    proof.given("features", "", {H.T * H: gamma**2 * V * shrunk * V.T}, shown=True)
    proof.given("classifier", "and", {W * W.T: U * shrunk * U.T / gamma**2}, shown=True)
    kept = {
        V.T * Y_K: sp.sqrt(n_k) * A_K,
        U.T * E_K: A_K,
        U.T * E_L: A_L,
        S * A_K: sp.sqrt(n_k) * A_K,
        A_K.T * A_K: one,
        A_L.T * A_K: NONE,
    }
    other = sp.Symbol("n_l", integer=True, positive=True)
    kept |= {V.T * Y_L: sp.sqrt(other) * A_L, S * A_L: sp.sqrt(other) * A_L, A_L.T * A_L: one}
    lost = {V.T * Y_LOST: sp.ZeroMatrix(j, 1), U.T * E_LOST: sp.ZeroMatrix(j, 1)}
    proof.given(
        "one-hot",
        "The rows of one-hot targets are the indicators $y_k$ of the classes, orthogonal and of length $\\sqrt{n_k}$. "
        "So "
        "$\\sqrt{n_k}$ is a singular value with the vectors $e_k$ and $y_k/\\sqrt{n_k}$: kept, as column $a_k$ of the "
        "identity, where $n_k > \\tau^2$,",
        kept,
    )
    proof.given("lost classes", "and among the others where $n_k \\le \\tau^2$.", lost)
    rest = sp.sqrt(n_k) - tau
    proof.identity(
        "kept classes",
        "The class means are $\\bar h_k = H y_k/n_k$. For a kept class,",
        (Y_K.T * H.T * H * Y_K / n_k**2, gamma**2 * rest / n_k * one),
        (E_K.T * W * W.T * E_K, rest / gamma**2 * one),
        (E_K.T * W * H * Y_K / n_k, rest / sp.sqrt(n_k) * one),
    )
    proof.identity(
        "two classes",
        "two different classes are orthogonal,",
        (Y_L.T * H.T * H * Y_K, NONE),
        (E_L.T * W * W.T * E_K, NONE),
        (E_L.T * W * H * Y_K, NONE),
    )
    proof.identity(
        "lost",
        "and a lost class falls to the origin.",
        (Y_LOST.T * H.T * H * Y_LOST, NONE),
        (E_LOST.T * W * W.T * E_LOST, NONE),
    )


_SENTENCES = {
    "gram": "Between classes $k$ and $l$, $\\delta_{kl} = 1$ for one and the same, $\\bar h_k'\\bar h_l$ is",
    "classifier_gram": "$w_k'w_l$ is",
    "logits": "and $w_k'\\bar h_l$ is",
}


def thm4_1() -> Derivation:
    """Each class has its own length, set by its own size; a class of at most tau^2 samples has none."""
    proof = Proof(
        "A general orthogonal frame",
        "One-hot targets with class sizes $n_k$, no bias, width at least $K$: $\\bar H'\\bar H$, $WW'$ and $W\\bar H$ "
        "are "
        "diagonal at every global minimum, and class $k$ is at the origin if $n_k \\le \\tau^2$.",
    )
    proof.define("mean weight", "Let", c, sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "and", tau, N * c)
    proof.define("aspect", "and", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    _entries(proof)
    proof.section("The closed form")
    rest = sp.sqrt(n_k) - tau
    forms = {
        "gram": (gamma**2 * rest / n_k, delta_kl),
        "classifier_gram": (rest / gamma**2, delta_kl),
        "logits": (rest / sp.sqrt(n_k), delta_kl),
    }
    formulae: dict[str, Any] = {}
    for name, (kept, factor) in forms.items():
        whole = sp.Piecewise((kept, sp.sqrt(n_k) > tau), (0, True)) * factor
        formulae[name] = proof.closed_form(
            name, _SENTENCES[name], whole, {KEPT: kept * factor, AT: sp.S.Zero, LOST: sp.S.Zero}
        )
    return proof.conclude(formulae, {"lost": "hbar_k = 0 and w_k = 0 if n_k <= N^2 lam_W lam_H"}, CLASSES)


PROOFS: dict[str, Callable[[], Derivation]] = {"thm4_1": thm4_1}
