"""Targets in letters, shrunk in their singular values; under a penalised bias the mean must be apart from these."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.directions import ABSENT, AT, DIRECTIONS, KEPT, LOST, MEAN_ABSENT, MEAN_KEPT, MEAN_LOST
from ufm.derivation.engine.shallow import BIAS, Bias, shrinkage
from ufm.derivation.proof import Proof
from ufm.derivation.regimes import gamma
from ufm.symbols import (
    COV_ROOT,
    Y_CENTRED,
    Y_MEAN,
    N,
    SoftThreshold,
    Total,
    Y,
    cov,
    lam_b,
    lam_H,
    lam_W,
    rho,
    sigma,
    sigma_0,
    sigma_c,
    tau,
)

c = sp.Symbol("c", positive=True)


def any_targets(bias: Bias) -> Derivation:
    """The product, its singular values, the classifier's Gram matrix and the minimum, for any targets."""
    letter = sigma if bias == "none" else sigma_c
    general = shrinkage(bias)
    proof = Proof(
        "The optimum of any targets",
        f"Squared loss, one linear layer, {BIAS[bias]}, {_WHICH[bias]}, a width of at least the number of singular "
        "values above $\\tau$: every global minimiser has the soft-thresholded product.",
    )
    proof.carry(general)
    proof.section("In the targets' own letters")
    proof.define("mean weight of the targets", "", c, sp.sqrt(lam_W * lam_H), shown=False)
    proof.define("shrinkage of the targets", "", tau, N * c, shown=False)
    proof.define("aspect of the targets", "", gamma, (lam_W / lam_H) ** sp.Rational(1, 4), shown=False)
    threshold = N * sp.sqrt(lam_W * lam_H)
    name = "singular_values" if bias == "none" else "singular_values_centred"
    shrunk, part = (general.formulae[each].xreplace({sigma: letter, tau: threshold}) for each in ("shrunk", "part"))
    pieces = {KEPT: letter - tau, AT: sp.S.Zero, LOST: sp.S.Zero, ABSENT: sp.S.Zero}
    formulae: dict[str, Any] = {
        name: proof.closed_form(name, "The singular values of the product are", sp.Max(0, letter - threshold), pieces),
        "value": Total(part) / N,
        "logits": SoftThreshold(Y, threshold),
    }
    proof.equal("shrunk as carried", "as in the carried formula,", shrunk, sp.Max(0, letter - threshold), regime=KEPT)
    if bias == "free":
        formulae["logits"] = Y_MEAN + SoftThreshold(Y_CENTRED, threshold)
        _by_covariance(proof)
        formulae["classifier_gram"] = sp.sqrt(N * lam_H / lam_W) * SoftThreshold(COV_ROOT, threshold / sp.sqrt(N))
    if bias == "penalised":
        formulae |= _with_mean(proof, general, formulae["value"], threshold)
        del formulae["logits"]
    claims = {**general.claims, "uniqueness": "W H, H'H and WW' are those of every minimiser"}
    return proof.conclude(formulae, claims, DIRECTIONS)


_WHICH: dict[Bias, str] = {
    "none": "any targets",
    "free": "any targets",
    "penalised": "targets whose mean $\\bar y \\ne 0$ their covariance annihilates, $\\sigma_0 = \\sqrt N|\\bar y|$",
}


def _with_mean(proof: Proof, general: Derivation, value: Any, threshold: Any) -> dict[str, Any]:
    """The mean direction, shrunk by tau/rho, with its part of the minimum."""
    given = {tau: threshold, rho: lam_b / (1 + lam_b)}
    proof.define("rho of the targets", "", rho, given[rho], shown=False)
    mean, part = (general.formulae[each].xreplace(given) for each in ("shrunk_mean", "part_mean"))
    pieces = {MEAN_KEPT: sigma_0 - tau / rho, MEAN_LOST: sp.S.Zero, MEAN_ABSENT: sp.S.Zero}
    proof.closed_form("singular value of the mean", "On the mean direction the product has", mean, pieces)
    return {"singular_value_mean": mean, "value": value + part / N}


def _by_covariance(proof: Proof) -> None:
    """sigma^2 = N lambda_i: the same in the eigenvalues of the target covariance."""
    root = sp.sqrt(N) * sp.sqrt(cov)
    pieces = {KEPT: sigma_c - tau, AT: sp.S.Zero, LOST: sp.S.Zero, ABSENT: sp.S.Zero}
    proof.closed_form(
        "singular values by the covariance",
        "In the eigenvalues $\\lambda_i = \\sigma_i^2/N$ of the target covariance $\\Sigma$ they are",
        sp.Max(0, root - tau),
        pieces,
    )
    proof.equal(
        "scale of the classifier",
        "and $WW' = U_1 (S_1 - \\tau) U_1'/\\gamma^2$ is the part of $\\Sigma^{1/2}$ above $\\tau/\\sqrt N$ by the "
        "factor",
        sp.sqrt(N) / gamma**2,
        sp.sqrt(N * lam_H / lam_W),
    )
