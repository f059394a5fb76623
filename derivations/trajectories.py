"""Why trajectories have the closed forms of the catalogue: the flow from its loss, and what solves it."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import equation
from ufm.symbols import N, d, lam_H, m, sigma, time

L = sp.Symbol("L")
r, q = sp.symbols("r q", integer=True, positive=True)
W, H, Y = sp.MatrixSymbol("W", m, d), sp.MatrixSymbol("H", d, N), sp.MatrixSymbol("Y", m, N)
U, V, R = sp.MatrixSymbol("U", m, r), sp.MatrixSymbol("V", N, r), sp.MatrixSymbol("R", d, r)
P, G, S = (sp.MatrixSymbol(name, r, r) for name in ("P", "G", "Sigma"))
p, g, s_0 = sp.Symbol("p_i", positive=True), sp.Symbol("g_i", positive=True), sp.Symbol("s_i(0)", positive=True)
s = sp.Symbol("s_i", positive=True)
l = lam_H
s_inf = sigma - N * l
logistic = s_inf / (1 + (s_inf / s_0 - 1) * sp.exp(-2 * s_inf * time / N))


def flow(proof: Proof, weight: Any = l) -> tuple[Any, Any]:
    """State the loss with equal weights, and verify its negative gradients: dW/dt and dH/dt."""
    proof.section("The flow")
    residual = W * H - Y
    loss = norm2(residual) / (2 * N) + weight * (norm2(W) + norm2(H)) / 2
    proof.define("loss", "For any targets $Y$ and one linear layer the loss is", L, loss)
    in_W, in_H = residual * H.T / N + weight * W, W.T * residual / N + weight * H
    proof.gradient("gradient in W", "Its gradients are", L, W, in_W)
    proof.gradient("gradient in H", "and", L, H, in_H)
    return -in_W, -in_H


def aligned(proof: Proof, weight: Any = l) -> None:
    """An aligned state stays aligned: its strengths P and G move by themselves, mode by mode."""
    dW, dH = flow(proof, weight)
    one = sp.Identity(r)
    proof.section("An aligned start")
    proof.given("frames", "Let $Y = U\\Sigma V'$ and $R$ have orthonormal columns;", {U.T * U: one, V.T * V: one})
    proof.given("feature frame", "", {R.T * R: one}, shown=False)
    where = {Y: U * S * V.T, W: U * P * R.T, H: R * G.T * V.T}
    proof.identity(
        "aligned flow",
        "for $W = UPR'$ and $H = RG'V'$ the flow keeps $U$, $R$ and $V$ and moves $P$ and $G$; if these are diagonal "
        "they stay so.",
        (dW, U * ((S - P * G.T) * G / N - weight * P) * R.T),
        (dH, R * (P.T * (S - P * G.T) / N - weight * G.T) * V.T),
        where=where,
    )


def modes(proof: Proof, weight: Any = l) -> tuple[Any, Any]:
    """Dp/dt and dg/dt of one mode."""
    aligned(proof, weight)
    return (sigma - p * g) * g / N - weight * p, (sigma - p * g) * p / N - weight * g


def balanced_mode(proof: Proof, weight: Any = l) -> Any:
    """Ds/dt of a balanced mode, p = g and s = p^2."""
    dp, dg = modes(proof, weight)
    proof.equal(
        "balance stays",
        "On one mode $p^2 - g^2$ decays at $2l$, so a balanced mode, $p = g$, stays balanced,",
        2 * p * dp - 2 * g * dg,
        -2 * weight * (p**2 - g**2),
    )
    slope = 2 * s * (sigma - N * weight - s) / N
    proof.equal(
        "strength",
        "and its strength $s = p^2$ moves by",
        (2 * p * dp).subs(g, p),
        slope.subs(s, p**2),
    )
    return slope


def unique(proof: Proof, *claims: Any) -> None:
    """What satisfies the equation and the start is the flow."""
    proof.lemma("uniqueness", "No other function does both, so this is the flow.", lemma("unique_flow"), *claims)


def logistic_modes() -> Derivation:
    """The logistic equation and its solution."""
    proof = Proof("Logistic modes", "Squared loss, no bias, equal weights $l$, an aligned balanced start.")
    slope = balanced_mode(proof)
    proof.section("Its solution")
    end = sp.Symbol("s_inf", real=True)
    proof.define("limit", "With", end, s_inf)
    curve = end / (1 + (end / s_0 - 1) * sp.exp(-2 * end * time / N))
    proof.equal("equation", "the logistic curve satisfies it,", sp.diff(curve, time), 2 * curve * (end - curve) / N)
    proof.equal("start", "starts at $s(0)$,", curve.subs(time, 0), s_0)
    algebraic = s_0 / (1 + 2 * s_0 * time / N)
    at_zero = slope.subs(sigma, N * l)
    proof.equal(
        "critical mode",
        "and where $s_\\infty = 0$ the curve $s(0)/(1 + 2 s(0) t/N)$ does.",
        sp.diff(algebraic, time),
        at_zero.subs(s, algebraic),
    )
    unique(proof, equation(sp.Symbol("s_i(t)"), logistic))
    return proof.conclude({"modes": logistic})


def saturation() -> Derivation:
    """The logistic curve at the time T."""
    proof = Proof("Half saturation", "A mode with $0 < s(0) < s_\\infty/2$.")
    proof.uses("logistic", "The mode is logistic.", prove("trajectories:logistic_modes"))
    end, ratio = sp.Symbol("s_inf", positive=True), sp.Symbol("x", positive=True)
    proof.define("ratio", "Write $x = s_\\infty/s(0) - 1 > 1$, so that", ratio, end / s_0 - 1)
    half_time = N * sp.log(ratio) / (2 * end)
    curve = end / (1 + ratio * sp.exp(-2 * end * time / N))
    proof.equal(
        "half", "at $T = \\log x\\,/(2(\\sigma/N - l))$ it is", sp.simplify(curve.subs(time, half_time)), end / 2
    )
    return proof.conclude({"modes": s_inf / 2})


def early_growth() -> Derivation:
    """The logistic equation to first order."""
    proof = Proof("Early growth", "A mode with $s \\ll s_\\infty$.")
    slope = balanced_mode(proof)
    growth = 2 * (sigma / N - l)
    proof.equal("growth", "Its logarithm grows at a rate that falls with $s$;", slope / s, growth - 2 * s / N)
    return proof.conclude({"d(log(modes))/dt": growth})


def within_class() -> Derivation:
    """The within-class part is driven by W'W alone."""
    proof = Proof(
        "Within-class decay",
        "An aligned balanced start with equal modes, and a within-class part $H_w$ taken to first order: "
        "$W$ feels it through $W H_w H_w'$, to second order only.",
    )
    _, dH = flow(proof)
    Hw, Hm, Ym = sp.MatrixSymbol("H_w", d, N), sp.MatrixSymbol("H_m", d, N), sp.MatrixSymbol("Y", m, N)
    proof.section("Within the classes")
    share = -(W.T * W * Hw / N + l * Hw)
    mean = -(W.T * (W * Hm - Ym) / N + l * Hm)
    proof.identity(
        "split",
        "For $H = H_m + H_w$, class means and what deviates from them, the flow of $H$ is that of $H_m$ plus",
        (dH - mean, share),
        where={H: Hm + Hw},
    )
    one = sp.Identity(r)
    inside, outside = sp.MatrixSymbol("X", r, N), sp.MatrixSymbol("O", d, N)
    strength = sp.Symbol("s", positive=True)
    proof.given("frame", "With $W'W = s\\,RR'$, $R'R = I$,", {R.T * R: one}, shown=False)
    proof.given("equal modes", "", {W.T * W: strength * R * R.T})
    proof.given("outside", "and a part outside the row space,", {R.T * outside: sp.ZeroMatrix(r, N)})
    proof.identity(
        "inside",
        "the part $RX$ decays at $s/N + l$,",
        (share, -(strength / N + l) * R * inside),
        where={Hw: R * inside},
    )
    proof.identity("outside rate", "the other at $l$.", (share, -l * outside), where={Hw: outside})
    proof.section("In time")
    start_in, start_out = sp.symbols("w_in(0) w_out(0)", positive=True)
    within = start_in * sp.exp(-l * time) / sp.sqrt(1 + s_0 / s_inf * (sp.exp(2 * s_inf * time / N) - 1))
    without = start_out * sp.exp(-l * time)
    end = sp.Symbol("s_inf", real=True)
    proof.define("limit", "With", end, s_inf)
    gained = 1 + s_0 / end * (sp.exp(2 * end * time / N) - 1)
    curve = end / (1 + (end / s_0 - 1) * sp.exp(-2 * end * time / N))
    proof.equal(
        "inside in time",
        "and the logistic $s(t)$, minus half the logarithm of $1 + (s(0)/s_\\infty)(e^{at} - 1)$ falls "
        "at $s/N$, which makes "
        "the first the formula stated:",
        sp.diff(sp.log(gained) / 2, time),
        curve / N,
    )
    proof.equal("start inside", "it starts right,", within.subs(time, 0), start_in)
    proof.equal("outside in time", "and so is the second.", sp.diff(without, time), -l * without)
    unique(proof)
    return proof.conclude({"within_inside": within, "within_outside": without})


