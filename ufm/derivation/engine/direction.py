"""One direction of a deep linear model: min over s >= 0 of 1/2 (sigma - s)^2 + (p/2) tau s^(2/p), p a letter.

Not convex, and still decided by one inequality: around a stationary point the difference to every other point is a
weighted inequality of means plus a square whose sign says who wins.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine import roots
from ufm.derivation.load import lemma
from ufm.derivation.proof import Proof, equation
from ufm.derivation.regimes import Regime, kappa, v
from ufm.symbols import tau

p = sp.Symbol("p", integer=True, positive=True)  # factors
s, e, y = sp.symbols("s e y", positive=True)  # a stationary point, its residual, where else
sigma = sp.Symbol("sigma", positive=True)
share = sp.Symbol("kappa", positive=True)
tau_1 = sp.Symbol("tau_1", positive=True)

_TURN = roots.turning_share(p)
BEYOND = Regime("beyond the spinodal share", r"\kappa > \kappa_s", {p: kappa + 2, share: _TURN.subs(p, kappa + 2) + v})
BEFORE = Regime(
    "before the spinodal share", r"\kappa < \kappa_s", {p: kappa + 3, share: _TURN.subs(p, kappa + 3) / (1 + v)}
)


def scalar(at: Any, power: Any, weight: Any, target: Any) -> Any:
    """1/2 (sigma - s)^2 + (p/2) tau s^(2/p), the last power given beside s."""
    return (target - at) ** 2 / 2 + p / 2 * weight * power


def at_stationarity(point: Any, residual: Any) -> Any:
    """The tau at which a point with this residual is stationary."""
    return residual * point ** (1 - 2 / p)


def one_direction(proof: Proof) -> None:
    """Stationarity, regimes, second order and the certificate of one direction."""
    _stationarity(proof)
    _regimes(proof)
    _second_order(proof)
    _certificate(proof)


@cache
def direction() -> Derivation:
    """The nonzero stationary point is the global minimum iff its share is above (p - 2)/(p - 1)."""
    proof = Proof(
        "One direction",
        "$f(s) = \\frac12(\\sigma - s)^2 + \\frac p2 \\tau s^{2/p}$ on $s \\ge 0$, $p \\ge 2$ factors.",
    )
    one_direction(proof)
    return proof.conclude(
        {"coexistence": roots.coexistence(p), "spinodal": roots.spinodal(p)},
        {"kept": equation(sp.Symbol("argmin"), s), "coexistence": equation(s, (p - 2) * e)},
    )


def _stationarity(proof: Proof) -> None:
    proof.section("Stationarity")
    value = scalar(s, s ** (2 / p), tau, sigma)
    slope = tau * s ** (2 / p - 1) - (sigma - s)
    proof.equal(
        "slope",
        "On a direction with the singular value $\\sigma$ the problem is $f(s) = \\frac12(\\sigma-s)^2 + \\frac p2\\,"
        "\\tau\\,s^{2/p}$ over $s \\ge 0$. Its slope is",
        sp.diff(value, s),
        slope,
    )
    proof.equal(
        "stationary",
        "which vanishes at $s > 0$ where $\\tau = e\\,s^{1-2/p}$ with the residual $e = \\sigma - s$:",
        (slope + sigma - s).subs(tau, at_stationarity(s, e)),
        e,
    )
    proof.equal(
        "relative shrinkage",
        "In the share $\\kappa = s/\\sigma$ and the relative shrinkage $t = \\tau/\\sigma^{2-2/p}$ that is "
        "$t = (1-\\kappa)\\kappa^{1-2/p}$:",
        at_stationarity(share * sigma, (1 - share) * sigma) / sigma ** (2 - 2 / p),
        roots.pull(share, p),
    )


def _regimes(proof: Proof) -> None:
    """How many roots there are, and which of them is the global minimum."""
    proof.section("Regimes")
    turn, meet = _TURN, roots.coexisting_share(p)
    slope = sp.diff(roots.pull(share, p), share)
    factor = p - 2 - (2 * p - 2) * share
    proof.equal(
        "slope of the pull",
        "The right side has the slope $\\kappa^{-2/p}(p-2-(2p-2)\\kappa)/p$:",
        slope,
        share ** (-2 / p) * factor / p,
    )
    proof.sign(
        "falls",
        "above $\\kappa_s = (p-2)/(2p-2)$ it falls, to zero at $\\kappa = 1$;",
        sp.Lt(factor, 0, evaluate=False),
        regime=BEYOND,
    )
    proof.sign(
        "rises",
        "below (where there is a below, $p > 2$) it rises. So it has two roots for $t$ below its largest value, the "
        "spinodal, and none above.",
        sp.Gt(factor, 0, evaluate=False),
        regime=BEFORE,
    )
    proof.equal("spinodal", "The spinodal is", roots.pull(turn, p), roots.spinodal(p))
    proof.equal(
        "coexistence",
        "At $s = (p-2)e$ the share is $\\kappa_c = (p-2)/(p-1)$,",
        ((p - 2) * e) / ((p - 2) * e + e),
        meet,
    )
    proof.equal("coexistence in t", "with the relative shrinkage $t_c$,", roots.pull(meet, p), roots.coexistence(p))
    proof.sign(
        "after the turn",
        "and $\\kappa_c \\ge \\kappa_s$: the largest root exceeds $\\kappa_c$ exactly for $t < t_c$, and $t_c$ is at "
        "most the spinodal.",
        sp.Ge(meet, turn, evaluate=False),
        regime=Regime("any depth", r"p \ge 2", {p: kappa + 2}),
    )


def _second_order(proof: Proof) -> None:
    proof.section("Second order")
    bend = sp.diff(scalar(s, s ** (2 / p), tau, sigma), s, 2)
    proof.equal(
        "curvature",
        "At a stationary point the second derivative is",
        bend.subs({sigma: s + e, tau: at_stationarity(s, e)}, simultaneous=True),
        (p * s - (p - 2) * e) / (p * s),
    )
    inside = (p * share - (p - 2) * (1 - share)) / (p * share)
    proof.sign(
        "a minimum",
        "positive at the largest root, a local minimum also where it is not the global one (metastable, "
        "$t_c \\le t < t_s$),",
        sp.Gt(inside, 0, evaluate=False),
        regime=BEYOND,
    )
    proof.sign(
        "the barrier",
        "and negative at the smaller one, the barrier before $s = 0$, which is a local minimum for every $p > 2$: the "
        "slope $\\tau s^{2/p-1} - (\\sigma - s)$ is positive close to it.",
        sp.Lt(inside, 0, evaluate=False),
        regime=BEFORE,
    )


def _certificate(proof: Proof) -> None:
    """The difference to every other point is settled by one inequality of means."""
    proof.section("Certificate of a direction")
    means = (p - 2) * y ** (2 * p) - 2 * (p - 1) * y**p + p * y**2
    weight = at_stationarity(s, e)
    here = scalar(s, s ** (2 / p), weight, s + e)
    proof.equal(
        "every other point",
        "Every other point is $\\tilde s = s y^p$ with $y \\ge 0$, and there",
        scalar(s * y**p, s ** (2 / p) * y**2, weight, s + e) - here,
        e * s / 2 * means + s / 2 * (s - (p - 2) * e) * (1 - y**p) ** 2,
    )
    proof.lemma(
        "inequality of means",
        "The bracket is never negative: $y^{2p}$ and $y^2$ with the weights $p-2$ and $p$ over $2p-2$ have the "
        "geometric mean $y^p$.",
        lemma("weighted_means"),
        sp.Ge(means, 0, evaluate=False),
    )
    proof.equal("their geometric mean", "(The exponents add up.)", (2 * p * (p - 2) + 2 * p) / (2 * p - 2), p)
    zero = scalar(0, 0, weight, s + e)
    proof.equal(
        "against zero",
        "At zero ($y = 0$) the difference is decided by the second term alone, so that $s$ is the global minimum, "
        "and the only one, where $s > (p-2) e$, that is $t < t_c$;",
        zero - here,
        s / 2 * (s - (p - 2) * e),
    )
    lost = {s: (p - 2) * e}
    raised = scalar(s * y**p, s ** (2 / p) * y**2, tau_1, s + e) - zero
    proof.equal(
        "beyond coexistence",
        "and, measured from the point of coexistence $s = (p-2) e$, a larger weight $\\tau_1 > \\tau$ leaves zero as "
        "the only global minimum ($p > 2$; at $t_c$ itself both are): at $\\tilde s = s y^p$ again,",
        raised.subs(lost),
        (e * s / 2 * means + p / 2 * (tau_1 - weight) * s ** (2 / p) * y**2).subs(lost),
    )


def radicals(proof: Proof, order: int) -> None:
    """The largest root in radicals (p = 3) or by an angle (p = 4), verified; from p = 5 on it keeps its name."""
    proof.section(f"The root for $p = {order}$")
    t = sp.Symbol("t", positive=True)
    if order == 3:
        _three(proof, t)
    elif order == 4:
        _four(proof, t)
    else:
        _named(proof, order)


def _named(proof: Proof, order: int) -> None:
    power, degree = (order // 2, order - 1) if order % 2 == 0 else (order, 2 * order - 2)
    proof.equal(
        "named root",
        f"With $\\kappa = y^{{{power}}}$ the equation is a polynomial in $y$ of degree {degree}, for which there are "
        "no radicals: its largest root has a name, $\\kappa_p(t)$, and numbers to any digit.",
        roots.pull(y**power, order),
        (1 - y**power) * y ** (power - 2 * power // order),
    )


def _three(proof: Proof, t: Any) -> None:
    """Ferrari and Cardano."""
    a = sp.Symbol("a", positive=True)
    by_a = (a**6 - 1) / (4 * a**2)  # t where a^2 = u is the root of the resolvent
    proof.equal("polynomial of three", "With $\\kappa = y^3$ the equation reads", roots.pull(y**3, 3), y - y**4)
    proof.equal(
        "factors",
        "which with $u = a^2$ has two quadratic factors where $u^3 = 4tu + 1$:",
        (y**2 + a * y + (a**2 + 1 / a) / 2) * (y**2 - a * y + (a**2 - 1 / a) / 2),
        y**4 - y + by_a,
    )
    proof.sign(
        "no other root",
        "the first of them has no real root, its discriminant being $-u - 2/a$,",
        sp.Lt(a**2 - 2 * (a**2 + 1 / a), 0, evaluate=False),
    )
    larger = roots.quartic_root(a**2)
    proof.equal("larger root", "and of the second this is a root:", larger**2 - a * larger + (a**2 - 1 / a) / 2, 0)
    proof.sign(
        "the larger one",
        "the two have the sum $a$, and for $a^3 < 2$, that is, below the spinodal, this one exceeds half of it;",
        sp.Gt(2 * larger - a, 0, evaluate=False),
        regime=Regime("below the spinodal", r"a^3 < 2", {a: (2 / (1 + v)) ** sp.Rational(1, 3)}),
    )
    one, two = sp.symbols("A B", positive=True)
    proof.equal(
        "cardano",
        "By Cardano $u = A + B$ with $A^3 + B^3 = 1$ and $3AB = 4t$, as",
        (one + two) ** 3,
        one**3 + two**3 + 3 * one * two * (one + two),
    )
    under = 1 - 256 * t**3 / 27
    proof.equal(
        "their product",
        "$A^3, B^3 = (1 \\pm \\sqrt D)/2$, and $27A^3B^3 = (4t)^3$ where $D = 1 - 256t^3/27$, positive below the "
        "spinodal:",
        27 * (1 + sp.sqrt(under)) / 2 * (1 - sp.sqrt(under)) / 2,
        (4 * t) ** 3,
    )
    u = sp.Symbol("u", positive=True)
    root = roots.LargestRoot(t, 3)
    sides = [((1 + sign * sp.sqrt(under)) / 2) ** sp.Rational(1, 3) for sign in (1, -1)]
    proof.equal("resolvent", "Hence $u = A + B$ is", u, roots.resolvent(t), where={u: sides[0] + sides[1]})
    proof.equal(
        "root of three",
        "and the share is",
        root,
        roots.quartic_root(u) ** 3,
        where={root: sp.expand_func(root), u: roots.resolvent(t)},
    )


def _four(proof: Proof, t: Any) -> None:
    """Viète."""
    phi = sp.Symbol("phi", positive=True)
    largest = 2 * sp.cos(phi) / sp.sqrt(3)
    proof.equal("polynomial of four", "With $\\kappa = y^2$ the equation reads", roots.pull(y**2, 4), y - y**3)
    proof.equal(
        "angle",
        "and $y = 2\\cos\\phi/\\sqrt3$ makes it an equation for $\\cos 3\\phi$:",
        sp.expand_trig(-2 * sp.cos(3 * phi) / (3 * sp.sqrt(3))),
        largest - largest**3,
    )
    root = roots.LargestRoot(t, 4)
    proof.equal(
        "root of four",
        "With $3\\phi = \\arccos(-3\\sqrt3t/2)$, between $\\pi/2$ and $\\pi$, $y$ exceeds $1/\\sqrt3$, where $y - y^3$ "
        "falls: it is the largest root.",
        root,
        largest.subs(phi, sp.acos(-3 * sp.sqrt(3) * t / 2) / 3) ** 2,
        where={root: sp.expand_func(root)},
    )
