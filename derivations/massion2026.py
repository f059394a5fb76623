"""Why the claims on class encoding hold: the frames by our closed form, the rest from the gradients."""

import math
from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm import encodings
from ufm.derivation import Derivation, Proof, SquaredNorm
from ufm.derivation.engine import derive
from ufm.derivation.load import prove
from ufm.derivation.proof import equation
from ufm.derivation.regimes import ABOVE, AT, BELOW, PLATEAU, u, u_0
from ufm.problem import Problem, classes
from ufm.symbols import K, N, d, lam_b, lam_H, lam_W, m, n

W = sp.MatrixSymbol("W", m, d)
H = sp.MatrixSymbol("H", d, N)
b = sp.MatrixSymbol("b", m, 1)
Y = sp.MatrixSymbol("Y", m, N)
ONES_N = sp.MatrixSymbol("𝟏_N", N, 1)
L = sp.Symbol("L")
THRESHOLD = sp.Symbol("lambda_b^*", positive=True)
Y_MEAN = sp.MatrixSymbol("ybar", m, 1)
H_MEAN = sp.MatrixSymbol("hbar", d, 1)
DELTA = sp.MatrixSymbol("delta", N, 1)
Z_B = sp.MatrixSymbol("Z_b", m, 1)  # the gradients, where they vanish
Z_H = sp.MatrixSymbol("Z_H", d, N)
OMEGA = sp.Symbol("Omega", nonnegative=True)  # the penalties of the factors of W
RESIDUAL = W * H + b * ONES_N.T - Y
LOSS = SquaredNorm(RESIDUAL) / (2 * N) + OMEGA + lam_H / 2 * SquaredNorm(H) + lam_b / 2 * SquaredNorm(b)
IN_BIAS = RESIDUAL * ONES_N / N + lam_b * b
IN_FEATURES = W.T * RESIDUAL / N + lam_H * H


def _one_hot(weight: Any) -> Derivation:
    return derive(Problem(classes(encodings.one_hot(K), n), lam_W=lam_W, lam_H=lam_H, lam_b=weight))


def etf_to_of() -> Derivation:
    """The cosine of the closed form goes from -1/(K-1) to 0 and never decreases."""
    closed_form = _one_hot(lam_b)
    cosine = closed_form.formulae["cosine"]
    proof = Proof(
        "From simplex ETF to orthogonal frame",
        "Balanced one-hot labels, $d \\ge K \\ge 2$, $t_{rel} < 1$: as $\\lambda_b$ grows from 0 to "
        "$\\infty$, the cosine between uncentred "
        "class means goes from $-1/(K-1)$ to 0 and never decreases.",
    )
    cos = sp.Symbol("kappa_b", real=True)
    proof.section("The closed form")
    proof.uses(
        "closed form",
        "From the loss, the engine derives the cosine $\\kappa_b$ for every $0 < \\lambda_b < \\infty$, with the "
        "threshold $\\lambda_b^{*}$.",
        closed_form,
    )
    proof.define("threshold", "", THRESHOLD, closed_form.formulae["lam_b_star"], shown=False)
    proof.define("cosine", "", cos, cosine, shown=False)
    proof.equal("below", "It is, for $\\lambda_b < \\lambda_b^{*}$,", cos, -1 / (K - 1), regime=BELOW)
    proof.equal("at", "for $\\lambda_b = \\lambda_b^{*}$ still", cos, -1 / (K - 1), regime=AT)
    above = -THRESHOLD / (K * lam_b - THRESHOLD)
    proof.equal("above", "and for $\\lambda_b > \\lambda_b^{*}$", cos, above, regime=ABOVE)
    proof.section("Its course")
    proof.equal(
        "continuity", "The last expression continues the first,", above.subs(lam_b, THRESHOLD), -1 / (K - 1), regime=AT
    )
    proof.sign("increase", "it increases,", sp.Gt(sp.factor(sp.diff(above, lam_b)), 0, evaluate=False), regime=ABOVE)
    proof.sign("bounds", "it stays between the two frames,", sp.Gt(above, -1 / (K - 1)), sp.Lt(above, 0), regime=ABOVE)
    proof.limit(
        "orthogonal frame", "and tends to that of an orthogonal frame.", cos, (lam_b, sp.oo), 0, (ABOVE, u, sp.oo)
    )
    proof.limit("simplex frame", "At the other end,", cos, (lam_b, 0), -1 / (K - 1), (PLATEAU, u_0, sp.oo))
    for name, end, frame in (("A free bias", 0.0, "simplex ETF"), ("No bias at all", math.inf, "orthogonal frame")):
        sentence = f"{name} is no limit but a problem of its own: an exact {frame}."
        proof.uses(f"endpoint, {frame}", sentence, _one_hot(end))
        found = BELOW.resolve(_one_hot(end).formulae["cosine"])
        proof.equal(f"cosine of the {frame}", "Its cosine is", found, -1 / (K - 1) if end == 0 else sp.S.Zero, BELOW)
    claims = {"cosine": "cosine = -1/(K-1) for lam_b <= lam_b*, increasing above, 0 in the limit and without a bias"}
    return proof.conclude({"cosine": cosine}, claims, (BELOW, AT, ABOVE))


def _gradient_in_bias(proof: Proof) -> None:
    """State the loss for any targets, and verify its gradient in the bias."""
    proof.section("The loss")
    proof.given(
        "samples", "Take $N$ samples with any targets $Y$;", {ONES_N.T * ONES_N: N * sp.Identity(1)}, shown=False
    )
    proof.define("loss", "$W$ may be a product of layers, whose penalties are collected in $\\Omega$.", L, LOSS)
    proof.define("mean label", "Write $\\bar y$ for the mean label", Y_MEAN, Y * ONES_N / N)
    proof.define("mean feature", "and $\\bar h$ for the mean feature.", H_MEAN, H * ONES_N / N)