def grams() -> Derivation:
    """The data term sees W and H through their product only."""
    proof = Proof("Gram matrices", "Any loss of the logits $WH + b\\mathbf{1}'$, equal weights $l$.")
    slope = sp.MatrixSymbol("Z", m, N)
    dW: Any = -(slope * H.T + l * W)
    dH: Any = -(W.T * slope + l * H)
    proof.define(
        "slope",
        "Let $Z$ be the gradient of the data term by the logits. By the chain rule $dW/dt = -ZH' - lW$, and",
        sp.MatrixSymbol("dH/dt", d, N),
        dH,
    )
    gap = W.T * W - H * H.T
    turned = dW.T * W + W.T * dW - dH * H.T - H * dH.T
    proof.identity("decay", "The slope cancels in the difference of the Gram matrices:", (turned, -2 * l * gap))
    a = sp.Function("a")(time)
    proof.equal(
        "conserved",
        "each of whose entries $a$, with $da/dt = -2la$, leaves $e^{2lt}a$ as it is.",
        sp.diff(sp.exp(2 * l * time) * a, time).subs(sp.diff(a, time), -2 * l * a),
        0,
    )
    return proof.conclude(
        claims={"grams_difference*exp(2*lambda_H*t) is conserved": equation(sp.Symbol("d/dt(e^{2lt}(W'W-HH'))"), 0)}
    )


