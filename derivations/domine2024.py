"""Why lambda-balanced starts move by a Riccati equation as well."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import equation
from ufm.symbols import N, d, m

L, lam = sp.Symbol("L"), sp.Symbol("lambda", real=True)
W, H, Y = sp.MatrixSymbol("W", m, d), sp.MatrixSymbol("H", d, N), sp.MatrixSymbol("Y", m, N)


def _flow(proof: Proof) -> tuple[Any, Any]:
    residual = W * H - Y
    proof.section("The flow")
    proof.define("loss", "Without regularisation the loss is", L, norm2(residual) / (2 * N))
    proof.gradient("gradient in W", "Its gradients are", L, W, residual * H.T / N)
    proof.gradient("gradient in H", "and", L, H, W.T * residual / N)
    return -residual * H.T / N, -W.T * residual / N


def conserved() -> Derivation:
    """Nothing changes the difference of the Gram matrices."""
    proof = Proof("Conserved", "Squared loss, two layers, no regularisation.")
    dW, dH = _flow(proof)
    moved = dW.T * W + W.T * dW - dH * H.T - H * dH.T
    proof.identity("conserved", "The difference $W'W - HH'$ does not move:", (moved, sp.ZeroMatrix(d, d)))
    return proof.conclude(claims={"grams_difference is conserved": equation(sp.Symbol("d(W'W-HH')/dt"), 0)})


def riccati() -> Derivation:
    """A quadratic flow of Q, with lambda on the diagonal of F."""
    known = prove("trajectories:riccati")
    proof = Proof("Lambda-balanced starts", "Squared loss, two layers, no regularisation, $W'W - HH' = \\lambda I$.")
    dW, dH = _flow(proof)
    proof.section("A lambda-balanced state")
    proof.given("balanced", "It stays so:", {H * H.T: W.T * W - lam * sp.Identity(d)})
    half = 1 / (2 * N)
    proof.identity(
        "rows of W",
        "with $Q = [W; H']$ and $F = \\frac1N[[\\frac{\\lambda}{2} I, Y], [Y', -\\frac{\\lambda}{2} "
        "I]]$ the rows of $W$ in "
        "$FQ - QQ'Q/(2N)$ are $dW/dt$,",
        (dW, lam * half * W + Y * H.T / N - half * (W * W.T * W + W * H * H.T)),
    )
    proof.identity(
        "rows of H'",
        "and those of $H'$ are $dH'/dt$.",
        (dH.T, Y.T * W / N - lam * half * H.T - half * (H.T * W.T * W + H.T * H * H.T)),
    )
    proof.uses("riccati", "The Riccati equation is solved for any symmetric $F$.", known)
    proof.lemma("uniqueness", "No other function solves it.", lemma("unique_flow"))
    return proof.conclude({"factors_gram": known.formulae["factors_gram"]})


PROOFS: dict[str, Callable[[], Derivation]] = {"conserved": conserved, "riccati": riccati}
