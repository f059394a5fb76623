"""Why the Riccati solution can be written in decaying exponentials, and where it ends."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import prove
from ufm.derivation.regimes import Regime
from ufm.symbols import N, d, sigma, time


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


def limit() -> Derivation:
    """The growing rows of the factors alone are left, and they end at the least-squares solution."""
    proof = Proof("The end of the flow", "No regularisation, balanced, $B$ nonsingular: any shape of the targets.")
    k, m = (sp.Symbol(name, integer=True, positive=True) for name in "km")
    rows, weight, gain = sp.MatrixSymbol("A_+", k, d), sp.MatrixSymbol("R", k, k), sp.MatrixSymbol("g", k, k)
    inner, kappa = sp.MatrixSymbol("M_k", d, d), sp.Symbol("kappa", positive=True)
    f, rho, sigma_i = sp.symbols("f rho sigma_i", positive=True)
    proof.uses(
        "riccati",
        "$QQ'(t) = e^{Ft}Q_0M^{-1}Q_0'e^{Ft}$, $M = I + \\frac1NQ_0'\\int_0^te^{2Fs}ds\\,Q_0$. The eigenvalues of "
        "$F$ are $\\pm f_i = \\pm\\sigma_i/N$ on $(u_i; \\pm v_i)/\\sqrt2$, and zero.",
        prove("trajectories:riccati"),
    )
    proof.section("Rows along growing eigenvectors")
    proof.given(
        "growing rows",
        "Let $A_+$ be these rows of $Q_0$, $S = A_+A_+'$, nonsingular as $B$ is, $g$ the diagonal matrix of "
        "$(e^{2f_it}-1)/(2f_iN)$, $R = S^{-1}$ and $M_k = (\\kappa I + A_+'gA_+)^{-1}$.",
        {
            rows * rows.T * weight: sp.Identity(k),
            inner * rows.T * gain * rows: sp.Identity(d) - kappa * inner,
        },
    )
    proof.identity(
        "push-through",
        "Then $A_+M_kA_+' = (\\kappa R + g)^{-1}$:",
        (rows * inner * rows.T * (kappa * weight + gain * rows * rows.T * weight), sp.Identity(k)),
    )
    decay = Regime("late", r"t > 0", {time: time})
    proof.limit(
        "the start is forgotten",
        "The other rows of $Q_0$ add to $M$ something between 0 and $\\rho(1+t)I$, so that $M^{-1}$ lies between "
        "$M_k$ with $\\kappa = 1 + \\rho(1+t)$ and with $\\kappa = 1$. The growing block of $QQ'(t)$ lies "
        "between "
        "the inverses of $e^{-ft}(\\kappa R + g)e^{-ft}$ for these two. In it the start is lost,",
        (1 + rho * (1 + time)) * sp.exp(-f * time),
        (time, sp.oo),
        sp.S.Zero,
        (decay, time, sp.oo),
    )
    proof.limit(
        "what stays",
        "and the rest tends to a diagonal matrix. So both bounds, and with them the block, tend to the diagonal of",
        sp.exp(-2 * f * time) * (sp.exp(2 * f * time) - 1) / (2 * f * N),
        (time, sp.oo),
        1 / (2 * f * N),
        (decay, time, sp.oo),
    )
    proof.equal("strength", "$2f_iN$, which is", (2 * f * N).subs(f, sigma_i / N), 2 * sigma_i)
    proof.section("The other rows")
    proof.limit(
        "shrinking",
        "As $M^{-1} \\le I$, rows along shrinking eigenvectors vanish, and their products with the growing rows, which "
        "stay bounded, too.",
        sp.exp(-f * time),
        (time, sp.oo),
        sp.S.Zero,
        (decay, time, sp.oo),
    )
    plus: Any = sp.MatrixSymbol("q_+", m, d)
    minus: Any = sp.MatrixSymbol("q_-", m, d)
    proof.identity(
        "modes",
        "With $U'W = (q_+ + q_-)/\\sqrt2$ and $V'H' = (q_+ - q_-)/\\sqrt2$ the modes, the diagonal of $U'WHV$, are",
        (
            (plus + minus) * (plus.T - minus.T) / 2,
            (plus * plus.T - minus * minus.T - plus * minus.T + minus * plus.T) / 2,
        ),
    )
    proof.equal("half", "of which half the first term is left,", 2 * sigma / 2, sigma)
    return proof.conclude({"modes": sigma})


PROOFS: dict[str, Callable[[], Derivation]] = {"riccati": riccati, "limit": limit}