E, Q_0 = sp.MatrixSymbol("e^{Ft}", q, q), sp.MatrixSymbol("Q_0", q, d)
INNER = sp.MatrixSymbol("(I+Q_0'GQ_0/N)^{-1}", d, d)
F = sp.MatrixSymbol("F", q, q)


def solved_riccati(proof: Proof) -> Any:
    """QQ' of dQ = FQ - QQ'Q/(2N), F symmetric: the formula satisfies its equation."""
    proof.section("The matrix Riccati equation")
    Q, dQ = sp.MatrixSymbol("Q", q, d), sp.MatrixSymbol("dQ", q, d)
    G, M = sp.MatrixSymbol("E", q, q), sp.MatrixSymbol("M", d, d)  # short for E and INNER
    slope: Any = F * Q - Q * Q.T * Q / (2 * N)
    proof.given("symmetric", "$F$ is symmetric and commutes with its exponential;", {G * F: F * G}, shown=False)
    proof.identity(
        "equation of QQ'",
        "so $\\Phi = QQ'$ obeys $d\\Phi/dt = F\\Phi + \\Phi F' - \\Phi^2/N$.",
        (dQ * Q.T + Q * dQ.T, F * (Q * Q.T) + (Q * Q.T) * F.T - (Q * Q.T) * (Q * Q.T) / N),
        where={dQ: slope},
    )
    answer = G * Q_0 * M * Q_0.T * G
    shown = sp.MatrixSymbol("Phi", q, q)
    # dE = FE; the inner matrix is 1 + Q0'GQ0/N with dG = E^2, so its inverse moves by -(inverse)(Q0'E^2 Q0/N)(inverse)
    moved = (
        F * G * Q_0 * M * Q_0.T * G
        + G * Q_0 * M * Q_0.T * G * F
        - G * Q_0 * (M * Q_0.T * G * G * Q_0 * M) * Q_0.T * G / N
    )
    proof.identity(
        "solution",
        "With $E = e^{Ft}$ and $M = (I + Q_0'GQ_0/N)^{-1}$ the formula $\\Phi = EQ_0MQ_0'E$ has the "
        "derivative asked for, as "
        "$dE/dt = FE$ and $dG/dt = E^2$;",
        (moved, F * shown + shown * F - shown * shown / N),
        where={shown: answer},
    )
    proof.identity(
        "start",
        "and starts at $Q_0Q_0'$, where $e^{Ft} = I$ and $G = 0$.",
        (answer, Q_0 * Q_0.T),
        where={G: sp.Identity(q), M: sp.Identity(d)},
    )
    unique(proof)
    return answer.xreplace({G: E, M: INNER})


