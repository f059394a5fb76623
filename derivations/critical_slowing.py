"""Why the mean mode dies out like 1/t at the transition, and how fast."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import lemma
from ufm.symbols import N, lam_b, lam_H, lam_W, time

w, h = sp.symbols("w h", positive=True)
b = sp.Symbol("beta", real=True)
sigma = sp.Symbol("sigma", positive=True)
s = sp.Symbol("s", positive=True)
eta, excess = sp.symbols("eta x", real=True)
gamma, c = sp.symbols("gamma c", positive=True)
weights: Any = {lam_W: c * gamma**2, lam_H: c / gamma**2}
rho = lam_b / (1 + lam_b)


def general() -> Derivation:
    """The mean mode in its strength, its share and its residual; then the centre manifold."""
    proof = Proof(
        "Critical slowing down",
        "Balanced one-hot classes, squared loss, $t_{rel} < 1$, $\\lambda_b = \\lambda_b^*$; the mean mode, with the "
        "strengths $w$ and $h$ of its factors and $\\beta = u'b$, $u = \\mathbf{1}/\\sqrt K$. The other modes are at "
        "rest, exponentially fast.",
    )
    proof.section("The flow of the mean mode")
    residual = (w * h + sp.sqrt(N) * b - sigma) / N
    loss = N * residual**2 / 2 + lam_W * w**2 / 2 + lam_H * h**2 / 2 + lam_b * b**2 / 2
    r = sp.Symbol("r", real=True)
    proof.equal(
        "slope of w",
        "With $r = (wh + \\sqrt N\\beta - \\sigma)/N$ its loss has the slopes",
        sp.diff(loss, w),
        residual * h + lam_W * w,
    )
    proof.equal("slope of h", "", sp.diff(loss, h), residual * w + lam_H * h)
    proof.equal("slope of the bias", "and", sp.diff(loss, b), sp.sqrt(N) * residual + lam_b * b)
    proof.section("Strength, share and residual")
    # lam_W = c gamma^2, lam_H = c/gamma^2, w = e^{eta/2} sqrt(s)/gamma, h = gamma e^{-eta/2} sqrt(s)
    here: Any = {w: sp.exp(eta / 2) * sp.sqrt(s) / gamma, h: gamma * sp.exp(-eta / 2) * sp.sqrt(s)}
    in_w, in_h = (-(r * h + lam_W * w) / w, -(r * w + lam_H * h) / h)
    log_w = -(gamma**2) * (r * sp.exp(-eta) + c)
    log_h = -(r * sp.exp(eta) + c) / gamma**2
    proof.equal(
        "growth of w",
        "In $s = wh$ and $\\eta$, $w = e^{\\eta/2}\\sqrt s/\\gamma$, $h = \\gamma e^{-\\eta/2}\\sqrt s$, with "
        "$\\gamma^4 = \\lambda_W/\\lambda_H$ and $c = \\sqrt{\\lambda_W\\lambda_H}$: $d\\log w/dt$ is",
        in_w.subs(weights).subs(here),
        log_w,
    )
    proof.equal("growth of h", "and $d\\log h/dt$ is", in_h.subs(weights).subs(here), log_h)
    ds, deta = s * (log_w + log_h), log_w - log_h
    in_b = -(sp.sqrt(N) * r + lam_b * b)
    dr = ds / N - r - lam_b * (r + (sigma - s) / N)
    proof.equal(
        "residual",
        "while $dr/dt = (ds/dt + \\sqrt N d\\beta/dt)/N$ is",
        (ds + sp.sqrt(N) * in_b.subs(b, (N * r + sigma - s) / sp.sqrt(N))) / N,
        dr,
    )
    proof.section("The transition")
    # c = rho sigma/N at lam_b*: t_rel = rho
    critical: Any = {sigma: N * c / rho, r: excess - c}
    ds, deta, dr = (expr.subs(critical) for expr in (ds, deta, dr))
    at_rest: Any = {s: 0, eta: 0, excess: 0}
    for name, expr in (("strength", ds), ("share", deta), ("residual there", dr)):
        proof.equal(
            f"rest of the {name}",
            "At $\\lambda_b^*$, where $c = \\rho\\sigma/N$, $s = \\eta = 0$ and $r = -c$ is a fixed point.",
            expr.subs(at_rest),
            0,
        )
    speed = c * (gamma**2 + gamma**-2)
    linear: dict[str, Any] = {
        "share": (deta, -speed * eta - (gamma**2 - gamma**-2) * excess),
        "residual": (dr, -(1 + lam_b) * excess + lam_b * s / N),
    }
    for name, (expr, first) in linear.items():
        slope = sum((sp.diff(expr, v).subs(at_rest) * v for v in (s, eta, excess)), sp.S.Zero)
        proof.equal(f"linear {name}", f"To first order the {name} moves by", slope, first)
    proof.sign(
        "stable", "with two negative rates;", sp.Gt(speed, 0, evaluate=False), sp.Gt(1 + lam_b, 0, evaluate=False)
    )
    proof.equal("marginal", "the strength does not move to first order.", sp.diff(ds, s).subs(at_rest), 0)
    proof.section("The centre manifold")
    on: Any = {excess: rho * s / N, eta: -(gamma**2 - gamma**-2) * rho * s / (N * speed)}
    for name, (_, first) in linear.items():
        proof.equal(f"invariant {name}", "It is tangent to the curve on which both vanish,", first.subs(on), 0)
    proof.lemma("reduction", "so up to order $s^2$ it is this curve.", lemma("centre_manifold"))
    reduced = sp.factor(sp.series((ds / s).subs(on), s, 0, 2).removeO())
    law = 4 * rho * c / (N * speed)
    proof.equal("reduced flow", "On it $ds/dt = -\\kappa s^2 + O(s^3)$ with", reduced, -law * s)
    rate = 4 * rho * sp.sqrt(lam_W * lam_H) / (N * (lam_W + lam_H))
    proof.equal("rate", "$\\kappa$ as stated,", rate.subs(weights), law)
    strength = sp.Function("s")(time)
    slope = sp.diff(1 / strength, time).subs(sp.diff(strength, time), -law * strength**2)
    proof.equal("inverse", "and $1/s$ grows at $\\kappa$.", slope, law)
    return proof.conclude({"d(1/singular_value_mean)/dt": rate})


PROOFS: dict[str, Callable[[], Derivation]] = {"general": general}
