"""Why balanced cross-entropy has a simplex ETF: the engine's tangent leaves a sum of squares, for every bias.

The same tangent at any critical point tells global minima from strict saddles, for labels of any kind.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import sympy as sp

from ufm import encodings
from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.engine import derive
from ufm.derivation.load import lemma
from ufm.derivation.regimes import BELOW, CRITICAL, LOST, gamma
from ufm.problem import Problem, classes
from ufm.symbols import K, N, d, lam_b, lam_H, lam_W, n, tau

_BIASES = {"no bias": sp.oo, "a free bias": sp.S.Zero, "a penalised bias": lam_b}

W, H, b = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N), sp.MatrixSymbol("b", K, 1)
W_2, H_2, b_2 = sp.MatrixSymbol("W_2", K, d), sp.MatrixSymbol("H_2", d, N), sp.MatrixSymbol("b_2", K, 1)
E: Any = sp.MatrixSymbol("E", K, N)
ONES: Any = sp.MatrixSymbol("𝟏_N", N, 1)


def etf() -> Derivation:
    """Alive below t_rel = 1, zero from there on, whatever the weight of the bias."""
    proof = Proof("A simplex ETF", "Balanced one-hot labels, cross-entropy, any $\\lambda_b$, $d \\ge K-1$.")
    one_hot = classes(encodings.one_hot(K), n)
    found = {
        name: derive(Problem(one_hot, lam_W=lam_W, lam_H=lam_H, lam_b=weight, loss="cross_entropy"))
        for name, weight in _BIASES.items()
    }
    for name, derivation in found.items():
        proof.uses(name, f"The engine derives the optimum with {name};", derivation)
    first, *others = (
        {each: derivation.formulae[each] for each in ("gram", "classifier_gram", "logits")}
        for derivation in found.values()
    )
    apart = sp.Symbol("their difference")
    for observable, formula in first.items():
        differences = sum((other[observable] - formula) ** 2 for other in others)
        proof.equal(f"one form of {observable}", "it is one closed form:", apart, sp.S.Zero, where={apart: differences})
    return proof.conclude({**first, "bias": sp.S.Zero}, {}, (BELOW, CRITICAL, LOST))


@cache
def _landscape(kind: str) -> Derivation:
    """Any labels, d > K: a critical point is a global minimum or has a direction of negative curvature."""
    proof = Proof(
        "Every other critical point is a strict saddle",
        f"Cross-entropy, any labels, {kind}, $d > K$: a critical point that is not a global minimum has a direction of "
        "negative curvature.",
    )
    weight = lam_b if kind == "a penalised bias" else sp.S.Zero

    def tangent(classifier: Any, features: Any, bias: Any) -> Any:
        """N times the loss with the fit replaced by its slope -E/N along the logits, up to a constant."""
        logits = classifier * features + (sp.ZeroMatrix(K, N) if kind == "no bias" else bias * ONES.T)
        penalties = lam_W * norm2(classifier) + lam_H * norm2(features) + weight * norm2(bias)
        return -sp.Trace(E.T * logits) + N * penalties / 2

    proof.define("mean weight", "With the mean weight", sp.Symbol("c", positive=True), sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "the aspect", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "and the shrinkage", tau, N * sp.sqrt(lam_W * lam_H))
    proof.section("Where the residual is small, the point is global")
    T = sp.Symbol("T")
    proof.define(
        "tangent of the fit",
        "Let $E$ be the labels less the softmax of the logits at a critical point. With the tangent of the fit there "
        "in its place, $N L$ is, up to a constant,",
        T,
        tangent(W, H, b),
    )
    proof.lemma(
        "tangent",
        "which is nowhere above $N L$, and at the critical point has its value and its gradient.",
        lemma("gibbs"),
        sp.Ge(sp.Symbol("N L"), T, evaluate=False),
    )
    slopes = {
        sp.MatrixSymbol("Z_W", K, d): N * lam_W * W - E * H.T,
        sp.MatrixSymbol("Z_H", d, N): N * lam_H * H - W.T * E,
    }
    for letter, slope in zip((W, H), slopes.values(), strict=True):
        proof.gradient(f"gradient in {letter.name}", "The gradient is", T, letter, slope)
    Z_W, Z_H = slopes
    proof.follows(
        "balance", "Where they vanish,", lam_W * W.T * W, lam_H * H * H.T, slopes, (W.T * Z_W - Z_H * H.T) / N
    )
    proof.follows(
        "active directions",
        "and $E$ has the singular value $\\tau$ on the columns of $W$:",
        E * E.T * W,
        tau**2 * W,
        slopes,
        -E * Z_H.T - N * lam_H * Z_W,
    )
    bound, squares = sp.S.Zero, [(N * lam_H / 2, H_2 - W_2.T * E / (N * lam_H))]
    if kind == "a free bias":
        proof.given(
            "free",
            "A free bias has $E\\mathbf{1} = 0$, where the loss is stationary in it.",
            {E * ONES: sp.ZeroMatrix(K, 1)},
        )
    if kind == "a penalised bias":
        proof.gradient("gradient in b", "In the bias it is", T, b, N * lam_b * b - E * ONES)
        bound = -norm2(E * ONES) / (2 * N * lam_b)
        squares.append((N * lam_b / 2, b_2 - E * ONES / (N * lam_b)))
    spare = sp.Trace(W_2.T * (tau**2 * sp.Identity(K) - E * E.T) * W_2) / (2 * N * lam_H)
    proof.squares(
        "duality",
        "For all other factors and biases, $T$ less the term $\\mathrm{tr}\\, W_2'(\\tau^2 I - E E') W_2$, up to a "
        "positive factor, is a constant plus squares. At the critical point the squares vanish, and by what was said "
        "of the active directions so does the term. So if $\\lVert E \\rVert_{op} \\le \\tau$, the term is never "
        "negative and the point is a global minimum.",
        tangent(W_2, H_2, b_2) - spare,
        bound,
        squares,
    )
    _way_down(proof)
    return proof.conclude(claims={"strict saddles": "a critical point is a global minimum or a strict saddle (d > K)"})


def _way_down(proof: Proof) -> None:
    """Along a direction that neither W nor H uses, the fit falls faster than the penalty grows."""
    u, v = sp.MatrixSymbol("u", K, 1), sp.MatrixSymbol("v", N, 1)
    a: Any = sp.MatrixSymbol("a", d, 1)
    left, right = sp.MatrixSymbol("W_c", K, d), sp.MatrixSymbol("H_c", d, N)
    step, top = sp.Symbol("epsilon", positive=True), sp.Symbol("sigma_1", positive=True)
    one = sp.Identity(1)
    proof.section("Where it is large, there is a way down")
    proof.given(
        "a way down",
        "Otherwise $E$ has a singular value $\\sigma_1 > \\tau$, with singular vectors $u$, $v$; and as $d > K$, some "
        "unit vector $a$ has $W_c a = 0$, by balance also $H_c' a = 0$.",
        {
            left * a: sp.ZeroMatrix(K, 1),
            right.T * a: sp.ZeroMatrix(N, 1),
            E * v: top * u,
            u.T * u: one,
            v.T * v: one,
            a.T * a: one,
        },
    )
    moved_W, moved_H = left + step / gamma * u * a.T, right + step * gamma * a * v.T
    before, after = (lam_W * norm2(W) + lam_H * norm2(H) for W, H in ((left, right), (moved_W, moved_H)))
    proof.identity(
        "negative curvature",
        "A step $\\varepsilon$ along $(u a'/\\gamma, \\gamma a v')$ moves the logits by $\\varepsilon^2 uv'$, along "
        "which $N$ times the fit falls at the rate $\\sigma_1$, up to $\\varepsilon^4$; the penalty grows by "
        "$\\tau\\varepsilon^2$. As $\\sigma_1 > \\tau$ this is a strict saddle.",
        (moved_W * moved_H, left * right + step**2 * u * v.T),
        (-sp.Trace(E.T * (step**2 * u * v.T)), -top * step**2),
        (N * after / 2, N * before / 2 + tau * step**2),
    )


def strict_saddles() -> Derivation:
    """The global value, and that no other critical point is a local minimum, with any bias."""
    proof = Proof("Strict saddles", "Balanced one-hot labels, cross-entropy, any $\\lambda_b$, $d > K$.")
    one_hot = classes(encodings.one_hot(K), n)
    values = []
    for name, weight in _BIASES.items():
        optimum = derive(Problem(one_hot, lam_W=lam_W, lam_H=lam_H, lam_b=weight, loss="cross_entropy"))
        proof.uses(f"optimum, {name}", f"The engine derives the global value with {name};", optimum)
        proof.uses(f"landscape, {name}", "any other critical point is a strict saddle.", _landscape(name))
        values.append(optimum.formulae["value"])
    apart = sp.Symbol("their difference")
    differences = sum((other - values[0]) ** 2 for other in values[1:])
    proof.equal("one value", "The value is one for all:", apart, sp.S.Zero, where={apart: differences})
    return proof.conclude({"value": values[0]}, dict(_landscape("no bias").claims), (BELOW, CRITICAL, LOST))


PROOFS: dict[str, Callable[[], Derivation]] = {"etf": etf, "bias": etf, "strict_saddles": strict_saddles}