def riccati() -> Derivation:
    """A balanced state moves by a Riccati equation."""
    proof = Proof(
        "Balanced starts", "Squared loss, no bias, equal weights $l$, $W'W = HH'$; $H$ in the class basis of theory 2."
    )
    dW, dH = flow(proof)
    proof.section("A balanced state")
    proof.given("balanced", "Balance stays (Gram matrices):", {H * H.T: W.T * W})
    half = 1 / (2 * N)
    proof.identity(
        "rows of W",
        "so for $Q = [W; H']$ and $F = \\frac1N[[0, Y], [Y', 0]] - lI$, the rows of $W$ in $FQ - QQ'Q/(2N)$ "
        "are $dW/dt$,",
        (dW, Y * H.T / N - l * W - half * (W * W.T * W + W * H * H.T)),
    )
    proof.identity(
        "rows of H'",
        "and those of $H'$ are $dH'/dt$.",
        (dH.T, Y.T * W / N - l * H.T - half * (H.T * W.T * W + H.T * H * H.T)),
    )
    return proof.conclude({"factors_gram": solved_riccati(proof)})


def unbalanced_mode() -> Derivation:
    """What p^2 - g^2 leaves of two equations, and a substitution that makes one of them rational."""
    proof = Proof("Unbalanced modes", "Squared loss, no bias, no regularisation, an aligned start with $p \\ne g$.")
    dp, dg = modes(proof, sp.S.Zero)
    delta, h = sp.Symbol("delta_i", positive=True), sp.Symbol("h", positive=True)
    v, v_0, T = sp.Symbol("v", positive=True), sp.Symbol("v_0", positive=True), sp.Symbol("T", nonnegative=True)
    proof.equal("conserved", "The difference $p^2 - g^2$ is conserved:", 2 * p * dp - 2 * g * dg, 0)
    proof.equal("strength", "With $s = pg$,", p * dg + g * dp, (p**2 + g**2) * (sigma - p * g) / N)
    proof.equal("sum", "where $p^2 + g^2$ is the root of", (p**2 + g**2) ** 2, 4 * (p * g) ** 2 + (p**2 - g**2) ** 2)
    proof.section("A substitution")
    strength = delta * v / (1 - v**2)
    root = delta * (1 + v**2) / (1 - v**2)
    dv = (sigma * (1 - v**2) - delta * v) / N
    proof.equal(
        "root", "For $s = \\delta v/(1 - v^2)$, $0 < v < 1$, the root is rational,", root**2, 4 * strength**2 + delta**2
    )
    proof.equal(
        "equation of v",
        "and $v$ moves by $dv/dt = (\\sigma(1 - v^2) - \\delta v)/N$:",
        sp.diff(strength, v) * dv,
        root * (sigma - strength) / N,
    )
    A, B = sp.symbols("A B", positive=True)
    root_h = sp.sqrt(delta**2 + 4 * sigma**2)
    above, below = v_0 * h + (2 * sigma - delta * v_0) * T, h + (delta + 2 * sigma * v_0) * T
    proof.define("h", "With", h, root_h)
    proof.define("numerator", "and $T = \\tanh(ht/(2N))$, so that $dT/dt = h(1 - T^2)/(2N)$, let", A, above)
    proof.define("denominator", "and", B, below)
    proof.equal(
        "solution",
        "Then $v = A/B$ solves it: $B^2 dv/dt$ is",
        (sp.diff(above, T) * B - A * sp.diff(below, T)) * h * (1 - T**2) / (2 * N),
        (sigma * (B**2 - A**2) - delta * A * B) / N,
    )
    solved = above / below
    proof.equal("start of v", "which starts at $v_0$;", solved.subs(T, 0), v_0)
    y = sp.Symbol("y", positive=True)
    proof.equal(
        "start",
        "with $\\theta = \\log y$ and $v_0 = \\tanh(\\theta/2)$ that is $s(0) = \\frac{\\delta}{2}\\sinh\\theta$.",
        strength.subs(v, (y - 1) / (y + 1)),
        delta * (y - 1 / y) / 4,
    )
    unique(proof)
    in_time: Any = {
        T: sp.tanh(h * time / (2 * N)),
        v_0: sp.tanh(sp.asinh(2 * s_0 / delta) / 2),
    }
    inserted = solved.subs(in_time, simultaneous=True).subs(h, root_h)
    return proof.conclude({"modes": strength.subs(v, inserted)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "logistic_modes": logistic_modes,
    "saturation": saturation,
    "early_growth": early_growth,
    "within_class": within_class,
    "grams": grams,
    "riccati": riccati,
    "unbalanced_mode": unbalanced_mode,
}
