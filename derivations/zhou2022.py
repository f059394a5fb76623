"""Frames at both ends of the bias, the soft-thresholded product, and strict saddles: by what is proved elsewhere."""

from collections.abc import Callable

from ufm import encodings
from ufm.derivation import Derivation, Proof
from ufm.derivation.engine import derive
from ufm.derivation.load import prove
from ufm.derivation.regimes import BALANCED_ONE_HOT
from ufm.problem import Problem, classes, samples
from ufm.symbols import K, Y, lam_b, lam_H, lam_W, n


def frames() -> Derivation:
    """Both ends of the transition from a simplex ETF to an orthogonal frame."""
    return prove("massion2026:etf_to_of")


def strict_saddles() -> Derivation:
    """The global value, and that no other critical point is a local minimum."""
    one_hot = classes(encodings.one_hot(K), n)
    closed_form = derive(Problem(one_hot, lam_W=lam_W, lam_H=lam_H, lam_b=lam_b))
    landscapes = {kind: prove(f"shrinkage:strict_saddles_{kind}") for kind in ("penalised", "free", "none")}
    proof = Proof(
        "Strict saddles",
        "Balanced one-hot targets, any $\\lambda_b$, width at least $K$: a critical point has the global value or is a "
        "strict saddle.",
    )
    proof.uses("value", "The engine derives the global value for every $\\lambda_b$;", closed_form)
    for kind, landscape in landscapes.items():
        sentence = f"for any targets, any other critical point is a strict saddle (bias: {kind})."
        proof.uses(f"landscape, bias {kind}", sentence, landscape)
    return proof.conclude({"value": closed_form.formulae["value"]}, dict(landscapes["none"].claims), BALANCED_ONE_HOT)


def product() -> Derivation:
    """Shrinkage of any targets; the referee puts in the weights of the objective without 1/N."""
    return derive(Problem(samples(Y), lam_W=lam_W, lam_H=lam_H))


PROOFS: dict[str, Callable[[], Derivation]] = {
    "no_bias": frames,
    "free_bias": frames,
    "strict_saddles": strict_saddles,
    "product": product,
}
