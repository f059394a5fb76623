"""Why the squared loss shrinks singular values, for any targets, and why no other critical point is a local minimum."""

from collections.abc import Callable
from functools import partial
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.engine import derive
from ufm.derivation.regimes import gamma
from ufm.problem import Problem, samples
from ufm.symbols import N, Y, d, lam_b, lam_H, lam_W, m, tau

c = sp.Symbol("c", positive=True)
L = sp.Symbol("L")

W = sp.MatrixSymbol("W", m, d)
H = sp.MatrixSymbol("H", d, N)
b = sp.MatrixSymbol("b", m, 1)
ONES = sp.MatrixSymbol("𝟏_N", N, 1)
E = sp.MatrixSymbol("E", m, N)


def no_bias() -> Derivation:
    """No bias, any targets: the optimum is the soft-thresholded target matrix."""
    return derive(Problem(samples(Y), lam_W=lam_W, lam_H=lam_H))


def free_bias() -> Derivation:
    """A free bias, any targets: the bias is the mean target, the rest is the soft-thresholded centred target matrix."""
    return derive(Problem(samples(Y), lam_W=lam_W, lam_H=lam_H, lam_b=0))


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
