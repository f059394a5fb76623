"""Why a balanced start has the Riccati solution: the theorem under weight decay, at l = 0."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import prove
from ufm.symbols import time

f = sp.Symbol("f", nonzero=True)


def riccati() -> Derivation:
    """The printed integral, and the rest from the general theorem."""
    known = prove("trajectories:riccati")
    proof = Proof("Balanced starts without decay", "No regularisation, $F$ invertible.")
    proof.uses("riccati", "The solution under weight decay $l$ has a limit at $l = 0$, where every step holds.", known)
    gained = (sp.exp(f * time) * sp.exp(f * time) / f - 1 / f) / 2
    proof.equal(
        "integral",
        "For each eigenvalue $f \\ne 0$ of $F$ the printed $\\frac12(e^{Ft}F^{-1}e^{Ft} - F^{-1})$ has the derivative "
        "$e^{2ft}$ of $G$",
        sp.diff(gained, time),
        sp.exp(2 * f * time),
    )
    proof.equal("at the start", "and vanishes at the start.", gained.subs(time, 0), 0)
    return proof.conclude({"factors_gram": known.formulae["factors_gram"]})


PROOFS: dict[str, Callable[[], Derivation]] = {"riccati": riccati}
