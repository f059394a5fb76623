"""Why a symmetric bias is globally optimal for balanced one-hot classes: the engine's bound, in the papers' letter."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Exchangeable, Proof
from ufm.derivation.engine import direction
from ufm.derivation.exchangeable import ONES, ONES_RULE
from ufm.derivation.load import prove
from ufm.symbols import K, N, lam_b, n

M = sp.Symbol("M", integer=True, positive=True)  # linear layers
x, x_0 = sp.symbols("x^* x_0^*", nonnegative=True)
A, q = sp.MatrixSymbol("A", K, K), sp.MatrixSymbol("q", K, 1)


def every_depth() -> Derivation:
    """Balanced one-hot, any depth, any bias weight: one direction problem K - 1 times, and one for the mean."""
    general, rho = prove("deep_linear:penalised"), lam_b / (1 + lam_b)
    proof = Proof(
        "The symmetric bias is optimal at every depth",
        "Balanced one-hot targets, squared loss, $p = M+1 \\ge 2$ factors of any weights, $0 < \\lambda_b < \\infty$, "
        "width at least $K$.",
    )
    proof.given("ones", "", ONES_RULE, shown=False)
    proof.define("targets", "In the class basis the targets are", A, Exchangeable(sp.sqrt(n), sp.sqrt(n)).matrix)
    proof.define("ones of the classes", "and the ones", q, sp.sqrt(n) * ONES)
    proof.identity(
        "mean direction",
        "The mean direction is a singular direction, with the singular value $\\sqrt n$ of all others; weighed by "
        "$\\sqrt{\\rho} < 1$ it is the least one.",
        (A * q, sp.sqrt(n) * q),
        (A.T * A, n * sp.Identity(K)),
    )
    proof.uses("bound", "So no bias beats one along the mean target, $b \\propto \\mathbf{1}$;", general)
    proof.uses("root", "in $x^M = s/(\\sqrt n - s)$ the share is that of the largest root.", prove("deep_linear:root"))
    kept, kept_0 = (each**M / (each**M + 1) for each in (x, x_0))
    proof.equal(
        "the bias",
        "Its length is $e_0/(\\sqrt N(1+\\lambda_b))$, so that each of its $K$ entries is",
        sp.sqrt(n) * (1 - kept_0) / (sp.sqrt(N) * (1 + lam_b)) / sp.sqrt(K),
        (1 - kept_0) / (K * (1 + lam_b)),
        where={N: K * n},
    )

    def of(formula: str, share: Any) -> Any:
        letters = {direction.sigma: sp.sqrt(n), direction.p: M + 1, direction.share: share}
        return general.formulae[formula].xreplace(letters)

    return proof.conclude(
        {
            "singular_values_centred": of("shrunk", kept),
            "singular_value_mean": of("shrunk", kept_0),
            "bias": (1 - kept_0) / (K * (1 + lam_b)),
            "value": ((K - 1) * of("part", kept) + rho * of("part", kept_0)) / (K * n),
        }
    )


PROOFS: dict[str, Callable[[], Derivation]] = {"every_depth": every_depth}
