"""Why balanced cross-entropy has a simplex ETF: the engine's tangent leaves a sum of squares, for every bias."""

from collections.abc import Callable

import sympy as sp

from ufm import encodings
from ufm.derivation import Derivation, Proof
from ufm.derivation.engine import derive
from ufm.derivation.regimes import BELOW, CRITICAL, LOST
from ufm.problem import Problem, classes
from ufm.symbols import K, lam_b, lam_H, lam_W, n

_BIASES = {"no bias": sp.oo, "a free bias": sp.S.Zero, "a penalised bias": lam_b}


def etf() -> Derivation:
    """Alive below t_rel = 1, zero from there on, whatever the weight of the bias."""
    proof = Proof("A simplex ETF", "Balanced one-hot labels, cross-entropy, any $\\lambda_b$, $d \\ge K-1$.")
    one_hot = classes(encodings.one_hot(K), n)
    found = {
        name: derive(Problem(one_hot, lam_W=lam_W, lam_H=lam_H, lam_b=weight, loss="cross_entropy"))
        for name, weight in _BIASES.items()
    }
    for name, derivation in found.items():
        proof.uses(name, f"The engine derives the optimum with {name};", derivation)
    first, *others = (
        {each: derivation.formulae[each] for each in ("gram", "classifier_gram", "logits")}
        for derivation in found.values()
    )
    apart = sp.Symbol("their difference")
    for observable, formula in first.items():
        differences = sum((other[observable] - formula) ** 2 for other in others)
        proof.equal(f"one form of {observable}", "it is one closed form:", apart, sp.S.Zero, where={apart: differences})
    return proof.conclude({**first, "bias": sp.S.Zero}, {}, (BELOW, CRITICAL, LOST))


PROOFS: dict[str, Callable[[], Derivation]] = {"etf": etf, "bias": etf}
