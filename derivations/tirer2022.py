"""Why balanced classes have an orthogonal frame without a bias and a simplex ETF with a free one."""

import math
from collections.abc import Callable
from dataclasses import replace

import sympy as sp

from ufm import encodings
from ufm.derivation import Derivation, Proof
from ufm.derivation.engine import derive
from ufm.derivation.load import prove
from ufm.derivation.regimes import BELOW, CRITICAL, LOST
from ufm.problem import Problem, classes
from ufm.symbols import K, delta_kl, lam_H, lam_W, n


def _balanced(lam_b: float) -> Derivation:
    return derive(Problem(classes(encodings.one_hot(K), n), lam_W=lam_W, lam_H=lam_H, lam_b=lam_b))


def thm3_1() -> Derivation:
    """Orthogonal class means of one length, for t_rel <= 1."""
    return replace(_balanced(math.inf), regimes=(BELOW, CRITICAL))


def thm3_1_null() -> Derivation:
    """Nothing survives t_rel > 1."""
    return replace(_balanced(math.inf), regimes=(LOST,))


def thm3_1_collapse() -> Derivation:
    """Samples of one class share their target, and so their feature."""
    known = prove("massion2026:nc1")
    proof = Proof("Equal targets, equal features", "Squared loss, any encoding.")
    proof.uses("equal targets", "Samples with equal targets have equal features at every critical point.", known)
    return proof.conclude(claims={"role_spread": known.claims["role_spread"]})


def free_bias() -> Derivation:
    """Centred class means, and the mean label as bias, for t_rel < 1."""
    return replace(_balanced(0.0), regimes=(BELOW,))


def two_layers() -> Derivation:
    """Two linear layers are the deep linear model with M = 2."""
    general = prove("dang2023_deep_mse:thm3_1")
    proof = Proof("A further linear layer", "Balanced one-hot targets, $W_2W_1H$, no bias, minimiser not zero.")
    proof.uses("deep frames", "Take the deep orthogonal frames with two layers.", general)
    between = general.formulae["gram"].subs(delta_kl, 0)
    proof.equal("cosine", "Two different class means have the inner product", between, sp.S.Zero)
    return proof.conclude({"cosine": between})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "thm3_1": thm3_1,
    "thm3_1_null": thm3_1_null,
    "thm3_1_collapse": thm3_1_collapse,
    "free_bias": free_bias,
    "two_layers": two_layers,
}
