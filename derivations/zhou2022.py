"""Frames at both ends of the bias, the soft-thresholded product, and strict saddles: by what is proved elsewhere."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.directions import ABSENT, AT, DIRECTIONS, KEPT, LOST
from ufm.derivation.load import prove
from ufm.derivation.regimes import BALANCED_ONE_HOT
from ufm.symbols import N, lam_H, lam_W, sigma


def frames() -> Derivation:
    """Both ends of the class-encoding theorem."""
    return prove("massion2026:etf_to_of")


def strict_saddles() -> Derivation:
    """The global value, and that no other critical point is a local minimum."""
    closed_form = prove("class_encoding:transition")
    landscapes = {kind: prove(f"shrinkage:strict_saddles_{kind}") for kind in ("penalised", "free", "none")}
    proof = Proof(
        "Strict saddles",
        "Balanced one-hot targets, any $\\lambda_b$, width at least $K$: a critical point has the global value or is a "
        "strict saddle.",
    )
    proof.uses("value", "The class-encoding theorem gives the global value for every $\\lambda_b$;", closed_form)
    for kind, landscape in landscapes.items():
        sentence = f"for any targets, any other critical point is a strict saddle (bias: {kind})."
        proof.uses(f"landscape, bias {kind}", sentence, landscape)
    return proof.conclude({"value": closed_form.formulae["value"]}, dict(landscapes["none"].claims), BALANCED_ONE_HOT)


def product() -> Derivation:
    """Shrinkage of any targets, in the weights of the objective without 1/N."""
    general = prove("shrinkage:no_bias")
    proof = Proof("The product", "Any targets, no bias: $W H = U [S - \\tau]_+ V'$ with $\\tau = N c$.")
    proof.uses("shrinkage", "The theorem on shrinkage without a bias is the statement;", general)
    shrunk, threshold = general.formulae["singular_values"], N * sp.sqrt(lam_W * lam_H)
    zero = sp.S.Zero
    closed = proof.closed_form(
        "singular values",
        "$\\tau = N \\sqrt{\\lambda_W \\lambda_H}$ in our weights,",
        sp.Max(0, sigma - threshold),
        {KEPT: shrunk, AT: zero, LOST: zero, ABSENT: zero},
    )
    return proof.conclude({"singular_values": closed, "logits": general.formulae["logits"]}, {}, DIRECTIONS)


PROOFS: dict[str, Callable[[], Derivation]] = {
    "no_bias": frames,
    "free_bias": frames,
    "strict_saddles": strict_saddles,
    "product": product,
}
