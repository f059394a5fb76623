"""Deep linear models without equal classes: any targets, and one-hot classes of unequal sizes; p a number."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine import direction, roots
from ufm.derivation.engine.deep import Lam, Pi, deep
from ufm.derivation.engine.shallow import BIAS, Bias
from ufm.derivation.proof import Proof
from ufm.derivation.regimes import Regime, v
from ufm.derivation.signs import Sign
from ufm.symbols import N, Total, delta_kl, lam_H, n_k, sigma, sigma_c

share = 1 / (1 + v)
_total: Any = Total
t = sp.Symbol("t_rel", positive=True)
t_c = sp.Symbol("t_c", positive=True)


def deep_targets(bias: Bias, order: int) -> Derivation:
    """The singular values of the product and the minimum, for any targets, direction by direction."""
    proof = Proof(
        f"The optimum of any targets with {order} factors",
        f"Squared loss, $p = {order}$ factors of any positive weights, {BIAS[bias]}, any targets, widths of at least "
        "the number of kept directions.",
    )
    letter = sigma_c if bias == "free" else sigma
    _carry(proof, bias, order)
    name = "singular_values_centred" if bias == "free" else "singular_values"
    proof.section("In the targets' own letters")
    whose = "centred targets" if bias == "free" else "targets"
    formulae, regimes = _of_a_direction(proof, order, letter, f"The singular values $\\sigma_i$ of the {whose}")
    claims = {**deep(bias).claims, "product": "the product shares the singular vectors of the targets"}
    return proof.conclude(
        {name: formulae["shrunk"], "value": _total(formulae["part"]) / N, **_ends(order)}, claims, regimes
    )


def deep_sizes(order: int) -> Derivation:
    """One-hot classes of n_k samples without a bias: each class has a root of its own, or is lost."""
    proof = Proof(
        f"A deep general orthogonal frame with {order} factors",
        f"Squared loss, $p = {order}$ factors of any positive weights, one-hot targets with class sizes $n_k$, no "
        "bias, widths of at least $K$: class means and rows of the product of the layers are orthogonal.",
    )
    _carry(proof, "none", order)
    proof.section("Class by class")
    root = sp.sqrt(n_k)
    formulae, regimes = _of_a_direction(
        proof,
        order,
        root,
        "In the class basis the targets are $\\mathrm{diag}(\\sqrt{n_k})$: the classes are the singular directions. "
        "The singular values $\\sqrt{n_k}$",
    )
    general = deep("none").formulae
    kept: Any = roots.LargestRoot(t, order)
    keep = N * Lam < t_c * root ** (2 - sp.Rational(2, order))
    unit = N * lam_H
    forms = {
        "gram": ("Between classes $k$ and $l$, $\\delta_{kl} = 1$ for one and the same, $\\bar h_k'\\bar h_l$ is",
                 kept * (1 - kept) / unit, "features", n_k),
        "classifier_gram": ("$w_k'w_l$, of rows of the product of the layers, is",
                            unit * kept / (1 - kept), "classifier", sp.S.One),
        "logits": ("and $w_k'\\bar h_l$ is", kept, "shrunk", root),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, (sentence, form, carried, over) in forms.items():
        whole = sp.Piecewise((form, keep), (0, True)) * delta_kl
        pieces = {
            regime: general[carried].xreplace({direction.sigma: root}).xreplace({direction.share: x}) / over * delta_kl
            for regime, x in zip(regimes, (share, sp.S.Zero), strict=True)
        }
        found[name] = proof.closed_form(name, sentence, whole, pieces)
    by_direction = {name: each.subs(n_k, sigma**2) for name, each in formulae.items()}
    claims = {**deep("none").claims, "lost": "hbar_k = 0 and w_k = 0 where t >= t_c"}
    return proof.conclude(
        {
            **found,
            "singular_values": by_direction["shrunk"],
            "value": _total(by_direction["part"]) / N,
            **_ends(order),
        },
        claims,
        regimes,
    )


def _ends(order: int) -> dict[str, Any]:
    return {"coexistence": roots.coexistence(order), "spinodal": roots.spinodal(order)}


def _carry(proof: Proof, bias: Bias, order: int) -> None:
    proof.carry(deep(bias))
    direction.radicals(proof, order)
    proof.define("mean weight of these factors", "", Lam, (Pi * lam_H) ** sp.Rational(1, order), shown=False)


def _of_a_direction(proof: Proof, order: int, length: Any, whose: str) -> tuple[dict[str, Any], tuple[Regime, Regime]]:
    """Singular value and part of N times the minimum in the root of t = tau/sigma^(2-2/p); the two regimes."""
    power = 2 - sp.Rational(2, order)
    proof.define("relative shrinkage of these", f"{whose} have the relative shrinkage", t, N * Lam / length**power)
    proof.define("edge", "and are kept below", t_c, roots.coexistence(order))
    kept: Any = roots.LargestRoot(t, order)
    keep = N * Lam < t_c * length**power  # without dividing by what may vanish
    below = proof.full(keep.lhs) - proof.full(keep.rhs)
    regimes = (
        Regime("kept", "t < t_c", {proof.full(kept): share}, {below: Sign.NEGATIVE}),
        Regime("lost", "t \\ge t_c", {}, {below: Sign.NONNEGATIVE}),
    )
    general = deep("none").formulae
    forms = {
        "shrunk": ("The product has there the singular value", length * kept, sp.S.Zero),
        "part": (
            "with the part of $N$ times the minimum",
            length**2 * (1 - kept) * (1 + (order - 1) * kept) / 2,
            length**2 / 2,
        ),
    }
    found: dict[str, Any] = {}
    for name, (sentence, form, zero) in forms.items():
        pieces = {
            regime: general[name].xreplace({direction.sigma: length, direction.p: sp.Integer(order)})
            .xreplace({direction.share: x})
            for regime, x in zip(regimes, (share, sp.S.Zero), strict=True)
        }  # fmt: skip
        found[name] = proof.closed_form(name, sentence, sp.Piecewise((form, keep), (zero, True)), pieces)
    return found, regimes
