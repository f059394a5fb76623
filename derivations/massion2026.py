"""Why the claims on class encoding hold: the frames by our closed form, the rest from the gradients."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import sympy as sp

from ufm import encodings
from ufm.derivation import Derivation, Proof, SquaredNorm
from ufm.derivation.directions import KEPT
from ufm.derivation.engine import derive
from ufm.derivation.engine.shallow import Bias, shrinkage
from ufm.derivation.load import prove
from ufm.derivation.proof import equation
from ufm.derivation.regimes import ABOVE, AT, BELOW, PLATEAU, Regime, gamma, u, u_0, v
from ufm.problem import Problem, classes
from ufm.symbols import K, N, SoftThreshold, d, lam_b, lam_H, lam_W, m, n, sigma, tau

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

j, i = sp.symbols("j i", integer=True, positive=True)  # directions kept, and the others
ONES_K: Any = sp.MatrixSymbol("𝟏_K", K, 1)
CODES: Any = sp.MatrixSymbol("C", m, K)
CENTRED: Any = sp.MatrixSymbol("C_c", m, K)
ONE = sp.Identity(1)
_BIASES: dict[Bias, str] = {"none": "without a bias", "free": "with a free bias", "penalised": "with any other bias"}
NEAREST = "the output at every class mean is nearest to its own code"


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


def nc2() -> Derivation:
    """Features of shrunk targets, averaged over classes: the root of the centred codes' Gram matrix, shrunk."""
    Q: Any = sp.MatrixSymbol("Q", N, K)
    U_1, U_2 = sp.MatrixSymbol("U_1", m, j), sp.MatrixSymbol("U_2", m, i)
    V_1, V_2 = sp.MatrixSymbol("V_1", K, j), sp.MatrixSymbol("V_2", K, i)
    S_1, S_2 = sp.MatrixSymbol("S_1", j, j), sp.MatrixSymbol("S_2", i, i)
    root, shrunk = sp.MatrixSymbol("(C_c'C_c)^{1/2}", K, K), sp.MatrixSymbol("P", K, K)
    Y_c = sp.MatrixSymbol("Y_c", m, N)
    proof = Proof(
        "The frame of the centred codes",
        "Squared loss, one layer, any codes $C$ of $K$ classes of $n$ samples, a free bias, width at least $m$.",
    )
    proof.define("mean weight", "Let", sp.Symbol("c", positive=True), sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "", tau, N * sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "and", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.section("The targets")
    orthogonal = {U_1.T * U_2: sp.ZeroMatrix(j, i), V_1.T * V_2: sp.ZeroMatrix(j, i)}
    pairs = ((U_1, j), (U_2, i), (V_1, j), (V_2, i), (Q, K))
    proof.given(
        "centred codes",
        "With the normalised indicators $Q$ of the classes, and $S_1$ for the singular values of the centred codes "
        "above $\\tau/\\sqrt n$, the centred targets are",
        {
            Y_c: sp.sqrt(n) * CENTRED * Q.T,
            CENTRED: U_1 * S_1 * V_1.T + U_2 * S_2 * V_2.T,
            **orthogonal,
            **{M.T * M: sp.Identity(size) for M, size in pairs},
        },
    )
    proof.identity(
        "their singular values",
        "so that their right singular vectors are those of the codes, and their singular values $\\sqrt n$ times as "
        "large:",
        (Y_c, U_1 * (sp.sqrt(n) * S_1) * (Q * V_1).T + U_2 * (sp.sqrt(n) * S_2) * (Q * V_2).T),
        ((Q * V_1).T * Q * V_1, sp.Identity(j)),
    )
    proof.define("root", "The matrix", root, V_1 * S_1 * V_1.T + V_2 * S_2 * V_2.T)
    proof.identity(
        "the root of the Gram matrix", "is the root ($S_1$, $S_2$ are symmetric):", (root.T * root, CENTRED.T * CENTRED)
    )
    threshold = tau / sp.sqrt(n)
    proof.define(
        "its part", "What of it exceeds $\\tau/\\sqrt n$ is", shrunk, V_1 * (S_1 - threshold * sp.Identity(j)) * V_1.T
    )
    proof.section("The class means")
    proof.uses(
        "shrunk targets",
        "By the theorem on shrinkage with a free bias every minimiser has the features' Gram matrix $H'H = \\gamma^2 "
        "(QV_1)(\\sqrt n S_1 - \\tau)(QV_1)'$;",
        shrinkage("free"),
    )
    gram = gamma**2 * Q * V_1 * (sp.sqrt(n) * S_1 - tau * sp.Identity(j)) * V_1.T * Q.T
    proof.identity(
        "class means",
        "and the class means are $\\bar H = HQ/\\sqrt n$. So $\\bar H'\\bar H$ is",
        (Q.T * gram * Q / n, gamma**2 / sp.sqrt(n) * shrunk),
    )
    balanced = Regime("classes of one size", "N = Kn", {N: K * n})
    proof.equal("the factor", "with", gamma**2 / sp.sqrt(n), sp.sqrt(lam_W / (n * lam_H)))
    proof.equal("the threshold", "and", threshold, K * sp.sqrt(n * lam_W * lam_H), regime=balanced)
    formula = sp.sqrt(lam_W / (n * lam_H)) * SoftThreshold(root, K * sp.sqrt(n * lam_W * lam_H))
    return proof.conclude({"gram": formula})


def nc4() -> Derivation:
    """Outputs of two classes differ by what shrinkage leaves of their codes' difference: no decision is changed."""
    ybar: Any = sp.MatrixSymbol("ybar", m, 1)
    V, U = sp.MatrixSymbol("V", K, j), sp.MatrixSymbol("U", m, j)
    e_k, e_l = sp.MatrixSymbol("e_k", K, 1), sp.MatrixSymbol("e_l", K, 1)
    Z: Any = sp.MatrixSymbol("Z", m, K)
    a, theta, r = sp.Symbol("a", positive=True), sp.Symbol("theta"), sp.Symbol("r", real=True)
    proof = Proof(
        "Decisions for codes that are a simplex",
        "Squared loss, one layer, $K \\ge 2$ classes of $n$ samples, codes with $C_c'C_c = a(I - \\frac1K "
        "\\mathbf{1}\\mathbf{1}')$ and $C_c'\\bar y = 0$, any weight of the bias, $\\tau$ below the singular value "
        "$\\sigma_i = \\sqrt{na}$ of the centred directions, width at least $m$.",
    )
    proof.section("The targets")
    proof.define("scale of the codes", "In terms of this singular value", a, sigma**2 / n)
    proof.given(
        "codes",
        "The columns of $V$ are an orthonormal basis of the vectors of sum zero; $e_k$ and $e_l$ are two unit vectors.",
        {
            CODES: ybar * ONES_K.T + CENTRED,
            CENTRED.T * CENTRED: a * (sp.Identity(K) - ONES_K * ONES_K.T / K),
            ybar.T * CENTRED: sp.ZeroMatrix(1, K),
            CENTRED * ONES_K: sp.ZeroMatrix(m, 1),
            V.T * V: sp.Identity(j),
            V * V.T: sp.Identity(K) - ONES_K * ONES_K.T / K,
            ONES_K.T * V: sp.ZeroMatrix(1, j),
            e_k.T * e_k: ONE,
            e_l.T * e_l: ONE,
            e_k.T * e_l: sp.ZeroMatrix(1, 1),
            e_l.T * e_k: sp.ZeroMatrix(1, 1),
            ONES_K.T * e_k: ONE,
            ONES_K.T * e_l: ONE,
        },
    )
    proof.define("left directions", "Then the columns of", U, sp.sqrt(n) / sigma * CENTRED * V)
    proof.identity(
        "singular directions",
        "are the left singular vectors of the centred targets in the class basis, all with the singular value "
        "$\\sigma_i$, and orthogonal to the mean:",
        (sigma * U * V.T, sp.sqrt(n) * CENTRED),
        (U.T * U, sp.Identity(j)),
        (ybar.T * U, sp.ZeroMatrix(1, j)),
    )
    proof.section("The outputs")
    for bias, words in _BIASES.items():
        sentence = (
            f"By the theorem on shrinkage {words} the product is $U(\\sigma_i-\\tau)V'$ on the centred directions; "
            "what it has on the mean direction and the bias are along $\\bar y$."
        )
        proof.uses(f"shrinkage {words}", sentence, shrinkage(bias))
    proof.define("share", "With the share that is left of a centred direction,", theta, 1 - tau / sigma)
    proof.identity("what is left", "this is", (U * (sigma - tau) * V.T / sp.sqrt(n), theta * CENTRED))
    proof.define(
        "outputs",
        "the outputs at the class means are, for some number $r$,",
        Z,
        r * ybar * ONES_K.T + theta * CENTRED,
    )
    lead = SquaredNorm(Z * e_k - CODES * e_l) - SquaredNorm(Z * e_k - CODES * e_k)
    proof.identity(
        "lead", "That of class $k$ is farther from the code of class $l$ than from its own, by", (lead, 2 * theta * a)
    )
    positive = sp.Gt(2 * theta * a, 0, evaluate=False)
    proof.sign("positive", "which is positive, as $\\tau < \\sigma_i$.", positive, regime=KEPT)
    return proof.conclude(claims={NEAREST: positive})


def _binary(strong: bool) -> Derivation:
    """Shrinkage is towards the origin, which is the code 00: up to a threshold no decision changes, then one does."""
    plus, minus = sp.MatrixSymbol("u_+", m, 1), sp.MatrixSymbol("u_-", m, 1)
    right, odd = sp.MatrixSymbol("v_+", K, 1), sp.MatrixSymbol("v_-", K, 1)
    e: dict[str, Any] = {code: sp.MatrixSymbol(f"e_{code}", K, 1) for code in ("01", "10", "11")}
    root_2, root_3 = sp.sqrt(2), sp.sqrt(3)
    s, Z = sp.Symbol("s", positive=True), sp.MatrixSymbol("Z", m, K)
    proof = Proof(
        "Binary codes without a bias",
        "Squared loss, one layer, no bias, four classes of $n$ samples with the codes 00, 01, 10, 11, width at least "
        "2, $\\tau < \\sqrt n$: the nearest code to every output is its own exactly for $\\tau/\\sqrt n < "
        "(3-\\sqrt3)/2$; at equality two are.",
    )
    proof.section("The targets")
    orthogonal = {x.T * y: sp.ZeroMatrix(1, 1) for x in e.values() for y in e.values() if x is not y}
    orthogonal |= {plus.T * minus: sp.ZeroMatrix(1, 1), minus.T * plus: sp.ZeroMatrix(1, 1)}
    proof.given("units", "", {**{x.T * x: ONE for x in (plus, minus, *e.values())}, **orthogonal}, shown=False)
    sentence = "With $u_+ = (1, 1)/\\sqrt2$, $u_- = (1, -1)/\\sqrt2$, the unit vectors $e$ of the classes,"
    proof.define("classes along the mean", sentence, right, (e["01"] + e["10"] + 2 * e["11"]) / sp.sqrt(6))
    proof.define("classes across it", "and", odd, (e["10"] - e["01"]) / root_2)
    zero = sp.ZeroMatrix(m, 1)
    code: dict[str, Any] = {
        "00": zero,
        "01": (plus - minus) / root_2,
        "10": (plus + minus) / root_2,
        "11": root_2 * plus,
    }
    proof.identity(
        "singular value decomposition",
        "the codes have the singular values $\\sqrt3$ and 1:",
        (sum((code[x] * e[x].T for x in e), sp.ZeroMatrix(m, K)), root_3 * plus * right.T + minus * odd.T),
        (right.T * right, ONE),
        (odd.T * odd, ONE),
        (right.T * odd, sp.ZeroMatrix(1, 1)),
    )
    proof.section("The outputs")
    proof.uses(
        "shrinkage",
        "By the theorem on shrinkage without a bias, with $s = \\tau/\\sqrt n < 1$ off both of them,",
        shrinkage("none"),
    )
    proof.define(
        "outputs", "the outputs at the class means are", Z, (root_3 - s) * plus * right.T + (1 - s) * minus * odd.T
    )

    def lead(k: str, l: str) -> Any:
        output: Any = Z * e[k] if k in e else zero
        return SquaredNorm(output - code[l]) - SquaredNorm(output - code[k])

    first = 1 - (1 + 1 / root_3) * s
    leads = {
        **{("00", l): sp.S.One for l in ("01", "10")},
        ("00", "11"): sp.Integer(2),
        **{(k, "00"): first for k in ("01", "10")},
        **dict.fromkeys((("01", "10"), ("10", "01")), 2 * (1 - s)),
        **{(k, "11"): 1 - s + s / root_3 for k in ("01", "10")},
        **{("11", l): 1 - 2 * s / root_3 for l in ("01", "10")},
        ("11", "00"): 2 * (1 - 2 * s / root_3),
    }
    sides = [(lead(*pair), value) for pair, value in leads.items()]
    proof.identity("leads", "Each is nearer to its own code than to another by (squared distances)", *sides)
    threshold = (3 - root_3) / 2
    below = Regime("below the threshold", r"\tau/\sqrt n < (3-\sqrt3)/2", {s: threshold / (1 + v)})
    beyond = Regime("beyond the threshold", r"\tau/\sqrt n > (3-\sqrt3)/2", {s: threshold + v})
    positive = [sp.Gt(value, 0, evaluate=False) for value in dict.fromkeys(leads.values()) if value.has(s)]
    proof.sign("right", "All are positive for $s < (3-\\sqrt3)/2$;", *positive, regime=below)
    negative = sp.Lt(first, 0, evaluate=False)
    proof.sign("wrong", "beyond, 01 and 10 are nearer to 00.", negative, regime=beyond)
    claims = {NEAREST.replace("is nearest", "is not nearest"): negative} if strong else {NEAREST: sp.And(*positive)}
    return proof.conclude(claims=claims)


PROOFS: dict[str, Callable[[], Derivation]] = {
    "etf_to_of": etf_to_of,
    "bias_centring": bias_centring,
    "nc1": nc1,
    "nc3": nc3,
    "nc2": nc2,
    "nc4": nc4,
    "nc4_binary": partial(_binary, True),
    "nc4_binary_weak": partial(_binary, False),
}
