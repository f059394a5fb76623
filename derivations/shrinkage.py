"""Why the squared loss shrinks singular values, for any targets, and why no other critical point is a local minimum.

One identity again: the loss minus its minimum is a sum of squares, now along the singular directions of the targets.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.directions import ABSENT, AT, DIRECTIONS, KEPT, LOST
from ufm.derivation.proof import equation
from ufm.derivation.regimes import gamma
from ufm.symbols import Y_CENTRED, Y_MEAN, N, SoftThreshold, Total, Y, d, lam_b, lam_H, lam_W, m, sigma, sigma_c, tau

c = sp.Symbol("c", positive=True)
L = sp.Symbol("L")
j, i = sp.symbols("j i", integer=True, positive=True)  # directions kept, and the others

W = sp.MatrixSymbol("W", m, d)
H = sp.MatrixSymbol("H", d, N)
b = sp.MatrixSymbol("b", m, 1)
ybar = sp.MatrixSymbol("ybar", m, 1)
ONES = sp.MatrixSymbol("𝟏_N", N, 1)
U_1, U_2 = sp.MatrixSymbol("U_1", m, j), sp.MatrixSymbol("U_2", m, i)
S_1, S_2 = sp.MatrixSymbol("S_1", j, j), sp.MatrixSymbol("S_2", i, i)
V_1, V_2 = sp.MatrixSymbol("V_1", N, j), sp.MatrixSymbol("V_2", N, i)
T = sp.MatrixSymbol("T", i, i)
G = sp.MatrixSymbol("G", j, j)
O = sp.MatrixSymbol("O", d, j)
X = sp.MatrixSymbol("X", m, N)
E = sp.MatrixSymbol("E", m, N)
Z_FIT = sp.MatrixSymbol("Z_1", m, N)
Z_FEATURES = sp.MatrixSymbol("Z_2", d, N)
Z_LOST = sp.MatrixSymbol("Z_3", i, d)
Z_REST = sp.MatrixSymbol("Z_4", m, d)

KEPT_PART = S_1 - tau * sp.Identity(j)


def _loss(free_bias: bool) -> Any:
    fit = W * H + b * ONES.T - Y if free_bias else W * H - Y
    return norm2(fit) / (2 * N) + (lam_W * norm2(W) + lam_H * norm2(H)) / 2


def _setting(proof: Proof, free_bias: bool) -> None:
    proof.section("The loss")
    proof.define("loss", "The loss of the unconstrained-features model, for any targets $Y$:", L, _loss(free_bias))
    proof.define("mean weight", "With the mean weight", c, sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "the aspect", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "and the shrinkage", tau, N * c)
    targets = "the centred targets $Y - \\bar y \\mathbf{1}'$" if free_bias else "the targets"
    split = U_1 * S_1 * V_1.T + U_2 * S_2 * V_2.T
    given: dict[Any, Any] = {Y: split + ybar * ONES.T if free_bias else split}
    given |= {U.T * U: sp.Identity(size) for U, size in ((U_1, j), (U_2, i), (V_1, j), (V_2, i))}
    given |= {U_1.T * U_2: sp.ZeroMatrix(j, i), V_1.T * V_2: sp.ZeroMatrix(j, i)}
    if free_bias:
        given |= {V_1.T * ONES: sp.ZeroMatrix(j, 1), V_2.T * ONES: sp.ZeroMatrix(i, 1)}
        given |= {ONES.T * ONES: N * sp.Identity(1)}
    proof.given(
        "singular value decomposition",
        f"Split the singular value decomposition of {targets}: $S_1$ holds the singular values above $\\tau$, $S_2$ "
        "all others.",
        given,
    )
    proof.given(
        "the others",
        "As none of the others exceeds $\\tau$, there is a $T$ with",
        {T * T.T: tau**2 * sp.Identity(i) - S_2 * S_2.T},
    )
    proof.define(
        "shrunk targets", "Let $X$ be the targets with their singular values shrunk,", X, U_1 * KEPT_PART * V_1.T
    )
    proof.define("residual", "and $E$ what is left of them,", E, tau * U_1 * V_1.T + U_2 * S_2 * V_2.T)
    rest = Y - ybar * ONES.T if free_bias else Y
    proof.identity("the parts", "so that", (X + E, rest))


def _optimum(proof: Proof, free_bias: bool) -> None:
    """Minimum, attainment, and what every minimiser has."""
    proof.section("The global minimum")
    minimum = tau * sp.Trace(S_1) - j * tau**2 / 2 + norm2(S_2) / 2
    rest = sp.Identity(m) - U_1 * U_1.T - U_2 * U_2.T
    residual = (W * H + b * ONES.T - ybar * ONES.T - X) if free_bias else (W * H - X)
    vanishing = proof.squares(
        "sum of squares",
        "For all factors, of any width, the loss is a constant plus squares. The constant is a lower bound.",
        N * L,
        minimum,
        [
            (sp.Rational(1, 2), residual),
            (N * lam_H / 2, H - W.T * E / (N * lam_H)),
            (1 / (2 * N * lam_H), T.T * U_2.T * W),
            (tau**2 / (2 * N * lam_H), rest * W),
        ],
    )
    proof.given(
        "factors",
        "As the kept singular values exceed $\\tau$, and if the width is at least their number, there are $G$ and $O$ "
        "with",
        {G * G.T: KEPT_PART, O.T * O: sp.Identity(j)},
    )
    proof.identity(
        "attained",
        "Balanced factors of $X$ attain the bound, so it is the global minimum.",
        (N * L, minimum),
        where={W: U_1 * G * O.T / gamma, H: gamma * O * G.T * V_1.T, b: ybar},
    )
    zero = dict(zip((Z_FIT, Z_FEATURES, Z_LOST, Z_REST), vanishing, strict=True))
    fit: Any = 2 * Z_FIT
    proof.section("Every global minimum")
    if free_bias:
        centring = (2 * Z_FIT * ONES - 2 / (N * lam_H) * W * Z_FEATURES * ONES) / N
        proof.follows(
            "the bias", "There all squares vanish. Hence the bias is the mean target,", b, ybar, zero, centring
        )
        fit = fit - centring * ONES.T
    proof.follows("the product", "the product is $X$, the soft-thresholded targets,", W * H, X, zero, fit)
    proof.follows(
        "the features",
        "and the Gram matrices are fixed even where the factors are free to rotate:",
        H.T * H,
        gamma**2 * V_1 * KEPT_PART * V_1.T,
        zero,
        2 / (N * lam_H) * Z_FEATURES.T * H + E.T * fit / (N * lam_H),
    )
    others = 2 * N * lam_H / tau**2 * W * (Z_LOST.T * T.T * U_2.T + Z_REST.T)
    proof.follows(
        "the classifier",
        "and",
        W * W.T,
        U_1 * KEPT_PART * U_1.T / gamma**2,
        zero,
        (N * lam_H * fit - 2 * W * Z_FEATURES) * E.T / tau**2 + others,
    )


def _per_direction(proof: Proof, letter: Any) -> tuple[Any, Any]:
    """(s_i, the direction's part of N times the minimum) in its singular value."""
    proof.section("Direction by direction")
    shrunk = proof.closed_form(
        "singular value",
        "The singular value of the product on a direction is",
        sp.Max(0, letter - tau),
        {KEPT: letter - tau, AT: sp.S.Zero, LOST: sp.S.Zero, ABSENT: sp.S.Zero},
    )
    lost = letter**2 / 2
    part = proof.closed_form(
        "its part of the minimum",
        "and its part of $N$ times the minimum",
        sp.Piecewise((tau * letter - tau**2 / 2, letter > tau), (lost, True)),
        {KEPT: tau * letter - tau**2 / 2, AT: lost, LOST: lost, ABSENT: lost},
    )
    return shrunk, part


def no_bias() -> Derivation:
    """No bias, any targets: the optimum is the soft-thresholded target matrix."""
    proof = Proof(
        "Shrinkage without a bias",
        "Squared loss, no bias, any targets, a width of at least the number of singular values of $Y$ above $\\tau$: "
        "every global minimiser has the product $U [S - \\tau]_+ V'$.",
    )
    _setting(proof, False)
    _optimum(proof, False)
    shrunk, part = _per_direction(proof, sigma)
    threshold = N * sp.sqrt(lam_W * lam_H)
    formulae = {
        "singular_values": shrunk,
        "value": Total(part) / N,
        "logits": SoftThreshold(Y, threshold),
    }
    return proof.conclude(formulae, {"uniqueness": "W H, H'H and WW' are those of every minimiser"}, DIRECTIONS)


def free_bias() -> Derivation:
    """A free bias, any targets: the bias is the mean target, the rest is the soft-thresholded centred target matrix."""
    proof = Proof(
        "Shrinkage with a free bias",
        "Squared loss, a free bias, any targets, a width of at least the number of singular values of the centred "
        "targets above $\\tau$: every global minimiser has $b = \\bar y$ and the product $U [S - \\tau]_+ V'$ of the "
        "centred targets.",
    )
    _setting(proof, True)
    _optimum(proof, True)
    shrunk, part = _per_direction(proof, sigma_c)
    threshold = N * sp.sqrt(lam_W * lam_H)
    formulae = {
        "singular_values_centred": shrunk,
        "value": Total(part) / N,
        "logits": Y_MEAN + SoftThreshold(Y_CENTRED, threshold),
    }
    return proof.conclude(formulae, {"bias_gap": equation(b, ybar)}, DIRECTIONS)


_BIAS = {
    "penalised": "a bias with $0 < \\lambda_b < \\infty$",
    "free": "a free bias",
    "none": "no bias",
}


def _landscape(kind: str) -> Derivation:
    """Any targets, d >= m: a critical point is a global minimum or has a direction of negative curvature."""
    proof = Proof(
        "Every other critical point is a strict saddle",
        f"Squared loss, any targets, {_BIAS[kind]}, width $d \\ge m$: a critical point that is not a global minimum "
        "has a direction of negative curvature.",
    )
    weight = lam_b if kind == "penalised" else sp.S.Zero
    offset: Any = sp.ZeroMatrix(m, N) if kind == "none" else b * ONES.T
    proof.section("The loss")
    loss = norm2(W * H + offset - Y) / (2 * N) + (lam_W * norm2(W) + lam_H * norm2(H) + weight * norm2(b)) / 2
    proof.define("loss", "The loss:", L, loss)
    proof.define("mean weight", "With the mean weight", c, sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "the aspect", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "and the shrinkage", tau, N * c)
    residual: Any = Y - W * H - offset
    gradients = _gradients(proof, kind, residual)
    _where_global(proof, kind, residual, gradients)
    _negative_curvature(proof)
    return proof.conclude(claims={"strict saddles": "a critical point is a global minimum or a strict saddle (d >= m)"})


def _gradients(proof: Proof, kind: str, residual: Any) -> dict[Any, Any]:
    Z_W, Z_H, Z_b = sp.MatrixSymbol("Z_W", m, d), sp.MatrixSymbol("Z_H", d, N), sp.MatrixSymbol("Z_b", m, 1)
    in_W, in_H = lam_W * W - residual * H.T / N, lam_H * H - W.T * residual / N
    proof.gradient("gradient in the classifier", "The gradients are", L, W, in_W)
    proof.gradient("gradient in the features", "and", L, H, in_H)
    if kind == "none":
        return {Z_W: in_W, Z_H: in_H}
    in_b = (lam_b * b if kind == "penalised" else sp.ZeroMatrix(m, 1)) - residual * ONES / N
    proof.gradient("gradient in the bias", "and", L, b, in_b)
    return {Z_W: in_W, Z_H: in_H, Z_b: in_b}


def _where_global(proof: Proof, kind: str, residual: Any, zero: dict[Any, Any]) -> None:
    """A critical point whose residual has no singular value above tau is a global minimum."""
    Z_W, Z_H, *Z_b = zero
    other_W, other_H = sp.MatrixSymbol("W_2", m, d), sp.MatrixSymbol("H_2", d, N)
    other_b = sp.MatrixSymbol("b_2", m, 1)
    proof.section("Where the residual is small, the point is global")
    proof.follows("balance", "Where they vanish,", lam_W * W.T * W, lam_H * H * H.T, zero, W.T * Z_W - Z_H * H.T)
    proof.follows(
        "active directions",
        "and the residual $E$, the targets less the prediction, has the singular value $\\tau$ on the columns of $W$:",
        residual * residual.T * W,
        tau**2 * W,
        zero,
        -N * residual * Z_H.T - N**2 * lam_H * Z_W,
    )
    proof.follows(
        "features at the critical point",
        "There",
        H - W.T * residual / (N * lam_H),
        sp.ZeroMatrix(d, N),
        zero,
        Z_H / lam_H,
    )
    if kind == "penalised":
        left, combination = b - residual * ONES / (N * lam_b), Z_b[0] / lam_b
        proof.follows("bias at the critical point", "and", left, sp.ZeroMatrix(m, 1), zero, combination)
    if kind == "free":
        combination = -N * Z_b[0]
        proof.follows("bias at the critical point", "and", residual * ONES, sp.ZeroMatrix(m, 1), zero, combination)
        proof.given("free", "so that", {E * ONES: sp.ZeroMatrix(m, 1)})
    other = other_W * other_H - Y if kind == "none" else other_W * other_H + other_b * ONES.T - Y
    penalties = lam_W * norm2(other_W) + lam_H * norm2(other_H)
    spare = sp.Trace(other_W.T * (tau**2 * sp.Identity(m) - E * E.T) * other_W) / (2 * N * lam_H)
    bound = sp.Trace(E.T * Y) - norm2(E) / 2
    squares: list[tuple[Any, Any]] = [
        (sp.Rational(1, 2), other + E),
        (N * lam_H / 2, other_H - other_W.T * E / (N * lam_H)),
    ]
    if kind == "penalised":
        penalties += lam_b * norm2(other_b)
        bound -= norm2(E * ONES) / (2 * N * lam_b)
        squares.append((N * lam_b / 2, other_b - E * ONES / (N * lam_b)))
    proof.squares(
        "duality",
        "For all other factors and biases, the loss less the term $\\mathrm{tr}\\, W_2'(\\tau^2 I - E E') W_2$, up to "
        "a "
        "positive factor, is a constant plus squares. At the critical point the squares vanish, and by what was said "
        "of "
        "the active directions so does the term. So if $\\lVert E \\rVert_{op} \\le \\tau$, the term is never "
        "negative and the point is a global minimum. That is so whenever $W$ has full row rank, for then "
        "$E E' = \\tau^2 I$.",
        norm2(other) / 2 + N * penalties / 2 - spare,
        bound,
        squares,
    )


def _negative_curvature(proof: Proof) -> None:
    targets: Any = sp.MatrixSymbol("A", m, N)  # what the bias leaves of the targets
    u, v = sp.MatrixSymbol("u", m, 1), sp.MatrixSymbol("v", N, 1)
    a: Any = sp.MatrixSymbol("a", d, 1)
    left, right = sp.MatrixSymbol("W_c", m, d), sp.MatrixSymbol("H_c", d, N)
    step, top = sp.Symbol("epsilon", positive=True), sp.Symbol("sigma_1", positive=True)
    one = sp.Identity(1)
    proof.section("Where it is large, there is a way down")
    proof.given(
        "a way down",
        "Otherwise $W_c$, a critical classifier, has less than full row rank and $d \\ge m$, so that some unit vector "
        "$a$ has $W_c a = 0$, by balance also $H_c' a = 0$; and $E$ has a singular value $\\sigma_1 > \\tau$, with "
        "singular vectors $u$, $v$. Write $A = Y - b \\mathbf{1}' = W_c H_c + E$.",
        {
            left * a: sp.ZeroMatrix(m, 1),
            right.T * a: sp.ZeroMatrix(N, 1),
            targets: left * right + E,
            E * v: top * u,
            E.T * u: top * v,
            u.T * u: one,
            v.T * v: one,
            a.T * a: one,
        },
    )
    moved_W, moved_H = left + step / gamma * u * a.T, right + step * gamma * a * v.T

    def at(one_W: Any, one_H: Any) -> Any:
        return norm2(one_W * one_H - targets) / 2 + N * (lam_W * norm2(one_W) + lam_H * norm2(one_H)) / 2

    proof.identity(
        "negative curvature",
        "A step $\\varepsilon$ along $(u a'/\\gamma, \\gamma a v')$ changes $N L$ by a negative multiple of "
        "$\\varepsilon^2$, as $\\sigma_1 > \\tau$: a strict saddle.",
        (at(moved_W, moved_H), at(left, right) + (tau - top) * step**2 + step**4 / 2),
    )


PROOFS: dict[str, Callable[[], Derivation]] = {
    "no_bias": no_bias,
    "free_bias": free_bias,
    **{f"strict_saddles_{kind}": partial(_landscape, kind) for kind in _BIAS},
}
