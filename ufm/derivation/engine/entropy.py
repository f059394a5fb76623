"""Cross-entropy, one linear layer, equal classes, label smoothing as a letter: a simplex of one margin, or zero.

The loss lies above its tangents (Gibbs); the tangent at the optimum is a sum of squares, for all factors of any width.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine.shallow import BIAS, Bias
from ufm.derivation.exchangeable import CENTRED, ONES, ONES_RULE, Exchangeable
from ufm.derivation.load import lemma
from ufm.derivation.proof import Proof
from ufm.derivation.regimes import Regime, balanced, gamma, u, v, v_0
from ufm.derivation.words import SquaredNorm as norm2
from ufm.symbols import K, N, d, delta_kl, lam_b, lam_H, lam_W, n, tau

eps = sp.Symbol("varepsilon", nonnegative=True)  # label smoothing; 0 for one-hot labels
c = sp.Symbol("c", positive=True)
t_rel = sp.Symbol("t_rel", positive=True)
off = sp.Symbol("q", positive=True)  # the probability off the label
alpha = sp.Symbol("alpha", positive=True)
odds = sp.Symbol("e^alpha", positive=True)
phi = sp.Symbol("varphi_alpha")
z = sp.Symbol("z", nonnegative=True)

W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)
b, Y = sp.MatrixSymbol("b", K, 1), sp.MatrixSymbol("Y", K, N)
ONES_N: Any = sp.MatrixSymbol("𝟏_N", N, 1)
V: Any = sp.MatrixSymbol("V", d, K)
C: Any = sp.MatrixSymbol("C", K, K)  # the centring, spelt out where it is defined
Z_H, Z_M = sp.MatrixSymbol("Z_H", d, N), sp.MatrixSymbol("Z_M", 1, d)


def _regime(name: str, condition: str, relative: Any) -> Regime:
    """t_rel is `relative` times 1 - eps, with eps = z/(1 + z) in [0, 1)."""
    return Regime(name, condition, {**balanced(relative / (1 + z), u), eps: z / (1 + z)})


KEPT = _regime("kept", r"t_{rel} < 1 - \varepsilon", 1 / (1 + v))
LOST = _regime("zero", r"t_{rel} \ge 1 - \varepsilon", 1 + v_0)


@cache
def simplex(bias: Bias) -> Derivation:
    """Every global minimum for balanced labels, smoothed or not: the margin, the frame, and the least loss."""
    proof = Proof(
        "Balanced cross-entropy",
        f"Cross-entropy, one linear layer, {BIAS[bias]}, $K \\ge 2$ classes of $n$ samples, labels "
        "$(1-\\varepsilon) e_k + \\frac{\\varepsilon}{K}\\mathbf{1}$ with $0 \\le \\varepsilon < 1$, a width of "
        "at least $K-1$.",
    )
    _reduce(proof, bias)
    _decouple(proof)
    _stationarity(proof)
    for regime in (KEPT, LOST):
        _certificate(proof, bias, regime)
    for regime in (KEPT, LOST):
        _every_minimiser(proof, bias, regime)
    return _closed_forms(proof, bias)


def _penalties(bias: Bias) -> Any:
    energy = lam_W * norm2(W) + lam_H * norm2(H)
    return N / 2 * (energy + lam_b * norm2(b) if bias == "penalised" else energy)


def _reduce(proof: Proof, bias: Bias) -> None:
    """The loss lies above its tangents, which are quadratic."""
    proof.section("Reduce")
    proof.given(
        "balanced labels",
        "Let $Y$ have the unit vector of its class for each sample; $N = Kn$. The labels are "
        "$(1-\\varepsilon) CY + \\frac1K\\mathbf{1}\\mathbf{1}_N'$,",
        {Y * Y.T: n * sp.Identity(K), ONES_N: Y.T * ONES},
    )
    proof.given("ones of the classes", "", ONES_RULE, shown=False)
    proof.define("centring", "with the centring", C, CENTRED)
    proof.define("mean weight", "Let", c, sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "", tau, N * c)
    proof.define("relative regularisation", "and", t_rel, K * sp.sqrt(n) * c)
    offset = "" if bias == "none" else " + b\\mathbf{1}'"
    total, tangent = sp.Symbol("N L"), sp.Symbol("entropies + A")
    proof.lemma(
        "tangent",
        "With any probabilities $P$ of the samples, and the residual $E$, the labels less $P$, $N L$ is at least the "
        f"entropies of $P$ plus $A = -\\mathrm{{tr}}\\,E'(WH{offset})$ and $N/2$ times the squared norms with their "
        "weights, with equality where $P$ is the softmax of the logits: $A$ is quadratic.",
        lemma("gibbs"),
        sp.Ge(total, tangent, evaluate=False),
    )


def _loss_of_margin(margin: Any, rate: Any = (eps + t_rel) / K) -> Any:
    """The loss on balanced factors of alpha C Y, b = 0; rate: (eps + t_rel)/K."""
    return sp.log(1 + (K - 1) * sp.exp(-margin)) + (K - 1) * rate * margin


def _decouple(proof: Proof) -> None:
    """On logits alpha C Y the loss is a scalar problem."""
    proof.section("Decouple")
    proof.define(
        "scalar problem",
        "On balanced factors of $WH = \\alpha\\,CY$ with $b = 0$ every sample has the same loss, its own logit being "
        "$\\alpha$ above the others; the penalties are $c\\lVert WH\\rVert_*$, $(K-1)$ singular values of "
        "$\\alpha\\sqrt n$:",
        phi,
        _loss_of_margin(alpha),
    )
    own, others = alpha * (1 - 1 / K), -alpha / K
    smooth = (1 - eps) * own + eps / K * (own + (K - 1) * others)
    proof.equal(
        "mean logit",
        "The mean of the logits under the label is",
        smooth,
        (1 - eps) * own,
    )
    fit = sp.log(1 + (K - 1) * sp.exp(-alpha)) + own - (1 - eps) * own
    proof.equal(
        "loss of the margin",
        "and their log-sum-exp less that, plus the penalty, is",
        fit + c * sp.sqrt(n) * (K - 1) * alpha,
        _loss_of_margin(alpha),
    )


def _stationarity(proof: Proof) -> None:
    proof.section("Stationarity")
    slope = sp.diff(_loss_of_margin(alpha), alpha).subs(alpha, sp.log(odds))
    proof.equal(
        "slope",
        "Its slope is $K-1$ times the difference of $(\\varepsilon + t_{rel})/K$ and of the probability off the label,",
        slope,
        (K - 1) * ((eps + t_rel) / K - 1 / (odds + K - 1)),
    )
    proof.define("off the label", "which vanishes where that probability is", off, (eps + t_rel) / K)
    solved = 1 / off - (K - 1)
    proof.equal(
        "the margin",
        "that is, at $e^\\alpha = 1/q - (K-1)$, where the probability of the label is (an elementary equation: no "
        "Lambert function is needed)",
        solved / (solved + K - 1),
        1 - (K - 1) * off,
    )
    proof.section("Regimes")
    proof.sign(
        "kept",
        "For $t_{rel} < 1 - \\varepsilon$ the margin is positive;",
        sp.Gt(solved, 1, evaluate=False),
        regime=KEPT,
    )
    at_zero = (K - 1) * ((eps + t_rel) / K - 1 / K)
    proof.sign(
        "lost",
        "else the slope at $\\alpha = 0$ is not negative, and 0 is the minimum over $\\alpha \\ge 0$.",
        sp.Ge(at_zero, 0, evaluate=False),
        regime=LOST,
    )
    proof.section("Second order")
    bend = sp.diff(_loss_of_margin(alpha), alpha, 2).subs(alpha, sp.log(odds))
    proof.equal("curvature", "The second derivative is", bend, (K - 1) * odds / (odds + K - 1) ** 2)
    proof.sign(
        "convex",
        "which is positive: what is stationary is the minimum.",
        sp.Gt((K - 1) * odds / (odds + K - 1) ** 2, 0, evaluate=False),
        regime=KEPT,
    )


def _share(regime: Regime) -> Any:
    """E = share C Y at the optimum."""
    return t_rel if regime is KEPT else 1 - eps


def _certificate(proof: Proof, bias: Bias, regime: Regime) -> None:
    """The tangent at E = share C Y is a sum of squares; balanced factors make it vanish."""
    proof.section(f"Certificate, {regime.name}")
    share = _share(regime)
    residual: Any = share * C * Y
    offset: Any = sp.ZeroMatrix(K, N) if bias == "none" else b * ONES_N.T
    tangent = -sp.Trace(residual.T * (W * H + offset)) + _penalties(bias)
    which = "t_{rel}" if regime is KEPT else "(1-\\varepsilon)"
    squares = [
        (N * lam_H / 2, H - W.T * residual / (N * lam_H)),
        ((tau**2 - n * share**2) / (2 * N * lam_H), C * W),
        (tau**2 / (2 * N * lam_H * K), ONES.T * W),
    ]
    if bias == "penalised":
        squares.append((N * lam_b / 2, b))
    proof.squares(
        f"sum of squares ({regime.name})",
        f"Let $P$ be the labels less $E = {which}\\,CY$: probabilities, as off each label they are at most $1/K$. Then "
        "$A$ is a sum of squares for all factors, and the entropies of $P$ are a lower bound of $NL$.",
        tangent,
        sp.S.Zero,
        squares,
        regime=regime,
    )
    if regime is LOST:
        proof.equal(
            "attained (zero)",
            "At zero all of them vanish, and $P$ is uniform, the softmax of zero: off the label it is",
            eps / K + (1 - eps) / K,
            1 / K,
        )
        return
    root = sp.sqrt(alpha * sp.sqrt(n)) * C
    proof.given(
        "an isometry",
        "Take $V$ with orthonormal columns (or, as the mean direction is not used, $K-1$ of them on the centred "
        "directions).",
        {V.T * V: sp.Identity(K)},
    )
    family: dict[Any, Any] = {W: root * V.T / gamma, H: gamma * V * root * Y / sp.sqrt(n)}
    if bias != "none":
        family[b] = sp.ZeroMatrix(K, 1)
    proof.identity(
        "attained (kept)",
        "Balanced factors of $\\alpha\\,CY$ make all of them vanish, and $P$ is their softmax by stationarity: it is "
        "the global minimum.",
        (tangent, sp.S.Zero),
        where=family,
        regime=regime,
    )


def _every_minimiser(proof: Proof, bias: Bias, regime: Regime) -> None:
    """What is read off the squares and the softmax, at every global minimum."""
    proof.section(f"Geometry, {regime.name}")
    share, margin = _share(regime), alpha if regime is KEPT else sp.S.Zero
    residual: Any = share * C * Y
    zero: dict[Any, Any] = {Z_H: H - W.T * residual / (N * lam_H), Z_M: ONES.T * W}
    logits = "$\\alpha\\,CY$" if regime is KEPT else "zero"
    of_the_bias = {
        "none": "",
        "penalised": " and $b = 0$",
        "free": " and the bias is, up to a multiple of $\\mathbf{1}$, the mean of the centred logits, zero",
    }[bias]
    proof.given(
        f"the product ({regime.name})",
        "At any global minimum all squares vanish and $P$ is the softmax of the logits, which are "
        f"{logits} up to constants in each column. As $\\mathbf{{1}}'W = 0$"
        f"{of_the_bias}, there are none in $WH$, which is {logits}.",
        {W * H: proof.full(margin * C * Y)},
        shown=False,
    )
    proof.follows(
        f"features ({regime.name})",
        "Hence",
        H.T * H,
        margin * share / (N * lam_H) * Y.T * C * Y,
        zero,
        H.T * Z_H,
        regime=regime,
    )
    proof.follows(
        f"classifier ({regime.name})",
        "and",
        W * W.T,
        N * lam_H * margin / share * C,
        zero,
        -N * lam_H / (share * n) * W * Z_H * Y.T + W * Z_M.T * ONES.T / K,
        regime=regime,
    )


def _entropy(q: Any) -> Any:
    """Of one probability 1 - (K - 1) q and K - 1 of q."""
    own = 1 - (K - 1) * q
    return -own * sp.log(own) - (K - 1) * q * sp.log(q)


def _in_logarithms(expr: Any) -> Any:
    """The same in the logarithms of the odds and of what they sum to, all of them of positive numbers."""
    return sp.expand_log(expr.replace(sp.log, lambda arg: sp.log(sp.factor(sp.together(arg)))), force=True)


def _closed_forms(proof: Proof, bias: Bias) -> Derivation:
    proof.section("The closed form")
    q = 1 / (odds + K - 1)
    proof.equal(
        "least loss",
        "As the squares vanish, the least loss is the entropy of a column of $P$, with $q = 1/(e^\\alpha + K - 1)$:",
        _in_logarithms(_entropy(q)),
        _in_logarithms(_loss_of_margin(sp.log(odds), q)),
    )
    alive = t_rel < 1 - eps
    margin = sp.log(1 / off - (K - 1))
    at = sp.Piecewise((margin, alive), (0, True))
    frame = delta_kl - 1 / K
    lengths = alpha * t_rel / (N * lam_H) * n / n, N * lam_H * alpha / t_rel
    proof.equal(
        "lengths of the features",
        "The class means are $HY'/n$. In the weights, their Gram matrix has the factor",
        lengths[0].subs(N, K * n),
        alpha * gamma**2 / sp.sqrt(n),
    )
    proof.equal("lengths of the classifiers", "and the classifier's", lengths[1].subs(N, K * n),
                alpha * sp.sqrt(n) / gamma**2)  # fmt: skip
    root = sp.sqrt(1 - 1 / K)
    forms: dict[str, tuple[str, Any]] = {
        "margin": ("The margin, the label's logit less any other, is", at),
        "singular_values_centred": ("the $K-1$ centred singular values of $WH$ are", sp.sqrt(n) * at),
        "singular_value_mean": ("and none is left on the mean direction,", sp.S.Zero),
        "cosine": ("the cosine between two class means", sp.Piecewise((-1 / (K - 1), alive))),
        "class_mean_norm": ("the norm of a class mean,", gamma * root * sp.sqrt(at) / n ** sp.Rational(1, 4)),
        "classifier_norm": ("that of a row of $W$,", n ** sp.Rational(1, 4) * root * sp.sqrt(at) / gamma),
        "gram": ("all inner products of class means ($\\delta_{kl} = 1$ for one and the same class),",
                 gamma**2 / sp.sqrt(n) * at * frame),
        "classifier_gram": ("and of rows of $W$,", sp.sqrt(n) / gamma**2 * at * frame),
        "logits": ("the logits at the class means,", at * frame),
        "value": ("and the least loss:", sp.Piecewise((_entropy(off), alive), (sp.log(K), True))),
    }  # fmt: skip
    formulae = {"t_rel": proof.full(t_rel)}
    for name, (sentence, form) in forms.items():
        pieces = {KEPT: _piece(name, margin), LOST: _piece(name, sp.S.Zero)}
        formulae[name] = proof.closed_form(name, sentence, form, pieces)
    if bias != "none":
        formulae["bias"] = sp.S.Zero
    claims = {
        "collapse": "at every global minimum all features of a class coincide",
        "uniqueness": "every global minimum has the same W H, class-mean Gram matrix and W W'",
    }
    return proof.conclude(formulae, claims, (KEPT, LOST))


def _piece(name: str, margin: Any) -> Any:
    """The observable from the geometry of one margin: eigenvalues of alpha C on both directions."""
    left = Exchangeable(sp.sqrt(n) * margin, sp.S.Zero)
    pair = left.off_diagonal + left.centred * delta_kl
    kept = margin != 0
    found = {
        "margin": margin,
        "singular_values_centred": left.centred,
        "singular_value_mean": left.mean,
        "cosine": sp.cancel(left.off_diagonal / left.diagonal) if kept else sp.nan,
        "class_mean_norm": sp.sqrt(gamma**2 * left.diagonal / n),
        "classifier_norm": sp.sqrt(left.diagonal / gamma**2),
        "gram": gamma**2 * pair / n,
        "classifier_gram": pair / gamma**2,
        "logits": pair / sp.sqrt(n),
        "value": _entropy(off) if kept else sp.log(K),
    }
    return found[name]
