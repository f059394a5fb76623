"""Why balanced one-hot classes go from a simplex ETF to an orthogonal frame: a proof that starts at the loss.

The whole argument is one identity: the loss minus its minimum is a sum of squares. Everything that is claimed of the
minimisers is read off the squares, so no lemma is needed. K, n, d and the weights stay symbols throughout.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Exchangeable, Proof, SquaredNorm
from ufm.derivation.exchangeable import CENTRED, ONES, ONES_RULE
from ufm.derivation.proof import equation
from ufm.derivation.regimes import ABOVE, AT, BELOW, CRITICAL, LOST, PLATEAU, ZERO, Regime, gamma, u, u_0
from ufm.derivation.render import tex
from ufm.symbols import K, N, d, lam_b, lam_H, lam_W, m, n, rho, tau

c = sp.Symbol("c", positive=True)
t_rel = sp.Symbol("t_rel", positive=True)
lam_b_star = sp.Symbol("lambda_b^*", positive=True)
s, s_0 = sp.symbols("s s_0", nonnegative=True)
L = sp.Symbol("L")

W = sp.MatrixSymbol("W", K, d)
H = sp.MatrixSymbol("H", d, N)
b = sp.MatrixSymbol("b", K, 1)
Y = sp.MatrixSymbol("Y", K, N)
ONES_N = sp.MatrixSymbol("𝟏_N", N, 1)

Q = sp.MatrixSymbol("Q", N, K)  # class basis
A = sp.MatrixSymbol("A", K, K)  # reduced targets
q = sp.MatrixSymbol("q", K, 1)  # reduced ones
H_Q = sp.MatrixSymbol("H_Q", d, K)  # reduced features: sqrt(n) times the class means
P = sp.MatrixSymbol("P", K, K)  # projection on the centred directions
H_perp = sp.MatrixSymbol("H_perp", d, N)  # within-class part
X = sp.MatrixSymbol("X", K, K)
E = sp.MatrixSymbol("E", K, K)
V: Any = sp.MatrixSymbol("V", d, K)
E_K: Any = sp.MatrixSymbol("e_k", K, 1)
E_L = sp.MatrixSymbol("e_l", K, 1)

norm2 = SquaredNorm
LOSS = norm2(W * H + b * ONES_N.T - Y) / (2 * N) + (lam_W * norm2(W) + lam_H * norm2(H) + lam_b * norm2(b)) / 2


def _setting(proof: Proof) -> None:
    proof.section("The loss")
    proof.given(
        "balanced one-hot labels",
        "Every class has $n$ samples, no sample has two labels, and every sample has one; $N = K n$.",
        {Y * Y.T: n * sp.Identity(K), ONES_N: Y.T * ONES},
    )
    proof.given("ones", "", ONES_RULE, shown=False)
    proof.define("loss", "The loss of the unconstrained-features model, first for $0 < \\lambda_b < \\infty$:", L, LOSS)
    proof.define(
        "rho",
        "Four numbers will govern everything: the weight that the mean direction keeps,",
        rho,
        lam_b / (1 + lam_b),
    )
    proof.define("mean weight", "the geometric mean of the weights,", c, sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "and the fourth root of their ratio.", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "Regularisation shrinks singular values by", tau, N * c)
    proof.define("relative regularisation", "which is, relative to the labels,", t_rel, K * sp.sqrt(n) * c)
    proof.equal("shrinkage and labels", "that is,", tau, t_rel * sp.sqrt(n))


def _reduction(proof: Proof) -> None:
    proof.section("Features of one class coincide")
    proof.define("class basis", "The columns of $Q$ are the normalised indicators of the classes.", Q, Y.T / sp.sqrt(n))
    proof.identity("orthonormal", "They are orthonormal.", (Q.T * Q, sp.Identity(K)))
    proof.define("reduced features", "Split the features into $\\sqrt{n}$ times the class means", H_Q, H * Q)
    proof.define("within-class part", "and the deviations from them,", H_perp, H - H * Q * Q.T)
    proof.identity(
        "means of the deviations",
        "whose class means are zero.",
        (H_perp * Q, sp.ZeroMatrix(d, K)),
        (H_Q * Q.T + H_perp, H),
    )
    proof.define(
        "reduced targets", "In this basis the targets are a multiple of the identity,", A, sp.sqrt(n) * sp.Identity(K)
    )
    proof.define("reduced ones", "and the row of ones becomes", q, sp.sqrt(n) * ONES)
    proof.define("centring", "Directions orthogonal to it are called centred; the projection on them is", P, CENTRED)
    proof.squares(
        "the loss splits",
        "The loss falls into one of the class means and one of the deviations, "
        "so a minimum has $H_{\\perp} = 0$: all features of a class coincide, because $\\lambda_H > 0$.",
        N * L,
        norm2(W * H_Q + b * q.T - A) / 2 + N * (lam_W * norm2(W) + lam_H * norm2(H_Q) + lam_b * norm2(b)) / 2,
        [(sp.Rational(1, 2), W * H_perp), (N * lam_H / 2, H_perp)],
    )


def _bias(proof: Proof) -> None:
    proof.section("The bias minimised out")
    best = (A - X) * q / (N * (1 + lam_b))
    proof.squares(
        "completing the square in the bias",
        "For any product $X = W H_Q$ the best bias makes the last square vanish; what remains weighs "
        "the mean direction $q$ by $\\rho$ and all others by 1.",
        norm2(X + b * q.T - A) / 2 + N * lam_b / 2 * norm2(b),
        norm2((X - A) * P) / 2 + rho / 2 * norm2((X - A) * q) / N,
        [(N * (1 + lam_b) / 2, b - best)],
    )


def _on_the_family(centred: Any, mean: Any) -> Any:
    """N L on the symmetric family with singular values `centred` and `mean`."""
    on_centred = (sp.sqrt(n) - centred) ** 2 / 2 + tau * centred
    return (K - 1) * on_centred + (rho / 2 * (sp.sqrt(n) - mean) ** 2 + tau * mean)


def _balanced_factors(centred: Any, mean: Any) -> tuple[Any, Any]:
    """(W, H_Q) with product X of these eigenvalues and lam_W W'W = lam_H H_Q H_Q'."""
    root = Exchangeable(sp.sqrt(centred), sp.sqrt(mean)).matrix
    return root * V.T / gamma, gamma * V * root


def _candidate(proof: Proof) -> None:
    proof.section("A candidate")
    balanced_W, balanced_H = _balanced_factors(s, s_0)
    offset = (sp.sqrt(n) - s_0) / (K * sp.sqrt(n) * (1 + lam_b)) * ONES
    proof.given(
        "an isometry",
        "As $d \\ge K$ there is a $V$ with orthonormal columns. (Nothing below but the existence of "
        "the candidate uses $d \\ge K$.)",
        {V.T * V: sp.Identity(K)},
    )
    family = {W: balanced_W, H: balanced_H * Q.T, b: offset}
    proof.identity(
        "the loss on a symmetric family",
        "Take the balanced factors $W = X^{1/2} V'/\\gamma$ and $H = \\gamma V X^{1/2} Q'$ of $X = s P + s_0 (I - P)$ "
        "with $s, s_0 \\ge 0$, and the best bias. The loss becomes a sum of scalar problems, one a direction.",
        (N * L, _on_the_family(s, s_0)),
        where=family,
    )
    centred = sp.solve(sp.diff((sp.sqrt(n) - s) ** 2 / 2 + tau * s, s), s)[0]
    mean = sp.solve(sp.diff(rho / 2 * (sp.sqrt(n) - s_0) ** 2 + tau * s_0, s_0), s_0)[0]
    proof.equal("centred directions", "The stationary point on a centred direction,", centred, sp.sqrt(n) * (1 - t_rel))
    proof.define("threshold", "and, with the threshold", lam_b_star, t_rel / (1 - t_rel))
    proof.equal(
        "mean direction",
        "on the mean direction. Where one of them is negative, the minimum over $s \\ge 0$ is at zero.",
        mean,
        sp.sqrt(n) * (1 - t_rel) * (1 - lam_b_star / lam_b),
        regime=ABOVE,
    )
    proof.sign(
        "below the threshold",
        "Below the threshold the mean direction is not worth its price.",
        sp.Le(mean, 0),
        regime=PLATEAU,
    )
    proof.sign("above the threshold", "Above it, both survive.", sp.Gt(centred, 0), sp.Gt(mean, 0), regime=ABOVE)
    proof.sign("nothing survives", "For $t_{rel} \\ge 1$ neither does.", sp.Le(centred, 0), sp.Le(mean, 0), regime=ZERO)


def _solution(regime: Regime) -> tuple[Exchangeable, sp.Expr]:
    """(X, the entries of b) as the scalar problems suggest."""
    centred = sp.sqrt(n) * (1 - t_rel)
    if regime is ZERO:
        return Exchangeable(sp.S.Zero, sp.S.Zero), 1 / (K * (1 + lam_b))
    if regime is PLATEAU:
        return Exchangeable(centred, sp.S.Zero), 1 / (K * (1 + lam_b))
    return Exchangeable(centred, centred * (1 - lam_b_star / lam_b)), tau / (K * sp.sqrt(n) * lam_b)


_SHORT = {ZERO: "t >= 1", PLATEAU: "t < 1"}
_CONDITION = {ZERO: "t_{rel} \\ge 1", PLATEAU: "t_{rel} < 1"}
_TITLES = {
    ZERO: "Optimality, $t_{rel} \\ge 1$",
    PLATEAU: "Optimality, $t_{rel} < 1$ and $\\lambda_b \\le \\lambda_b^{*}$",
    ABOVE: "Optimality, $t_{rel} < 1$ and $\\lambda_b > \\lambda_b^{*}$",
}


_Z_FIT: Any = sp.MatrixSymbol("Z_1", K, K)
_Z_BIAS: Any = sp.MatrixSymbol("Z_2", K, 1)
_Z_FEATURES: Any = sp.MatrixSymbol("Z_3", d, K)
_Z_CENTRED: Any = sp.MatrixSymbol("Z_4", K, d)
_Z_MEAN: Any = sp.MatrixSymbol("Z_5", 1, d)


def _optimal(proof: Proof, regime: Regime) -> tuple[Exchangeable, Any, Any]:
    """The candidate is the global minimum in a regime, and every global minimum has its X, b and Gram matrices."""
    product, offset = _solution(regime)
    certificate = {
        ZERO: Exchangeable(sp.sqrt(n), rho * sp.sqrt(n)),
        PLATEAU: Exchangeable(tau, rho * sp.sqrt(n)),
        ABOVE: Exchangeable(tau, tau),
    }[regime]
    e, e_0 = certificate.centred, certificate.mean
    name = regime.name
    minimum = {
        ZERO: n * (K - 1 + rho) / 2,
        PLATEAU: (K - 1) * (sp.sqrt(n) * tau - tau**2 / 2) + rho * n / 2,
        ABOVE: K * (sp.sqrt(n) * tau - tau**2 / 2) - tau**2 / (2 * lam_b),
    }[regime]
    where = {E: certificate.matrix, X: product.matrix}
    proof.section(_TITLES[regime])
    proof.identity(
        f"residual ({name})",
        f"Let $X$ have the eigenvalues ${tex(product.centred)}$ ($K - 1$ times) and "
        f"${tex(product.mean)}$, let every entry of $b$ be "
        f"$\\beta = {tex(offset)}$, and let $E$ have the eigenvalues ${tex(e)}$ and ${tex(e_0)}$. "
        "Then $E$ is the residual, "
        "and $b$ is the bias that it asks for.",
        (A - offset * ONES * q.T - X, E),
        (N * lam_b * offset * ONES, E * q),
        where=where,
        regime=regime,
    )
    smaller = [sp.Le(each, tau) for each in (e, e_0) if each != tau]
    if smaller:
        sentence = "No eigenvalue of $E$ exceeds the shrinkage:"
        proof.sign(f"dual feasibility ({name})", sentence, *smaller, regime=regime)
    proof.identity(
        f"complementarity ({name})",
        "Where $X$ is not zero, $E$ is at its bound.",
        (E.T * X, tau * X),
        where=where,
        regime=regime,
    )
    vanishing = proof.squares(
        f"sum of squares ({name})",
        "For all $W$, $H$ and $b$, of any width, the loss is a constant plus squares. The constant is a lower bound.",
        N * L,
        minimum,
        [
            (sp.Rational(1, 2), W * H_Q + b * q.T - A + E),
            (N * lam_b / 2, b - E * q / (N * lam_b)),
            (N * lam_H / 2, H_Q - W.T * E / (N * lam_H)),
            ((tau**2 - e**2) / (2 * N * lam_H), P * W),
            ((tau**2 - e_0**2) / (2 * N * lam_H * K), ONES.T * W),
            (sp.Rational(1, 2), W * H_perp),
            (N * lam_H / 2, H_perp),
        ],
        where=where,
        regime=regime,
    )
    factor_W, factor_H = _balanced_factors(product.centred, product.mean)
    proof.identity(
        f"the bound is attained ({name})",
        "Balanced factors of $X$ and the bias $\\beta$ attain it, so it is the global minimum.",
        (N * L, minimum),
        where={W: factor_W, H: factor_H * Q.T, b: offset * ONES},
        regime=regime,
    )
    zero = dict(zip((_Z_FIT, _Z_BIAS, _Z_FEATURES, _Z_CENTRED, _Z_MEAN), vanishing, strict=False))
    fit = 2 * _Z_FIT - 2 / (N * lam_b) * _Z_BIAS * q.T  # W H_Q - X, in terms of what vanishes
    features = 2 / (N * lam_H) * _Z_FEATURES
    proof.follows(
        f"the product is unique ({name})",
        "At any global minimum all squares vanish. Hence its product is $X$,",
        W * H_Q,
        X,
        zero,
        fit,
        where,
        regime,
    )
    proof.follows(
        f"the bias is unique ({name})",
        "its bias is $b$,",
        b,
        offset * ONES,
        zero,
        2 / (N * lam_b) * _Z_BIAS,
        where,
        regime,
    )
    proof.follows(
        f"features ({name})",
        "and, even where the factors themselves are free to rotate, their Gram matrices are fixed:",
        H_Q.T * H_Q,
        gamma**2 * X,
        zero,
        features.T * H_Q + E.T * fit / (N * lam_H),
        where,
        regime,
    )
    proof.follows(
        f"classifier ({name})",
        "and",
        W * W.T,
        X / gamma**2,
        zero,
        (fit * E.T - W * features * E.T + 2 * W * (_Z_CENTRED + ONES * _Z_MEAN).T) / (N * lam_W),
        where,
        regime,
    )
    return product, offset, minimum


def _geometry(product: Exchangeable, offset: Any, minimum: Any) -> dict[str, Any]:
    """The observables of a global minimum, from its X, b and value."""
    return {
        "singular_values_centred": product.centred,
        "singular_value_mean": product.mean,
        "cosine": sp.cancel(product.off_diagonal / product.diagonal) if product.centred != 0 else sp.nan,
        "class_mean_norm": sp.sqrt(sp.sqrt(lam_W / lam_H) * product.diagonal / n),
        "classifier_norm": sp.sqrt(sp.sqrt(lam_H / lam_W) * product.diagonal),
        "bias": offset,
        "value": minimum / N,
    }


_OBSERVABLES = {
    "singular_values_centred": "The singular values of $W H$ over all samples are those of $X$, as $H = H_Q Q'$. "
    "On the $K - 1$ centred directions",
    "singular_value_mean": "and, on the mean direction,",
    "cosine": "The cosine between two class means is the ratio of an entry off the diagonal to one on it "
    "(for $t_{rel} \\ge 1$ nothing is left to compare):",
    "class_mean_norm": "The class means are $H_Q / \\sqrt{n}$; their norm,",
    "classifier_norm": "the norm of a row of $W$,",
    "bias": "the entries of the bias",
    "value": "and the minimum of the loss:",
}
_S = sp.sqrt(n) * (1 - t_rel)
_GAP = 1 - lam_b_star / lam_b
_UNBIASED = lam_b / (1 + lam_b)  # rho, spelt out because it is differentiated

# observable: below the threshold, above it, and for t_rel >= 1
_FORMS: dict[str, tuple[Any, Any, Any]] = {
    "singular_values_centred": (_S, _S, sp.S.Zero),
    "singular_value_mean": (sp.S.Zero, _S * _GAP, sp.S.Zero),
    "cosine": (-1 / (K - 1), -lam_b_star / (K * lam_b - lam_b_star), sp.nan),
    "class_mean_norm": (
        gamma * sp.sqrt(_S * (K - 1) / (K * n)),
        gamma * sp.sqrt(_S * (K - 1 + _GAP) / (K * n)),
        sp.S.Zero,
    ),
    "classifier_norm": (sp.sqrt(_S * (K - 1) / K) / gamma, sp.sqrt(_S * (K - 1 + _GAP) / K) / gamma, sp.S.Zero),
    "bias": (1 / (K * (1 + lam_b)), c * sp.sqrt(n) / lam_b, 1 / (K * (1 + lam_b))),
    "value": (
        ((K - 1) * t_rel * (2 - t_rel) + _UNBIASED) / (2 * K),
        (K * t_rel * (2 - t_rel) - t_rel**2 / lam_b) / (2 * K),
        (K - 1 + _UNBIASED) / (2 * K),
    ),
}


def _formula(below: Any, above: Any, zero: Any) -> Any:
    """One expression for all regimes; where an observable does not exist, no case applies."""
    if zero is sp.nan:
        return sp.Piecewise((below, (t_rel < 1) & (lam_b <= lam_b_star)), (above, t_rel < 1))
    if below == above:
        return sp.Piecewise((zero, t_rel >= 1), (below, True))
    return sp.Piecewise((zero, t_rel >= 1), (below, lam_b <= lam_b_star), (above, True))


def _entries(proof: Proof) -> None:
    """The entries of a matrix with two eigenvalues, from unit vectors."""
    one, none = sp.Identity(1), sp.ZeroMatrix(1, 1)
    proof.given(
        "unit vectors",
        "For two classes $k \\ne l$ with unit vectors $e_k$, $e_l$,",
        {E_K.T * E_K: one, E_K.T * E_L: none, E_K.T * ONES: one, E_L.T * ONES: one},
        shown=False,
    )
    entries = Exchangeable(s, s_0)
    proof.identity(
        "entries",
        "a matrix $X = s P + s_0 (I - P)$ has on its diagonal and off it",
        (E_K.T * X * E_K, entries.diagonal * one),
        (E_K.T * X * E_L, entries.off_diagonal * one),
        where={X: entries.matrix},
    )


def _closed_forms(proof: Proof, pieces: dict[Regime, dict[str, Any]]) -> dict[str, Any]:
    """What was proved in the regimes, as one formula for each observable."""
    proof.section("The closed form")
    _entries(proof)
    out = {"t_rel": proof.full(t_rel), "lam_b_star": sp.Piecewise((proof.full(lam_b_star), proof.full(t_rel) < 1))}
    for name, forms in _FORMS.items():
        by_regime = {regime: piece[name] for regime, piece in pieces.items()}
        out[name] = proof.closed_form(name, _OBSERVABLES[name], _formula(*forms), by_regime)
    return out


def _no_bias(proof: Proof, regime: Regime) -> None:
    """lam_b = inf, from its own loss."""
    e = tau if regime is PLATEAU else sp.sqrt(n)
    left = sp.sqrt(n) - e
    name = f"no bias, {_SHORT[regime]}"
    proof.section(f"No bias, $\\lambda_b = \\infty$, ${_CONDITION[regime]}$")
    where = {b: sp.ZeroMatrix(K, 1), E: e * sp.Identity(K), X: left * sp.Identity(K)}
    unbiased, constant = N * (L - lam_b / 2 * norm2(b)), K * (sp.sqrt(n) * e - e**2 / 2)
    vanishing = proof.squares(
        f"sum of squares ({name})",
        f"Here $b = 0$ and its penalty is dropped. With $E = {tex(e)} I$ the loss is again a constant plus squares,",
        unbiased,
        constant,
        [
            (sp.Rational(1, 2), W * H_Q + b * q.T - A + E),
            (N * lam_H / 2, H_Q - W.T * E / (N * lam_H)),
            ((tau**2 - e**2) / (2 * N * lam_H), W),
            (sp.Rational(1, 2), W * H_perp),
            (N * lam_H / 2, H_perp),
        ],
        where,
        regime,
    )
    factor_W, factor_H = _balanced_factors(left, left)
    proof.identity(
        f"the constant is attained ({name})",
        "a constant that balanced factors attain,",
        (unbiased, constant),
        where={W: factor_W, H: factor_H * Q.T, b: sp.ZeroMatrix(K, 1)},
        regime=regime,
    )
    zero = dict(zip((_Z_FIT, _Z_FEATURES), vanishing, strict=False))
    proof.follows(f"the product ({name})", "so that every minimiser has", W * H_Q, X, zero, 2 * _Z_FIT, where, regime)
    proof.follows(
        f"orthogonal frame ({name})",
        f"with $X = ({tex(left)}) I$: class means that are an exact orthogonal frame."
        if regime is PLATEAU
        else "with $X = 0$, and its features are zero.",
        H_Q.T * H_Q,
        gamma**2 * X,
        zero,
        2 / (N * lam_H) * (_Z_FEATURES.T * H_Q + e * _Z_FIT),
        where,
        regime,
    )


def _free_bias(proof: Proof, regime: Regime) -> None:
    """lam_b = 0, from its own loss."""
    e = tau if regime is PLATEAU else sp.sqrt(n)
    name = f"free bias, {_SHORT[regime]}"
    proof.section(f"A free bias, $\\lambda_b = 0$, ${_CONDITION[regime]}$")
    where = {E: Exchangeable(e, 0).matrix, X: Exchangeable(sp.sqrt(n) - e, 0).matrix}
    free, constant = N * (L - lam_b / 2 * norm2(b)), (K - 1) * (sp.sqrt(n) * e - e**2 / 2)
    vanishing = proof.squares(
        f"sum of squares ({name})",
        f"Now the bias costs nothing, and $E = {tex(e)} P$ must vanish on the mean direction.",
        free,
        constant,
        [
            (sp.Rational(1, 2), W * H_Q + b * q.T - A + E),
            (N * lam_H / 2, H_Q - W.T * E / (N * lam_H)),
            ((tau**2 - e**2) / (2 * N * lam_H), P * W),
            (tau**2 / (2 * N * lam_H * K), ONES.T * W),
            (sp.Rational(1, 2), W * H_perp),
            (N * lam_H / 2, H_perp),
        ],
        where,
        regime,
    )
    factor_W, factor_H = _balanced_factors(sp.sqrt(n) - e, sp.S.Zero)
    proof.identity(
        f"the constant is attained ({name})",
        "Balanced factors and the mean label as bias attain the constant.",
        (free, constant),
        where={W: factor_W, H: factor_H * Q.T, b: ONES / K},
        regime=regime,
    )
    zero = dict(zip((_Z_FIT, _Z_FEATURES), vanishing, strict=False))
    centring = (2 * _Z_FIT * ONES - 2 / (N * lam_H) * W * _Z_FEATURES * ONES) / (K * sp.sqrt(n))  # b - 1/K
    fit = 2 * _Z_FIT - centring * q.T  # W H_Q - X
    proof.follows(
        f"the bias is the mean label ({name})", "Every minimiser has", b, ONES / K, zero, centring, where, regime
    )
    proof.follows(f"the product ({name})", "and", W * H_Q, X, zero, fit, where, regime)
    proof.follows(
        f"simplex frame ({name})",
        "with $X = E\\,(1 - t_{rel})/t_{rel}$: class means that are an exact simplex ETF around the origin."
        if regime is PLATEAU
        else "with $X = 0$, and its features are zero.",
        H_Q.T * H_Q,
        gamma**2 * X,
        zero,
        2 / (N * lam_H) * _Z_FEATURES.T * H_Q + E * fit / (N * lam_H),
        where,
        regime,
    )


def _limits(proof: Proof) -> None:
    """The endpoints are the limits of what lies between them."""
    proof.section("The endpoints as limits")
    growing = {
        "singular_value_mean": ("As $\\lambda_b$ grows, the mean direction catches up with the others,", _S),
        "cosine": ("the class means become orthogonal,", sp.S.Zero),
        "bias": ("the bias vanishes", sp.S.Zero),
        "value": ("and the minimum becomes the one without a bias.", t_rel * (2 - t_rel) / 2),
    }
    for name, (sentence, value) in growing.items():
        proof.limit(f"{name}, lam_b to inf", sentence, _FORMS[name][1], (lam_b, sp.oo), value, (ABOVE, u, sp.oo))
    vanishing = {
        "bias": ("As it shrinks, the bias becomes the mean label", 1 / K),
        "value": ("and the minimum the one with a free bias.", (K - 1) * t_rel * (2 - t_rel) / (2 * K)),
    }
    for name, (sentence, value) in vanishing.items():
        proof.limit(f"{name}, lam_b to 0", sentence, _FORMS[name][0], (lam_b, 0), value, (PLATEAU, u_0, sp.oo))


def _shape_of_the_transition(proof: Proof) -> None:
    """Continuity, kink, monotonicity: what kind of transition this is."""
    proof.section("The transition")
    below, above, _ = _FORMS["cosine"]
    at: Any = {lam_b: lam_b_star}
    proof.equal("continuous", "At $\\lambda_b^{*}$ the cosine is continuous,", above.subs(at), below, regime=AT)
    slope = sp.diff(above, lam_b)
    proof.sign(
        "kink",
        "with a kink: its slope, zero below, is positive just above.",
        sp.Gt(sp.cancel(slope.subs(at)), 0, evaluate=False),
        regime=AT,
    )
    proof.sign(
        "increasing",
        "From there it increases strictly and stays negative: the frame is orthogonal only in the limit.",
        sp.Gt(sp.factor(slope), 0, evaluate=False),
        sp.Lt(above, 0, evaluate=False),
        regime=ABOVE,
    )
    below, above, _ = _FORMS["value"]
    proof.equal(
        "the value is continuous", "The minimum of the loss is continuous,", below.subs(at), above.subs(at), regime=AT
    )
    slopes = [sp.diff(side, lam_b).subs(at) for side in (below, above)]
    proof.equal("its slope is continuous", "and so is its slope,", *slopes, regime=AT)
    bends = [sp.factor(sp.diff(side, lam_b, 2)).subs(at) for side in (below, above)]
    proof.sign(
        "its curvature is not",
        "but not its curvature: the transition is of second order.",
        sp.Gt(bends[0], bends[1], evaluate=False),
        regime=AT,
    )


def transition() -> Derivation:
    """The class-encoding theorem: optimum, geometry and transition in closed form."""
    proof = Proof(
        "The class-encoding theorem",
        "Balanced one-hot labels, squared loss, $d \\ge K \\ge 2$: the global minimum of $L$ over "
        "$W$, $H$, $b$ for every "
        "$\\lambda_b$ from 0 to $\\infty$, the geometry of its class means, and the transition at $\\lambda_b^{*}$.",
    )
    _setting(proof)
    _reduction(proof)
    _bias(proof)
    _candidate(proof)
    zero, plateau, above = (_geometry(*_optimal(proof, regime)) for regime in (ZERO, PLATEAU, ABOVE))
    pieces = {BELOW: plateau, AT: plateau, ABOVE: above, CRITICAL: zero, LOST: zero}
    formulae = _closed_forms(proof, pieces)
    _no_bias(proof, PLATEAU)
    _free_bias(proof, PLATEAU)
    _limits(proof)
    _shape_of_the_transition(proof)
    claims = {
        "collapse": "at every global minimum all features of a class coincide",
        "uniqueness": "every global minimum has the same W H, b, class-mean Gram matrix and W W'",
        "plateau": "the class means are an exact simplex ETF for every lam_b <= lam_b*",
        "monotone": "above lam_b* the cosine increases strictly, stays negative and tends to 0",
    }
    return proof.conclude(formulae, claims, tuple(pieces))


def null() -> Derivation:
    """From t_rel = 1 on, the optimum is zero but for the bias."""
    proof = Proof(
        "Too much regularisation",
        "Balanced one-hot labels, squared loss, any width, $t_{rel} \\ge 1$: the global minimum of "
        "$L$ is $W = 0$, $H = 0$, for every "
        "$\\lambda_b$ from 0 to $\\infty$.",
    )
    _setting(proof)
    _reduction(proof)
    found = _geometry(*_optimal(proof, ZERO))
    proof.section("The closed form")
    pieces = {CRITICAL: found, LOST: found}
    formulae = {
        name: proof.closed_form(
            name, sentence, _FORMS[name][2], {regime: piece[name] for regime, piece in pieces.items()}
        )
        for name, sentence in _OBSERVABLES.items()
        if name != "cosine"
    }
    _no_bias(proof, ZERO)
    _free_bias(proof, ZERO)
    claims = {"null": "at every global minimum W = 0 and H = 0, as their Gram matrices vanish"}
    return proof.conclude(formulae, claims, tuple(pieces))


# any targets, any critical point: Y is m x N and nothing is assumed of it

_W = sp.MatrixSymbol("W", m, d)
_B = sp.MatrixSymbol("b", m, 1)
_Y = sp.MatrixSymbol("Y", m, N)
_Y_MEAN = sp.MatrixSymbol("ybar", m, 1)
_H_MEAN = sp.MatrixSymbol("hbar", d, 1)
_REST = sp.Symbol("Omega", nonnegative=True)  # the penalties of the factors of W, which know nothing of H and b
_GRADIENT_B = sp.MatrixSymbol("Z_b", m, 1)
_GRADIENT_H = sp.MatrixSymbol("Z_H", d, N)


def gradients(proof: Proof) -> dict[Any, Any]:
    """State the loss for any targets and verify its gradients in b and H; {letter: gradient}."""
    residual = _W * H + _B * ONES_N.T - _Y
    proof.section("The gradients")
    proof.given("ones", "Take $N$ samples with any targets $Y$,", {ONES_N.T * ONES_N: N * sp.Identity(1)}, shown=False)
    proof.define(
        "loss",
        "a classifier $W$ or a product $W = W_{p-1} \\cdots W_1$ of linear layers, whose penalties "
        "are collected in $\\Omega$:",
        L,
        norm2(residual) / (2 * N) + _REST + lam_H / 2 * norm2(H) + lam_b / 2 * norm2(_B),
    )
    in_b = residual * ONES_N / N + lam_b * _B
    in_H = _W.T * residual / N + lam_H * H
    proof.gradient("gradient in the bias", "The gradient in the bias is", L, _B, in_b)
    proof.gradient("gradient in the features", "and the gradient in the features", L, H, in_H)
    proof.define("mean label", "Write $\\bar y$ for the mean label", _Y_MEAN, _Y * ONES_N / N)
    proof.define("mean feature", "and $\\bar h$ for the mean feature.", _H_MEAN, H * ONES_N / N)
    return {_GRADIENT_B: in_b, _GRADIENT_H: in_H}


def bias_invariant() -> Derivation:
    """Every critical point, any targets, any depth: (1 + lam_b) b = ybar - W hbar."""
    proof = Proof(
        "What the bias is at every critical point",
        "Squared loss, any targets and encoding, any width and depth: where $\\nabla_b L = 0$, the "
        "bias is the fraction $1/(1 + \\lambda_b)$ "
        "of what the features leave of the mean label.",
    )
    zero = gradients(proof)
    proof.section("The invariant")
    proof.follows(
        "bias invariant",
        "Where the gradient in $b$ vanishes,",
        (1 + lam_b) * _B,
        _Y_MEAN - _W * _H_MEAN,
        {_GRADIENT_B: zero[_GRADIENT_B]},
        sp.Identity(m) * _GRADIENT_B,
    )
    return proof.conclude(claims={"bias_invariant": equation((1 + lam_b) * _B, _Y_MEAN - _W * _H_MEAN)})


def mean_invariant() -> Derivation:
    """Every critical point, any targets, any depth: N lam_H hbar = lam_b W'b = rho W'(ybar - W hbar)."""
    proof = Proof(
        "Where the mean feature points at every critical point",
        "Squared loss, any targets and encoding, any width and depth: where the gradients in $b$ and $H$ vanish, "
        "the mean feature is $W'b$ up to a factor; it is zero if the bias is free.",
    )
    zero = gradients(proof)
    G_b, G_H = _GRADIENT_B, _GRADIENT_H
    proof.section("The invariant")
    in_bias = G_H * ONES_N - _W.T * G_b
    proof.follows(
        "mean invariant in b",
        "Summing the gradient in $H$ over the samples, where both gradients vanish,",
        N * lam_H * _H_MEAN,
        lam_b * _W.T * _B,
        zero,
        in_bias,
    )
    proof.define("rho", "With the weight of the mean direction", rho, lam_b / (1 + lam_b))
    proof.follows(
        "mean invariant",
        "and the bias eliminated,",
        N * lam_H * _H_MEAN,
        rho * _W.T * (_Y_MEAN - _W * _H_MEAN),
        zero,
        in_bias + rho * _W.T * G_b,
    )
    proof.follows(
        "mean invariant without a bias",
        "Without a bias ($b = 0$, not a variable) the gradient in $H$ alone gives the same with $\\rho = 1$.",
        N * lam_H * _H_MEAN,
        _W.T * (_Y_MEAN - _W * _H_MEAN),
        {G_H: zero[G_H]},
        sp.Identity(d) * G_H * ONES_N,
        where={_B: sp.ZeroMatrix(m, 1)},
    )
    claim = equation(N * lam_H * _H_MEAN, rho * _W.T * (_Y_MEAN - _W * _H_MEAN))
    return proof.conclude(claims={"mean_invariant": claim, "in_bias": equation(N * lam_H * _H_MEAN, lam_b * _W.T * _B)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "transition": transition,
    "null": null,
    "bias_invariant": bias_invariant,
    "mean_invariant": mean_invariant,
}
