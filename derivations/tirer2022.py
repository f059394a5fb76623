"""Why balanced classes have an orthogonal frame without a bias and a simplex ETF with a free one."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import prove
from ufm.derivation.regimes import BELOW, CRITICAL, LOST, gamma, u
from ufm.symbols import K, N, delta_kl, lam_H, lam_W, n, n_k

t_rel = sp.Symbol("t_rel", positive=True)


def _balanced(proof: Proof, names: tuple[str, ...]) -> dict[str, Any]:
    """The general orthogonal frame for classes of one size."""
    general = prove("dang2023_gof:thm4_1")
    proof.uses("general orthogonal frame", "Take the general orthogonal frame with $n_k = n$ for every class.", general)
    proof.define("relative regularisation", "In terms of", t_rel, K * sp.sqrt(n * lam_W * lam_H))
    proof.define("aspect", "and", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    kept = {
        "gram": gamma**2 * (1 - t_rel) / sp.sqrt(n) * delta_kl,
        "classifier_gram": sp.sqrt(n) * (1 - t_rel) / gamma**2 * delta_kl,
        "logits": (1 - t_rel) * delta_kl,
    }
    zero = sp.S.Zero
    return {
        name: proof.closed_form(
            name,
            _SENTENCES[name],
            general.formulae[name].subs({n_k: n, N: K * n}, simultaneous=True),
            {BELOW: kept[name], CRITICAL: zero, LOST: zero},
        )
        for name in names
    }


_SENTENCES = {
    "gram": "the class means have the Gram matrix",
    "classifier_gram": "the classifier has",
    "logits": "and the product is",
}


def thm3_1() -> Derivation:
    """Orthogonal class means of one length."""
    proof = Proof("An orthogonal frame", "Balanced one-hot targets, no bias, width at least $K$, $t_{rel} \\le 1$.")
    return proof.conclude(_balanced(proof, ("gram", "classifier_gram", "logits")), {}, (BELOW, CRITICAL))


def thm3_1_null() -> Derivation:
    """Nothing survives."""
    proof = Proof("Zero", "Balanced one-hot targets, no bias, $t_{rel} > 1$: the global minimiser is zero.")
    return proof.conclude(_balanced(proof, ("gram", "classifier_gram")), {}, (LOST,))


def thm3_1_collapse() -> Derivation:
    """Samples of one class share their target, and so their feature."""
    known = prove("massion2026:nc1")
    proof = Proof("Equal targets, equal features", "Squared loss, any encoding.")
    proof.uses("equal targets", "Samples with equal targets have equal features at every critical point.", known)
    return proof.conclude(claims={"role_spread": known.claims["role_spread"]})


def free_bias() -> Derivation:
    """The free-bias end of the class-encoding theorem, which has a proof of its own there."""
    closed_form = prove("class_encoding:transition")
    proof = Proof("A simplex ETF with a free bias", "Balanced one-hot targets, $\\lambda_b = 0$, $t_{rel} < 1$.")
    proof.uses("free bias", "The class-encoding theorem treats $\\lambda_b = 0$ from its own loss.", closed_form)
    ends = {name: sp.limit(BELOW.resolve(closed_form.formulae[name]), u, sp.oo) for name in ("cosine", "bias")}
    cosine, bias = (proof.full(end) for end in (-1 / (K - 1), 1 / K))
    proof.equal("cosine", "Its class means have the cosine of a simplex ETF,", ends["cosine"], cosine, regime=BELOW)
    proof.equal("bias", "and its bias is the mean label.", ends["bias"], bias, regime=BELOW)
    return proof.conclude({"cosine": cosine, "bias": bias}, {}, (BELOW,))


PROOFS: dict[str, Callable[[], Derivation]] = {
    "thm3_1": thm3_1,
    "thm3_1_null": thm3_1_null,
    "thm3_1_collapse": thm3_1_collapse,
    "free_bias": free_bias,
}
