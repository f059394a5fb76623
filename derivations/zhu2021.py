"""Why balanced cross-entropy has a simplex ETF: its tangent at the optimum leaves a sum of squares.

K, n, d and the weights stay symbols; the only lemma is that log-sum-exp lies above its tangents.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Exchangeable, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.exchangeable import CENTRED, ONES, ONES_RULE
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import equation
from ufm.derivation.regimes import BELOW, CRITICAL, LOST, ZERO, Regime, gamma
from ufm.symbols import K, N, d, delta_kl, lam_b, lam_H, lam_W, n, tau

c = sp.Symbol("c", positive=True)
t_rel = sp.Symbol("t_rel", positive=True)
alpha = sp.Symbol("alpha", positive=True)
W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)
b, Y = sp.MatrixSymbol("b", K, 1), sp.MatrixSymbol("Y", K, N)
ONES_N: Any = sp.MatrixSymbol("𝟏_N", N, 1)
V: Any = sp.MatrixSymbol("V", d, K)
Z_H: Any = sp.MatrixSymbol("Z_H", d, N)
Z_M: Any = sp.MatrixSymbol("Z_M", 1, d)

_MARGIN = sp.log(1 / (sp.sqrt(lam_W * lam_H) * sp.sqrt(n)) - (K - 1))
_ALIVE = sp.sqrt(lam_W * lam_H) * K * sp.sqrt(n) < 1


def _setting(proof: Proof) -> None:
    proof.section("The loss and its tangent")
    proof.given(
        "balanced one-hot labels",
        "Every class has $n$ samples, and every sample one label; $N = Kn$.",
        {Y * Y.T: n * sp.Identity(K), ONES_N: Y.T * ONES},
    )
    proof.given("ones", "", ONES_RULE, shown=False)
    proof.define("mean weight", "Let", c, sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "", tau, N * c)
    proof.define("relative regularisation", "and", t_rel, K * sp.sqrt(n) * c)
    total, tangent = sp.Symbol("N L"), sp.Symbol("A")
    proof.lemma(
        "tangent",
        "With any probabilities $P$ of the samples, and the residual $E = Y - P$, $N L$ is at least the entropies of "
        "$P$ "
        "plus $A = -\\mathrm{tr}\\,E'(WH+b1') + \\frac N2(\\lambda_W\\lVert W\\rVert^2+\\lambda_H\\lVert "
        "H\\rVert^2+\\lambda_b"
        "\\lVert b\\rVert^2)$, with equality where $P$ is the softmax of the logits.",
        lemma("gibbs"),
        sp.Ge(total, tangent, evaluate=False),
    )


def _optimal(proof: Proof, regime: Regime, share: Any, margin: Any) -> None:
    """The tangent at E = share (I - J/K) Y; margin is that of the optimum, 0 where nothing is left."""
    name = regime.name
    residual: Any = share * CENTRED * Y
    tangent = -sp.Trace(residual.T * (W * H + b * ONES_N.T))
    tangent += N / 2 * (lam_W * norm2(W) + lam_H * norm2(H) + lam_b * norm2(b))
    proof.squares(
        f"sum of squares ({name})",
        "Let $P$ have the probability $q$ off each label, so that $E = Kq\\,(I-\\frac1K11')Y$, with $Kq = t_{rel}$ or, "
        "where that is above 1, $Kq = 1$. Then $A$ is a sum of squares, and the entropies of $P$ are a lower bound.",
        tangent,
        sp.S.Zero,
        [
            (N * lam_H / 2, H - W.T * residual / (N * lam_H)),
            (N * lam_b / 2, b),
            ((tau**2 - n * share**2) / (2 * N * lam_H), CENTRED * W),
            (tau**2 / (2 * N * lam_H * K), ONES.T * W),
        ],
        regime=regime,
    )
    if margin != 0:
        root = Exchangeable(sp.sqrt(margin * sp.sqrt(n)), sp.S.Zero).matrix
        proof.given(
            "an isometry",
            "Take $V$ with orthonormal columns (or, as the mean direction is not used, $K-1$ of "
            "them on the centred directions).",
            {V.T * V: sp.Identity(K)},
        )
        proof.identity(
            f"attained ({name})",
            "Balanced factors with $WH = \\alpha\\,(I-\\frac1K11')Y$ and $b = 0$ make all of them vanish,",
            (tangent, sp.S.Zero),
            where={W: root * V.T / gamma, H: gamma * V * root * Y / sp.sqrt(n), b: sp.ZeroMatrix(K, 1)},
            regime=regime,
        )
        odds = K / t_rel - (K - 1)
        proof.equal(
            "the margin",
            "and $P$ is their softmax where $e^\\alpha = 1/q-(K-1)$, that is, $\\alpha = \\log(1/(c\\sqrt n)-(K-1))$.",
            odds / (odds + K - 1),
            1 - (K - 1) * t_rel / K,
        )
        proof.equal("in the weights", "Here", odds, 1 / (c * sp.sqrt(n)) - (K - 1))


def _every(proof: Proof, regime: Regime, share: Any, margin: Any) -> None:
    name = regime.name
    residual: Any = share * CENTRED * Y
    zero = {Z_H: H - W.T * residual / (N * lam_H), Z_M: ONES.T * W}
    proof.given(
        f"the product ({name})",
        "At any global minimum all squares vanish and $P$ is the softmax of the logits, which are "
        "$\\alpha(I-\\frac1K11')Y$ up to constants in each column. As $1'W = 0$ and $b = 0$ (for $\\lambda_b = 0$: "
        "up to a "
        "multiple of $1$, its centred part being the mean of the centred logits, zero), there are none in $WH$:",
        {W * H: margin * CENTRED * Y},
    )
    features = margin * share / (N * lam_H)
    proof.follows(
        f"features ({name})", "so that", H.T * H, features * Y.T * CENTRED * Y, zero, H.T * Z_H, regime=regime
    )
    proof.follows(
        f"classifier ({name})",
        "and",
        W * W.T,
        N * lam_H * margin / share * CENTRED,
        zero,
        -N * lam_H / (share * n) * W * Z_H * Y.T + W * Z_M.T * ONES.T / K,
        regime=regime,
    )


def _formulae(proof: Proof, *regimes: tuple[Regime, Any]) -> dict[str, Any]:
    scale = sp.Piecewise((_MARGIN, _ALIVE), (0, True))
    frame = delta_kl - 1 / K
    forms = {
        "gram": ("The class means $HY'/n$ have the Gram matrix", sp.sqrt(lam_W / lam_H) / sp.sqrt(n)),
        "classifier_gram": ("the rows of $W$", sp.sqrt(lam_H / lam_W) * sp.sqrt(n)),
        "logits": ("and the logits are", sp.S.One),
    }
    return {
        name: proof.closed_form(name, words, factor * scale * frame, {r: factor * each * frame for r, each in regimes})
        for name, (words, factor) in forms.items()
    }


def alive() -> Derivation:
    """Below t_rel = 1 every global minimum is a simplex ETF."""
    proof = Proof("Something is left", "Balanced one-hot labels, cross-entropy, any $\\lambda_b$, $t_{rel} < 1$.")
    _setting(proof)
    proof.section("The global minimum")
    _optimal(proof, BELOW, t_rel, alpha)
    proof.section("Every global minimum")
    _every(proof, BELOW, t_rel, alpha)
    proof.equal(
        "lengths of the features",
        "In the weights, the class means $HY'/n$ have the factor",
        alpha * t_rel / (N * lam_H),
        alpha * sp.sqrt(lam_W / lam_H) / sp.sqrt(n),
    )
    proof.equal(
        "lengths of the classifiers",
        "and the classifier",
        N * lam_H * alpha / t_rel,
        alpha * sp.sqrt(lam_H / lam_W) * sp.sqrt(n),
    )
    return proof.conclude(claims={"bias": equation(b, sp.ZeroMatrix(K, 1))})


def nothing_left() -> Derivation:
    """From t_rel = 1 on every global minimum is zero."""
    proof = Proof("Nothing is left", "Balanced one-hot labels, cross-entropy, any $\\lambda_b$, $t_{rel} \\ge 1$.")
    _setting(proof)
    proof.section("The global minimum")
    _optimal(proof, ZERO, sp.S.One, sp.S.Zero)
    proof.equal("no margin", "At zero $P$ is uniform, $Kq = 1$, and the margin is", sp.log(sp.S.One), sp.S.Zero)
    proof.section("Every global minimum")
    _every(proof, ZERO, sp.S.One, sp.S.Zero)
    return proof.conclude(claims={"bias": equation(b, sp.ZeroMatrix(K, 1))})


def etf() -> Derivation:
    """Alive below t_rel = 1, zero from there on."""
    proof = Proof("A simplex ETF", "Balanced one-hot labels, cross-entropy, any $\\lambda_b$, $d \\ge K-1$.")
    proof.uses("below", "Below $t_{rel} = 1$ the optimum has the margin $\\alpha > 0$;", prove("zhu2021:alive"))
    proof.uses("above", "from there on it is zero.", prove("zhu2021:nothing_left"))
    formulae = _formulae(proof, (BELOW, _MARGIN), (CRITICAL, sp.S.Zero), (LOST, sp.S.Zero))
    return proof.conclude({**formulae, "bias": sp.S.Zero}, {}, (BELOW, CRITICAL, LOST))


PROOFS: dict[str, Callable[[], Derivation]] = {
    "alive": alive,
    "nothing_left": nothing_left,
    "etf": etf,
    "bias": etf,
}
