"""Why a deep linear model keeps a direction or loses it: the engine's proof, and the equation that papers print.

The number of layers M stays a symbol, and so do the sizes and all weights.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.engine.deep import deep, factors
from ufm.derivation.engine.direction import direction
from ufm.derivation.proof import equation
from ufm.symbols import N, lam_H

M = sp.Symbol("M", integer=True, positive=True)  # linear layers
x = sp.Symbol("x", positive=True)
s, e = sp.symbols("s e", positive=True)
Pi = sp.Symbol("Pi_W", positive=True)  # lam_WM .. lam_W1


def root() -> Derivation:
    """In the letter x, s = sqrt(n_k) x^M/(x^M + 1), the stationary points are the roots of the printed equation."""
    n_k = sp.Symbol("n_k", integer=True, positive=True)
    b = sp.Symbol("b_k", positive=True)
    proof = Proof(
        "The root",
        "$M$ layers, a class of $n_k$ samples: the stationary points of its direction in $x^M = s/(\\sigma - s)$.",
    )
    one = 1 + x**M
    kept, left = sp.sqrt(n_k) * x**M / one, sp.sqrt(n_k) / one
    proof.section("The letter x")
    proof.equal(
        "shares",
        "With $\\sigma = \\sqrt{n_k}$ let $s = \\sigma x^M/(1+x^M)$ and $e = \\sigma/(1+x^M)$:",
        kept + left,
        sp.sqrt(n_k),
    )
    proof.equal("their ratio", "then", kept / left, x**M)
    proof.equal(
        "stationarity to an integer power",
        "Stationarity, $\\tau = e\\,s^{1-2/p}$, raised to the power $p = M+1$, reads $\\tau^{p} = e^{p} s^{p-2}$:",
        (e * s ** ((M - 1) / (M + 1))) ** (M + 1),
        e ** (M + 1) * s ** (M - 1),
    )
    proof.equal(
        "the printed equation",
        "and in $x$ the right side is the $M$-th power of $n_k x^{M-1}/(x^M+1)^2$,",
        left ** (M + 1) * kept ** (M - 1),
        (n_k * x ** (M - 1) / one**2) ** M,
    )
    weight = (Pi * lam_H) ** (1 / (M + 1))
    proof.equal(
        "the strength",
        "the left side, with $\\tau = N\\Lambda$ and $\\Lambda^{p} = \\Pi_W\\lambda_H$, that of $b_k n_k/M$ where "
        "$b_k = MN(N\\Pi_W\\lambda_H)^{1/M}/n_k$. Both are positive, so that $b_k = Mx^{M-1}/(x^M+1)^2$.",
        (N * weight) ** (M + 1),
        N**M * (N * Pi * lam_H),
    )
    at: Any = sp.Symbol("x_0", positive=True)
    proof.equal(
        "coexistence",
        "Coexistence, $s = (p-2)e$, is $x^M = M-1$, where $b_k = (M-1)^{(M-1)/M}/M$; $b_k$ falls in $x$ beyond the "
        "spinodal, so that the root is global iff $b_k$ is smaller.",
        (M * at ** (M - 1) / (at**M + 1) ** 2).subs(at, (M - 1) ** (1 / M)),
        (M - 1) ** ((M - 1) / M) / M,
    )
    return proof.conclude(claims={"root": equation(b, M * x ** (M - 1) / one**2)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "direction": direction,
    "factors": factors,
    "directions": partial(deep, "none"),
    "free_bias": partial(deep, "free"),
    "penalised": partial(deep, "penalised"),
    "root": root,
}
