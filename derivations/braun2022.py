"""Why the Riccati solution can be written in decaying exponentials."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import prove
from ufm.symbols import N, d


def riccati() -> Derivation:
    """Both sides of the inner matrix scaled by the rows of the start that grow."""
    known = prove("trajectories:riccati")
    proof = Proof("Decaying exponentials", "No regularisation, balanced, $B$ nonsingular: any shape of the targets.")
    proof.uses("riccati", "The solution under weight decay $l$ has a limit at $l = 0$, where every step holds.", known)
    k = sp.Symbol("k", integer=True, positive=True)
    rows, inverse = sp.MatrixSymbol("A_+", k, d), sp.MatrixSymbol("J", d, k)
    fade, grow = sp.MatrixSymbol("e^{-f_+t}", k, k), sp.MatrixSymbol("e^{f_+t}", k, k)
    proof.section("Scaling the inner matrix")
    one = sp.Identity(k)
    proof.given(
        "growing rows",
        "Let $A_+ = U_+'Q_0$ be the rows of the start along growing eigenvectors, with the right inverse $J$,",
        {rows * inverse: one},
    )
    proof.given("exponentials", "and", {grow * fade: one}, shown=False)
    proof.identity(
        "finite rows",
        "so that in the scaled coordinates $Je^{-f_+t}$ the growing rows of $e^{Ft}Q_0$ are the identity,",
        (grow * rows * inverse * fade, one),
    )
    gain = sp.MatrixSymbol("g_+", k, k)
    proof.identity(
        "finite inner matrix",
        "and what grows in the inner matrix is $e^{-f_+t}g_+e^{-f_+t} = (1 - e^{-2f_+t})/(2f_+)$.",
        (fade * inverse.T * rows.T * gain * rows * inverse * fade / N, fade * gain * fade / N),
    )
    return proof.conclude({"factors_gram": known.formulae["factors_gram"]})


PROOFS: dict[str, Callable[[], Derivation]] = {"riccati": riccati}
