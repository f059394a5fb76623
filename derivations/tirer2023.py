"""Why NC1 falls along the central path: two traces, each with a derivative that is a sum of squares."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import prove
from ufm.derivation.proof import equation
from ufm.symbols import K, N, d, n

# the paper's weights
lam_W, lam_H = sp.Symbol("lambda_W", positive=True), sp.Symbol("lambda_H", nonnegative=True)
L = sp.Symbol("L")
W, H, Y = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N), sp.MatrixSymbol("Y", K, N)
MEANS, X = (
    sp.MatrixSymbol("Hbar", d, K),
    sp.MatrixSymbol("X", d, N),
)  # class means; H_w/sqrt(n), so that XX' = K Sigma_W
ROOT = sp.MatrixSymbol("R", d, d)  # RR' = (Hbar Hbar' + XX' + lam_W)^{-1}
CENTRE = sp.MatrixSymbol("P", K, K)
FALLS = "trace_within*exp(2*lambda_H*t) does not increase along the flow"
RISES = "trace_between*exp(2*lambda_H*t) strictly increases along the flow"


def _flow(proof: Proof) -> tuple[Any, Any]:
    """The slopes of the class means and of the within-class part, at any W."""
    proof.section("The flow")
    residual = W * H - Y
    proof.define(
        "loss",
        "In the paper's weights, $N = Kn$,",
        L,
        norm2(residual) / (2 * N) + lam_W * norm2(W) * n / (2 * N) + lam_H * norm2(H) / (2 * N),
    )
    proof.gradient("gradient in W", "the loss has the gradients", L, W, (residual * H.T + n * lam_W * W) / N)
    in_H = (W.T * residual + lam_H * H) / N
    proof.gradient("gradient in H", "and", L, H, in_H)
    spread = sp.MatrixSymbol("H_w", d, N)
    tall, ones = sp.MatrixSymbol("H_m", d, N), sp.MatrixSymbol("Y_m", K, N)
    share = -(W.T * W * spread + lam_H * spread)
    proof.identity(
        "split",
        "With $H = H_m + H_w$, class means and deviations, $dH/dt = -N\\nabla_H L$ moves $H_w$ by itself:",
        (-N * in_H, -(W.T * (W * tall - ones) + lam_H * tall) + share),
        where={H: tall + spread, Y: ones},
    )
    one = sp.Identity(K)
    return W.T * (one - W * MEANS) - lam_H * MEANS, -(W.T * W * X + lam_H * X)


def thm3_1_within() -> Derivation:
    """The trace of the within-class covariance."""
    proof = Proof("The within-class spread", "Any classifier, slaved or not.")
    _, dX = _flow(proof)
    proof.section("The trace")
    proof.squares(
        "falls",
        "With $X = H_w/\\sqrt n$, $XX' = K\\Sigma_W$, minus the derivative of $e^{2\\lambda_Ht}\\mathrm{tr}\\,XX'$, "
        "over that exponential, is a square.",
        -2 * sp.Trace(X.T * dX) - 2 * lam_H * norm2(X),
        sp.S.Zero,
        [(sp.Integer(2), W * X)],
    )
    return proof.conclude(claims={FALLS: equation(sp.Symbol("d/dt"), -2 * norm2(W * X))})


def thm3_1_between_corrected() -> Derivation:
    """The trace of the between-class covariance."""
    proof = Proof("The class means part", "The classifier is the best one, $\\lambda_W > 0$, $\\Sigma_B \\ne 0$.")
    dM, _ = _flow(proof)
    proof.section("The best classifier")
    proof.given(
        "inverse",
        "Let $RR'$ be the inverse of $\\bar H\\bar H' + XX' + \\lambda_W I$, which is positive definite:",
        {MEANS * MEANS.T * ROOT * ROOT.T: sp.Identity(d) - X * X.T * ROOT * ROOT.T - lam_W * ROOT * ROOT.T},
    )
    best: Any = MEANS.T * ROOT * ROOT.T
    # residual H' + n lam_W W = n (W Hbar Hbar' + W XX' - Hbar' + lam_W W), as HH' = n (Hbar Hbar' + XX'), YH' = n Hbar'
    total = MEANS * MEANS.T + X * X.T + lam_W * sp.Identity(d)
    proof.identity(
        "best classifier",
        "for $W^* = \\bar H'RR'$ the gradient in $W$, $W(\\bar H\\bar H' + XX' + \\lambda_W I) - \\bar H'$ up to a "
        "factor, vanishes;",
        (total * best.T, MEANS),
    )
    proof.section("The trace")
    proof.given("centring", "Let $P = I - \\mathbf{1}\\mathbf{1}'/K$.", {CENTRE * CENTRE: CENTRE}, shown=False)
    shifted: Any = MEANS * CENTRE
    squares = [(sp.Integer(2), X.T * ROOT * ROOT.T * MEANS * CENTRE), (2 * lam_W, ROOT * ROOT.T * MEANS * CENTRE)]
    proof.squares(
        "rises",
        "The derivative of $e^{2\\lambda_Ht}\\mathrm{tr}(\\bar HP\\bar H')$, over that exponential, is a sum of "
        "squares; the second vanishes only if $\\bar HP = 0$, as $RR'$ is invertible.",
        2 * sp.Trace(shifted.T * dM * CENTRE) + 2 * lam_H * norm2(shifted),
        sp.S.Zero,
        squares,
        where={W: best},
    )
    return proof.conclude(claims={RISES: equation(sp.Symbol("d/dt"), 2 * lam_W * norm2(squares[1][1]))})


def thm3_1_ratio() -> Derivation:
    """The quotient rule."""
    within, between = prove("tirer2023:thm3_1_within"), prove("tirer2023:thm3_1_between_corrected")
    proof = Proof("NC1 falls", "$\\Sigma_W(H_0) \\ne 0$, $\\Sigma_B(H_0) \\ne 0$.")
    proof.uses("within", "The within-class trace $A$ has $dA/dt = -2\\lambda_HA - a$, $a \\ge 0$;", within)
    proof.uses(
        "between", "the other, $B$, has $dB/dt = -2\\lambda_HB + b$, $b > 0$, so that it stays positive.", between
    )
    A, B, b = sp.symbols("A B b", positive=True)
    a = sp.Symbol("a", nonnegative=True)
    slope = ((-2 * lam_H * A - a) * B - A * (-2 * lam_H * B + b)) / B**2
    proof.equal(
        "quotient",
        "$A$ stays positive, as $H_w$ moves by a linear equation. So $A/B$ has the derivative",
        slope,
        -(a * B + A * b) / B**2,
    )
    proof.sign("negative", "which is negative.", sp.Lt(slope, 0, evaluate=False))
    return proof.conclude(claims={"nc1_ratio strictly decreases along the flow": sp.Lt(slope, 0, evaluate=False)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "thm3_1_within": thm3_1_within,
    "thm3_1_between_corrected": thm3_1_between_corrected,
    "thm3_1_ratio": thm3_1_ratio,
}
