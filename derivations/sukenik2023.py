"""The threshold of two classes: that of the deep linear model, raised to the power of the depth."""

from collections.abc import Callable
from types import MappingProxyType

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import prove
from ufm.derivation.regimes import Regime, kappa, r, v
from ufm.symbols import delta_kl, lam_H, n

L = sp.Symbol("L", integer=True, positive=True)
P = sp.Symbol("lambda_{W_1}..lambda_{W_L}", positive=True)
_LAYERS = kappa + 2
_EDGE = (_LAYERS - 1) ** (_LAYERS - 1) / (2 ** (_LAYERS + 1) * _LAYERS ** (2 * _LAYERS))


def _regime(name: str, condition: str, factor: sp.Expr) -> Regime:
    """n lam_H lam_W1..lam_WL is `factor` times the threshold, L >= 2."""
    return Regime(name, condition, MappingProxyType({L: _LAYERS, n: r**2, lam_H: factor * _EDGE / (r**2 * P)}))


ABOVE = _regime("zero", r"n\lambda_H\prod\lambda_{W_l} > T", 1 + v)
BELOW = _regime("kept", r"n\lambda_H\prod\lambda_{W_l} < T", 1 / (1 + v))


def threshold() -> Derivation:
    """Both classes are kept, or none."""
    proof = Proof("When the optimum is zero", "Two balanced classes, $L \\ge 2$ layers, no bias, not at the threshold.")
    proof.uses(
        "below",
        "Below the threshold of the deep linear model both classes are kept,",
        prove("dang2023_deep_mse:thm3_1"),
    )
    proof.uses("above", "above it none is.", prove("dang2023_deep_mse:thm3_1_null"))
    power = (L - 1) ** ((L - 1) / L) / L**2
    proof.equal(
        "the threshold",
        "With $K=2$ the condition $2(2n\\prod\\lambda_{W_l}\\lambda_H)^{1/L} > (L-1)^{(L-1)/L}/L^2$, raised to the "
        "power "
        "$L$, is $n\\prod\\lambda_{W_l}\\lambda_H$ above",
        power.subs(L, kappa + 2) ** (kappa + 2) / (2 ** (kappa + 2) * 2),
        _EDGE,
    )
    edge = (L - 1) ** (L - 1) / (2 ** (L + 1) * L ** (2 * L))
    rank = sp.Piecewise((0, n * lam_H * P > edge), (2, True))
    return proof.conclude({"rank": rank}, {}, (ABOVE, BELOW))


def deep_nc() -> Derivation:
    """The deep orthogonal frames of two classes."""
    general = prove("dang2023_deep_mse:thm3_1")
    proof = Proof("Two classes", "Two balanced classes, $L \\ge 2$ layers, no bias, below the threshold.")
    proof.uses("frames", "Take the deep orthogonal frames with $K = 2$.", general)
    proof.equal(
        "cosine", "Different class means are orthogonal.", general.formulae["gram"].subs(delta_kl, 0), sp.S.Zero
    )
    return proof.conclude({"cosines": delta_kl}, {"balance": general.claims["balance"]})


PROOFS: dict[str, Callable[[], Derivation]] = {"threshold": threshold, "deep_nc": deep_nc}