def bias_centring() -> Derivation:
    """The bias takes the fraction 1/(1 + lam_b) of what the features leave of the mean label."""
    proof = Proof(
        "The bias centres the labels",
        "Squared loss, any encoding, any width and depth, at every critical point: the mean "
        "prediction misses the mean label by "
        "$\\lambda_b b$; a free bias is the mean label itself.",
    )
    _gradient_in_bias(proof)
    proof.gradient("gradient in the bias", "The gradient in the bias is", L, b, IN_BIAS)
    proof.gradient("gradient in the features", "and the gradient in the features", L, H, IN_FEATURES)
    proof.section("What the bias leaves")
    proof.follows(
        "gap",
        "Where the first vanishes, the mean label exceeds the mean prediction by a multiple of the bias,",
        Y_MEAN - W * H_MEAN - b,
        lam_b * b,
        {Z_B: IN_BIAS},
        -Z_B,
    )
    proof.follows(
        "fraction",
        "so the bias takes the fraction $1/(1 + \\lambda_b)$ of what the features leave, and centres "
        "the labels exactly only where "
        "$\\lambda_b b = 0$.",
        b,
        (Y_MEAN - W * H_MEAN) / (1 + lam_b),
        {Z_B: IN_BIAS},
        Z_B / (1 + lam_b),
    )
    free = {Z_B: IN_BIAS - lam_b * b, Z_H: IN_FEATURES}  # the gradients at lam_b = 0
    mean_feature = (Z_H * ONES_N - W.T * Z_B) / (N * lam_H)
    proof.follows(
        "free bias, features",
        "With a free bias, $\\lambda_b = 0$, the gradient in the features, summed over the samples, leaves",
        H_MEAN,
        sp.ZeroMatrix(d, 1),
        free,
        mean_feature,
    )
    proof.follows("free bias", "and therefore", b, Y_MEAN, free, Z_B - W * mean_feature)
    return proof.conclude(
        claims={
            "bias_invariant": equation((1 + lam_b) * b, Y_MEAN - W * H_MEAN),
            "bias_gap": equation(b, Y_MEAN),
        }
    )


def nc1() -> Derivation:
    """Samples with equal targets have equal features, at every critical point and for any encoding."""
    proof = Proof(
        "Equal targets, equal features",
        "Squared loss, $\\lambda_H > 0$, any encoding, any width and depth, with or without a bias: "
        "at every critical point two samples with "
        "the same target have the same feature. So the features of a class coincide, and so do those "
        "of classes with equal codes.",
    )
    _gradient_in_bias(proof)
    proof.gradient("gradient in the features", "The gradient in the features is", L, H, IN_FEATURES)
    proof.section("Two samples with one target")
    proof.given(
        "a difference of two samples",
        "Let $\\delta = e_i - e_j$ for two samples with $y_i = y_j$, so that $H \\delta = h_i - h_j$. Then",
        {Y * DELTA: sp.ZeroMatrix(m, 1), ONES_N.T * DELTA: sp.ZeroMatrix(1, 1)},
    )
    proof.follows(
        "only the target matters",
        "Where the gradient vanishes, neither the targets nor the bias are left in it:",
        W.T * W * H * DELTA / N + lam_H * H * DELTA,
        sp.ZeroMatrix(d, 1),
        {Z_H: IN_FEATURES},
        Z_H * DELTA,
    )
    proof.squares(
        "equal features",
        "Multiplied by $(H \\delta)'$ this is a sum of squares; as it is zero and $\\lambda_H > 0$, $h_i = h_j$.",
        sp.Trace(DELTA.T * H.T * (W.T * W * H * DELTA / N + lam_H * H * DELTA)),
        sp.S.Zero,
        [(1 / N, W * H * DELTA), (lam_H, H * DELTA)],
    )
    claims = {
        "role_spread": equation(H * DELTA, sp.ZeroMatrix(d, 1)),
        "equal codes": "classes with equal codes share one feature",
    }
    return proof.conclude(claims=claims)


def nc3() -> Derivation:
    """Features lie in the rows of W, and share its penalty, at every critical point and for any encoding."""
    balance = prove("foundations:balance")
    proof = Proof(
        "Self-duality for any encoding",
        "Squared loss, $\\lambda_W, \\lambda_H > 0$, one layer, any encoding, with or without a bias, at "
        "every critical "
        "point.",
    )
    _gradient_in_bias(proof)
    proof.gradient("gradient in the features", "The gradient in the features is", L, H, IN_FEATURES)
    proof.section("Rows and columns")
    proof.follows(
        "rows",
        "Where it vanishes, every feature is a combination of the rows of $W$:",
        H,
        -W.T * RESIDUAL / (N * lam_H),
        {Z_H: IN_FEATURES},
        Z_H / lam_H,
    )
    proof.uses(
        "balance",
        "Balance, $\\lambda_W W'W = \\lambda_H H H'$, has equal traces: $\\lVert H \\rVert^2/\\lVert W \\rVert^2 = "
        "\\lambda_W/\\lambda_H$.",
        balance,
    )
    rows = equation(H, -W.T * RESIDUAL / (N * lam_H))
    return proof.conclude({"energy_ratio": lam_W / lam_H}, {"outside_rows": rows})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "etf_to_of": etf_to_of,
    "bias_centring": bias_centring,
    "nc1": nc1,
    "nc3": nc3,
}
