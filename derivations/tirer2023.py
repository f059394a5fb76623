"""Why NC1 falls along the central path: two traces, each with a derivative that is a sum of squares."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import prove
from ufm.derivation.proof import equation
from ufm.derivation.regimes import Regime
from ufm.symbols import K, N, d, n, time

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


def thm3_1_limit() -> Derivation:
    """Features that stay bounded leave the between-class trace a growth of its own."""
    within, between = prove("tirer2023:thm3_1_within"), prove("tirer2023:thm3_1_between_corrected")
    proof = Proof("NC1 vanishes", "$\\lambda_H > 0$, $\\Sigma_W(H_0) \\ne 0$, $\\Sigma_B(H_0) \\ne 0$.")
    beta, gain = sp.symbols("beta g", positive=True)
    T, S, G = sp.MatrixSymbol("T", d, d), sp.MatrixSymbol("S", d, d), sp.MatrixSymbol("G", d, K)
    proof.section("Bounded features")
    proof.given(
        "energy",
        "A gradient flow does not raise its loss, so that $\\frac{\\lambda_H}{2N}\\lVert H\\rVert^2$ stays at most its "
        "start $L_0$. As $HH' = n(\\bar H\\bar H' + XX')$, no eigenvalue of $M = \\bar H\\bar H' + XX' + \\lambda_WI$ "
        "ever exceeds $\\beta = 2NL_0/(n\\lambda_H) + \\lambda_W$: there is a $T$ with $M = \\beta I - T'T$, and, as "
        "the eigenvalues of $TT'$ do not exceed $\\beta$ either, an $S$ with",
        {T * T.T: beta * sp.Identity(d) - S.T * S},
    )
    proof.section("The growth")
    proof.uses(
        "between",
        "The between-class trace $B$ has $dB/dt \\ge -2\\lambda_HB + 2\\lambda_W\\lVert G\\rVert^2$ with "
        "$G = M^{-1}\\bar HP$, $\\lVert MG\\rVert^2 = KB$,",
        between,
    )
    proof.squares(
        "share",
        "and $\\lVert G\\rVert^2$ is at least $KB/\\beta^2$:",
        beta**2 * norm2(G) - norm2(beta * G - T.T * T * G),
        sp.S.Zero,
        [(beta, T * G), (sp.S.One, S * T * G)],
    )
    proof.uses(
        "within", "so that $dB/dt \\ge (g - 2\\lambda_H)B$, $g > 0$. The within-class one, $A$, has $dA/dt \\le "
        "-2\\lambda_HA$.", within
    )  # fmt: skip
    A, B = sp.symbols("A B", positive=True)
    a, b = sp.symbols("a b", nonnegative=True)
    slope = ((-2 * lam_H * A - a) * B - A * ((gain - 2 * lam_H) * B + b)) / B**2
    proof.sign(
        "rate",
        "Hence $A/B$ falls at the rate $g$ at least,",
        sp.Le(slope + gain * A / B, 0, evaluate=False),
    )
    decay = Regime("late", r"t > 0", {time: time})
    proof.limit(
        "limit", "and is at most its start times", sp.exp(-gain * time), (time, sp.oo), sp.S.Zero,
        (decay, time, sp.oo),
    )  # fmt: skip
    return proof.conclude({"nc1_ratio": sp.S.Zero})


# features tied to given ones

c, k, beta = sp.symbols("c k beta", positive=True)  # lam_H = c k, lam_W = c/k
dW, dH = sp.MatrixSymbol("dW", K, K), sp.MatrixSymbol("dH", K, K)


def cor2_2() -> Derivation:
    """The penalty is least where the rest is."""
    proof = Proof(
        "Optimal features stay", "$H_0 = H^*$ optimal for $\\beta = 0$, $c = \\sqrt{\\lambda_H\\lambda_W} < 1$."
    )
    known = prove("tirer2022:thm3_1")
    proof.uses(
        "without the penalty",
        "Without the penalty the least value is reached at $(W^*, H^*)$, orthogonal frames of strength $1 - c$.",
        known,
    )
    tied = sp.MatrixSymbol("H_0", d, N)
    proof.squares(
        "penalty",
        "The penalty is a square, zero only at $H = H_0 = H^*$; $W$ is then the best classifier, of which there is one "
        "as $\\lambda_W > 0$.",
        beta * norm2(H - tied) / (2 * N),
        sp.S.Zero,
        [(beta / (2 * N), H - tied)],
    )
    strength = 1 - c
    fit = K * n * (1 - strength) ** 2 / (2 * N)
    # ||W||^2 = K (1 - c) sqrt(lam_H/lam_W), ||H||^2 = K n (1 - c) sqrt(lam_W/lam_H), N = K n
    norms = (c / k) * K * strength * k / (2 * K) + (c * k) * K * n * strength / k / (2 * N)
    proof.equal("value", "There the objective is", (fit + norms).subs(N, K * n), c - c**2 / 2)
    value = sp.sqrt(lam_W * _POSITIVE) - lam_W * _POSITIVE / 2
    return proof.conclude({"value": value}, {"excess": sp.Ge(sp.Symbol("excess"), 0, evaluate=False)})


_POSITIVE = sp.Symbol("lambda_H", positive=True)


def cor3_2() -> Derivation:
    """A strong tie is one short implicit step of the central path."""
    proof = Proof("Tied features are more collapsed", "$\\Sigma_W(H_0), \\Sigma_B(H_0) \\ne 0$, $\\beta$ large.")
    slope, tied = sp.MatrixSymbol("NL'", d, N), sp.MatrixSymbol("H_0", d, N)
    vanishing = sp.MatrixSymbol("Z", d, N)
    proof.follows(
        "implicit step",
        "At the minimiser, with $W$ at its best, $N\\nabla L(H) + \\beta(H - H_0) = 0$: it is",
        H,
        tied - slope / beta,
        {vanishing: slope + beta * (H - tied)},
        vanishing / beta,
    )
    proof.uses(
        "central path",
        "one implicit step of length $1/\\beta$ along the central path, on which NC1 has a negative "
        "derivative at $H_0$; "
        "so it falls by that over $\\beta$, up to terms of order $1/\\beta^2$.",
        prove("tirer2023:thm3_1_ratio"),
    )
    return proof.conclude(claims={"nc1_ratio_change": sp.Le(sp.Symbol("nc1_ratio_change"), 0, evaluate=False)})


def thm4_1() -> Derivation:
    """The implicit function theorem, block by block."""
    proof = Proof("The response", "A minimiser at which the Hessian is positive definite.")
    w, h = sp.symbols("p q", integer=True, positive=True)
    ww, wh, hh = sp.MatrixSymbol("H_ww", w, w), sp.MatrixSymbol("H_wh", w, h), sp.MatrixSymbol("H_hh", h, h)
    inverse = sp.MatrixSymbol("H_ww^{-1}", w, w)
    in_w, in_h, tied = (sp.MatrixSymbol(f"d{name}", size, 1) for name, size in (("w", w), ("h", h), ("h_0", h)))
    first, second = sp.MatrixSymbol("Z_w", w, 1), sp.MatrixSymbol("Z_h", h, 1)
    proof.given("inverse", "Let", {inverse * ww: sp.Identity(w)})
    proof.follows(
        "response",
        "The gradient stays zero when $h_0$ moves: $H_{ww}\\delta w + H_{wh}\\delta h = 0$ and $H_{hw}\\delta w + "
        "H_{hh}\\delta h = \\frac{\\beta}{N}\\delta h_0$, the penalty's own share. Therefore",
        (hh - wh.T * inverse * wh) * in_h,
        beta / N * tied,
        {first: ww * in_w + wh * in_h, second: wh.T * in_w + hh * in_h - beta / N * tied},
        second - wh.T * inverse * first,
    )
    return proof.conclude(claims={"response_gap": equation(sp.Symbol("F"), sp.Symbol("(beta/N) Schur^{-1}"))})


def thm4_2_corrected() -> Derivation:
    """The Hessian on the central path, in blocks of one or two numbers."""
    proof = Proof("The spectrum of the response", "$H_0 = H^*$, $c < 1$, $d > K$, $n \\ge 2$, any $\\beta > 0$.")
    strength = sp.Symbol("x", positive=True)  # 1 - c
    a2, g2 = strength * k, n * strength / k
    one, R = sp.Identity(K), sp.MatrixSymbol("R", d, K)
    proof.section("Second order at the optimum")
    proof.given(
        "optimum",
        "Write $\\lambda_H = ck$, $\\lambda_W = c/k$, $x = 1 - c$. In the class basis the optimum is $W "
        "= aR'$, $gR$ with "
        "$a^2 = xk$, $g^2 = nx/k$, $R'R = I$; $N$ times the second-order part of the loss is, along $dW\\,R' + D$ and "
        "$R\\,dH + G$, $D$ and $G$ outside the span of $R$,",
        {R.T * R: one},
        shown=False,
    )
    D, G = sp.MatrixSymbol("D", K, d), sp.MatrixSymbol("G", d, K)
    proof.given("outside", "", {D * R: sp.ZeroMatrix(K, K)}, shown=False)
    proof.given("outside too", "", {R.T * G: sp.ZeroMatrix(K, K)}, shown=False)
    a, g = sp.sqrt(a2), sp.sqrt(g2)
    in_W, in_H = sp.MatrixSymbol("V", K, d), sp.MatrixSymbol("U", d, K)
    steps = {in_W: dW * R.T + D, in_H: R * dH + G}
    whole = (
        norm2(g * in_W * R + a * R.T * in_H) / 2
        - sp.sqrt(n) * c * sp.Trace(in_W * in_H)
        + n * c / k * norm2(in_W) / 2
        + c * k * norm2(in_H) / 2
    )
    back = {strength: 1 - c}
    kept = norm2(sp.sqrt(n / k) * dW + sp.sqrt(k / n) * sp.sqrt(n) * ((1 - c) * dH - c * dH.T)) / 2
    outside = norm2(sp.sqrt(n * c / k) * D - sp.sqrt(c * k) * G.T) / 2
    left = c * k * (1 - c) / 2 * norm2(dH + dH.T)
    proof.identity(
        "completed squares",
        "two squares, which the best $dW$ and $D$ bring to zero, and what is left for $dH$; nothing is left for $G$.",
        (whole.subs(back), kept + outside + left),
        where=steps,
    )
    inside, out = sp.MatrixSymbol("X", K, N), sp.MatrixSymbol("O", d, N)
    proof.given("outside within", "", {R.T * out: sp.ZeroMatrix(K, N)}, shown=False)
    proof.identity(
        "within",
        "Features within classes, $RX + O$, have $k = \\sqrt{\\lambda_H/\\lambda_W}$ inside the span "
        "and $\\lambda_H$ outside.",
        (
            (1 - c) * k * norm2(R.T * (R * inside + out)) / 2 + c * k * norm2(R * inside + out) / 2,
            k * norm2(inside) / 2 + c * k * norm2(out) / 2,
        ),
    )
    proof.section("The response")
    mu = 2 * c * k * (1 - c)
    pair = sp.Matrix([[beta + mu, mu], [mu, beta + mu]])
    found = beta * pair.inv()
    other = mu / (beta + 2 * mu)
    proof.equal(
        "pair, own",
        "$dH_{ij}$ and $dH_{ji}$, of classes $j$ and $i$, share a block $\\mu[[1, 1], [1, 1]]$, $\\mu = "
        "2\\lambda_H(1-c)$, so "
        "that the response $\\beta(\\cdot + \\beta)^{-1}$ has on its diagonal",
        found[0, 0],
        (beta + mu) / (beta + 2 * mu),
    )
    proof.equal(
        "pair, other", "and off it, in the one entry by which two classes see each other, minus", -found[0, 1], other
    )
    proof.section("Extremes")
    v, y = sp.Symbol("v", positive=True), sp.Symbol("y", real=True)
    proof.sign(
        "largest",
        "The entry is positive, and outside the span the response is 1: no rate is negative.",
        sp.Gt(mu.subs(c, 1 / (1 + v)), 0, evaluate=False),
    )
    proof.equal(
        "least, mean",
        "Of the rates $k$, $\\lambda_H = ck$, $2\\mu$ ($dH_{ii}$), $\\mu$ and $0$ the largest is $k$:",
        k - 2 * mu,
        k * (1 - 2 * c) ** 2,
    )
    proof.sign(
        "least, within",
        "and",
        sp.Ge((k - c * k).subs(c, 1 / (1 + v)), 0, evaluate=False),
        sp.Ge(k * y**2, 0, evaluate=False),
    )
    rate = sp.sqrt(_POSITIVE / lam_W)
    own = {_POSITIVE: c * k, lam_W: c / k}
    least = beta / (beta + rate)
    strong = 2 * _POSITIVE * (1 - sp.sqrt(lam_W * _POSITIVE))
    largest = strong / (beta + 2 * strong)
    proof.equal(
        "least", "In the paper's weights the least singular value of $F_{kk}$ is", least.subs(own), beta / (beta + k)
    )
    proof.equal("other", "and that of $F_{kl}$, of rank one,", largest.subs(own), other)
    return proof.conclude(
        {"own_largest": sp.S.One, "own_least": least, "other_largest": largest, "other_second": sp.S.Zero}
    )


PROOFS: dict[str, Callable[[], Derivation]] = {
    "thm3_1_within": thm3_1_within,
    "thm3_1_between_corrected": thm3_1_between_corrected,
    "thm3_1_ratio": thm3_1_ratio,
    "thm3_1_limit": thm3_1_limit,
    "cor2_2": cor2_2,
    "cor3_2": cor3_2,
    "thm4_1": thm4_1,
    "thm4_2_corrected": thm4_2_corrected,
}
