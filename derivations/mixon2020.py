"""Why the unregularised flow keeps a difference of Gram matrices, and where it goes from a small start."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import equation
from ufm.symbols import K, N, d, n, time

L = sp.Symbol("L")
W, M = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("M", d, K)  # M: the class means times sqrt(n)
Hw = sp.MatrixSymbol("H_w", d, N)
ONES, b = sp.MatrixSymbol("1_K", K, 1), sp.MatrixSymbol("b", K, 1)


def conserved() -> Derivation:
    """The theorem under weight decay at l = 0."""
    known = prove("trajectories:grams")
    proof = Proof("Conserved", "Any loss of the logits, no regularisation.")
    proof.uses("decay", "Under weight decay $l$ the difference decays as $e^{-2lt}$, also for $l = 0$.", known)
    a = sp.Symbol("a")
    proof.equal("no decay", "There", sp.exp(-2 * sp.S.Zero * time) * a, a)
    return proof.conclude(claims={"grams_difference is conserved": equation(sp.Symbol("d(W'W-HH')/dt"), 0)})


def linearised() -> Derivation:
    """First order in W and H, the bias at the mean label."""
    proof = Proof("Linearised at zero", "Balanced one-hot classes, no regularisation, the bias at the mean label.")
    proof.section("The flow")
    centre = sp.Identity(K) - ONES * ONES.T / K
    residual = W * M - sp.sqrt(n) * centre
    proof.define(
        "loss",
        "In the class basis, $M = \\sqrt n \\bar H$, with the bias at the mean label,",
        L,
        (norm2(residual) + norm2(W * Hw)) / (2 * N),
    )
    second: Any = residual * M.T + W * Hw * Hw.T
    proof.gradient("gradient in W", "its gradients are", L, W, second / N)
    proof.gradient("gradient in M", "for the class means", L, M, W.T * residual / N)
    proof.gradient("gradient in H_w", "and within the classes.", L, Hw, W.T * W * Hw / N)
    proof.section("To first order")
    rate = sp.sqrt(n) / N
    eps = sp.Symbol("epsilon", positive=True)
    proof.identity(
        "linear in W",
        "With $W$, $M$, $H_w$ of size $\\varepsilon$ the flow of $W'$ is linear up to terms of third order,",
        (-(second / N).T, rate * M * centre - (M * M.T * W.T + Hw * Hw.T * W.T) / N),
    )
    proof.identity(
        "linear in M",
        "and so is that of $M$; that of $H_w$ is of third order altogether.",
        (-W.T * residual / N, rate * W.T * centre - W.T * W * M / N),
    )
    proof.given("centring", "As $1'1 = K$,", {ONES.T * ONES: K * sp.Identity(1)}, shown=False)
    P = sp.MatrixSymbol("P", K, K)
    plus, minus = (W.T + M) * P, (W.T - M) * P
    proof.identity(
        "centred parts",
        "with $P = I - \\mathbf{1}\\mathbf{1}'/K$ the centred $(W' + M)P$ grows at the rate $\\sqrt "
        "n/N$, $(W' - M)P$ shrinks at it,",
        ((rate * M * P + rate * W.T * P) * P, rate * plus),
        ((rate * M * P - rate * W.T * P) * P, -rate * minus),
        where={P: centre},
    )
    proof.identity(
        "means off centre",
        "and the means of $W'$ and $M$ over the classes stay.",
        (rate * M * centre * ONES, sp.ZeroMatrix(d, 1)),
        (rate * W.T * centre * ONES, sp.ZeroMatrix(d, 1)),
    )
    proof.section("The angle")
    stays, grows, shrinks = sp.symbols("S_0 S_+ S_-", positive=True)
    left = stays + shrinks * sp.exp(-2 * rate * time)
    angle = sp.sqrt(left / (left + grows * sp.exp(2 * rate * time)))
    proof.identity(
        "squares",
        "The squares split: with $S_+ = \\frac12\\lVert(W'+M)P\\rVert^2$, $S_- = \\frac12\\lVert(W'-M)P\\rVert^2$,",
        (norm2(W.T * P) + norm2(M * P), norm2(plus) / 2 + norm2(minus) / 2),
        where={P: centre},
    )
    proof.identity(
        "distance",
        "and the nearest point of the subspace is $(W'+M)P/2$ for both: what is left is $S_-$ and what stays.",
        (norm2(W.T * P - plus / 2) + norm2(M * P - plus / 2), norm2(minus) / 2),
        where={P: centre},
    )
    proof.equal(
        "at the start",
        "In time that is the formula.",
        angle.subs(time, 0) ** 2,
        (stays + shrinks) / (stays + shrinks + grows),
    )
    proof.lemma(
        "uniqueness", "The linear flow is this one.", lemma("unique_flow"), equation(sp.Symbol("order"), eps**3)
    )
    return proof.conclude({"strong_nc_gap": angle})


PROOFS: dict[str, Callable[[], Derivation]] = {"conserved": conserved, "linearised": linearised}
