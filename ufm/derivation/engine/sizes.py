"""One-hot classes of unequal sizes without a bias: a general orthogonal frame, class by class."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.directions import AT, CLASSES, KEPT, LOST
from ufm.derivation.engine.shallow import H_Q, KEPT_PART, S_1, U_1, V_1, W, j, shrinkage, zero
from ufm.derivation.proof import Proof
from ufm.derivation.regimes import gamma
from ufm.symbols import K, N, Total, delta_kl, lam_H, lam_W, m, n_k, n_l, sigma, tau

c = sp.Symbol("c", positive=True)
E_K, E_L, E_LOST = (sp.MatrixSymbol(f"e_{k}", m, 1) for k in ("k", "l", "0"))  # two kept classes, a lost one
F_K, F_L, F_LOST = (sp.MatrixSymbol(f"f_{k}", H_Q.shape[1], 1) for k in ("k", "l", "0"))
A_K, A_L = sp.MatrixSymbol("a_k", j, 1), sp.MatrixSymbol("a_l", j, 1)
ONE, NONE = sp.Identity(1), sp.ZeroMatrix(1, 1)


def unequal_classes() -> Derivation:
    """Gram matrices and outputs for class sizes n_k; a class of at most tau^2 samples is lost."""
    proof = Proof(
        "A general orthogonal frame",
        "Squared loss, one-hot targets with class sizes $n_k$, no bias, a width of at least $K$: $\\bar H'\\bar H$, "
        "$WW'$ and $W\\bar H$ are diagonal at every global minimum, and class $k$ is at the origin if "
        "$n_k \\le \\tau^2$.",
    )
    proof.carry(shrinkage("none"))
    proof.section("Class by class")
    proof.define("mean weight of the classes", "", c, sp.sqrt(lam_W * lam_H), shown=False)
    proof.define("shrinkage of the classes", "", tau, N * c, shown=False)
    proof.define("aspect of the classes", "", gamma, (lam_W / lam_H) ** sp.Rational(1, 4), shown=False)
    proof.given("every minimiser", "", {W * H_Q: U_1 * KEPT_PART * V_1.T,
                H_Q.T * H_Q: gamma**2 * V_1 * KEPT_PART * V_1.T,
                W * W.T: U_1 * KEPT_PART * U_1.T / gamma**2}, shown=False)  # fmt: skip
    _entries(proof)
    proof.section("The closed form of each class")
    rest = sp.sqrt(n_k) - tau
    forms = {
        "gram": ("Between classes $k$ and $l$, $\\delta_{kl} = 1$ for one and the same, $\\bar h_k'\\bar h_l$ is",
                 gamma**2 * rest / n_k),
        "classifier_gram": ("$w_k'w_l$ is", rest / gamma**2),
        "logits": ("and $w_k'\\bar h_l$ is", rest / sp.sqrt(n_k)),
    }  # fmt: skip
    formulae: dict[str, Any] = {}
    for name, (sentence, kept) in forms.items():
        whole = sp.Piecewise((kept, sp.sqrt(n_k) > tau), (0, True)) * delta_kl
        pieces = {KEPT: kept * delta_kl, AT: sp.S.Zero, LOST: sp.S.Zero}
        formulae[name] = proof.closed_form(name, sentence, whole, pieces)
    general = shrinkage("none").formulae
    formulae["singular_values"] = general["shrunk"].xreplace({tau: N * sp.sqrt(lam_W * lam_H)})
    formulae["value"] = Total(general["part"].xreplace({tau: N * sp.sqrt(lam_W * lam_H)})) / N
    return proof.conclude(formulae, {"lost": "hbar_k = 0 and w_k = 0 if n_k <= N^2 lam_W lam_H"}, CLASSES)


def _entries(proof: Proof) -> None:
    kept: dict[Any, Any] = {}
    for size, e, f, a in ((n_k, E_K, F_K, A_K), (n_l, E_L, F_L, A_L)):
        kept |= {V_1.T * f: a, U_1.T * e: a, S_1 * a: sp.sqrt(size) * a, a.T * a: ONE}
    proof.given(
        "one-hot",
        "In the class basis the targets are $\\mathrm{diag}(\\sqrt{n_k})$: $\\sqrt{n_k}$ is a singular value with the "
        "unit vectors $e_k$ and $f_k$; kept, as column $a_k$ of the identity, where $n_k > \\tau^2$,",
        {**kept, A_L.T * A_K: NONE},
    )
    lost = {V_1.T * F_LOST: zero(j, 1), U_1.T * E_LOST: zero(j, 1)}
    proof.given("lost classes", "and among the others where $n_k \\le \\tau^2$.", lost)
    rest = sp.sqrt(n_k) - tau
    proof.identity(
        "kept classes",
        "The class means are $\\bar h_k = H_Q f_k/\\sqrt{n_k}$. For a kept class,",
        (F_K.T * H_Q.T * H_Q * F_K / n_k, gamma**2 * rest / n_k * ONE),
        (E_K.T * W * W.T * E_K, rest / gamma**2 * ONE),
        (E_K.T * W * H_Q * F_K / sp.sqrt(n_k), rest / sp.sqrt(n_k) * ONE),
    )
    proof.identity(
        "two classes",
        "two different classes are orthogonal,",
        (F_L.T * H_Q.T * H_Q * F_K, NONE),
        (E_L.T * W * W.T * E_K, NONE),
        (E_L.T * W * H_Q * F_K, NONE),
    )
    proof.identity(
        "a lost class",
        "and a lost class falls to the origin.",
        (F_LOST.T * H_Q.T * H_Q * F_LOST, NONE),
        (E_LOST.T * W * W.T * E_LOST, NONE),
    )


def with_sizes(derivation: Derivation, sizes: tuple[Any, ...]) -> dict[str, Any]:
    """The formulae of given class sizes: one per class beside those in n_k, and the value as a sum."""
    part = derivation.formulae["value"].atoms(Total).pop().args[0]
    total = sum(sizes)
    value = sum((part.subs(sigma, sp.sqrt(size)) for size in sizes), sp.S.Zero) / N
    formulae = {name: formula.subs({N: total, K: len(sizes)}) for name, formula in derivation.formulae.items()}
    return {**formulae, "value": value.subs(N, total)}
