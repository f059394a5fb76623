"""Regimes of a closed form: each an open or boundary piece of the domain, opened up by positive slack variables.

Replacing the parameters of a regime by its slack makes every formula a rational function of letters known to be
positive, on which equality and sign are decided by algebra.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import sympy as sp

from ufm.derivation.signs import Sign, sign_of
from ufm.symbols import K, N, lam_b, lam_H, lam_W, n


@dataclass(frozen=True, eq=False)
class Regime:
    """A piece of the domain: its name, the inequalities that define it (LaTeX), and slack that reaches all of it.

    slack: what stands for a letter, or for a whole expression such as a root; signs: those of expressions that define
    the piece, where no slack in radicals reaches it.
    """

    name: str
    condition: str
    slack: Mapping[Any, Any] = field(default_factory=lambda: MappingProxyType({}))
    signs: Mapping[Any, Sign] = field(default_factory=lambda: MappingProxyType({}))

    def at(self, expr: Any) -> Any:
        """The expression in the slack variables."""
        return sp.sympify(expr).subs(dict(self.slack), simultaneous=True)

    def resolve(self, expr: Any) -> Any:
        """The expression in the slack variables without Piecewise, Max, Min and Abs.

        NaN where no case applies; None where a condition is neither true nor false throughout the regime.
        """
        try:
            return _resolved(sp.sympify(expr), self)
        except _UndecidedError:
            return None


class _UndecidedError(Exception):
    """A condition that is neither true throughout a regime nor false throughout it."""


def _resolved(expr: Any, regime: Regime) -> Any:
    if expr in regime.slack:
        return sp.sympify(regime.slack[expr])
    if isinstance(expr, sp.Piecewise):
        cases: Any = expr.args
        for value, condition in cases:
            if _holds(condition, regime):
                return _resolved(value, regime)
        return sp.nan
    if isinstance(expr, sp.Max | sp.Min | sp.Abs):
        return _resolved_order(expr, [_resolved(arg, regime) for arg in expr.args], regime)
    if not expr.args:
        return expr
    return expr.func(*(_resolved(arg, regime) for arg in expr.args))


def _resolved_order(expr: Any, args: list[Any], regime: Regime) -> Any:
    if isinstance(expr, sp.Abs):
        args = [args[0], -args[0]]
    best = args[0]
    for other in args[1:]:
        sign = sign_of(other - best)
        if isinstance(expr, sp.Min):
            sign = sign.flipped
        if sign is Sign.UNKNOWN:
            raise _UndecidedError
        if sign in (Sign.POSITIVE, Sign.NONNEGATIVE):
            best = other
    return best


def _holds(condition: Any, regime: Regime) -> bool:
    """Whether the condition is true throughout the regime, or else false throughout it."""
    if condition in (True, sp.true):
        return True
    if condition in (False, sp.false):
        return False
    if isinstance(condition, sp.And):
        return all(_holds(arg, regime) for arg in condition.args)
    if isinstance(condition, sp.Or):
        return any(_holds(arg, regime) for arg in condition.args)
    if isinstance(condition, sp.Not):
        return not _holds(condition.args[0], regime)
    if type(condition) not in _MEANING:
        raise _UndecidedError
    sign = _sign(condition.lhs - condition.rhs, regime)
    yes, no = _MEANING[type(condition)]
    if sign in yes:
        return True
    if sign in no:
        return False
    raise _UndecidedError


def _sign(difference: Any, regime: Regime) -> Sign:
    """What defines the regime settles the sign, or else its slack does."""
    wanted = difference.primitive()[1]  # SymPy multiplies inequalities out by numbers
    for known, sign in regime.signs.items():
        part = known.primitive()[1]
        if wanted == part:
            return sign
        if wanted == -part:
            return sign.flipped
    return sign_of(_resolved(difference, regime))


_UP, _DOWN = {Sign.POSITIVE}, {Sign.NEGATIVE}
_UP_OR_ZERO, _DOWN_OR_ZERO = {*_UP, Sign.ZERO, Sign.NONNEGATIVE}, {*_DOWN, Sign.ZERO, Sign.NONPOSITIVE}
# relation: the signs of left - right that make it true, and those that make it false
_MEANING: dict[Any, tuple[set[Sign], set[Sign]]] = {
    sp.StrictGreaterThan: (_UP, _DOWN_OR_ZERO),
    sp.GreaterThan: (_UP_OR_ZERO, _DOWN),
    sp.StrictLessThan: (_DOWN, _UP_OR_ZERO),
    sp.LessThan: (_DOWN_OR_ZERO, _UP),
    sp.Equality: ({Sign.ZERO}, _UP | _DOWN),
    sp.Unequality: (_UP | _DOWN, {Sign.ZERO}),
}

# K = 2 + kappa; n = r^2; the ratio of the weights is lam_W/lam_H = gamma^4, so that its fourth root is a letter too
kappa = sp.Symbol("kappa", nonnegative=True)
r = sp.Symbol("r", positive=True)
gamma = sp.Symbol("gamma", positive=True)
u = sp.Symbol("u", positive=True)
v = sp.Symbol("v", positive=True)
t = sp.Symbol("t", positive=True)


def balanced(t_rel: Any, bias: Any, classes: Any = kappa + 2, code: Any = sp.S.One) -> Mapping[Any, Any]:
    """Slack of equal classes: relative regularisation, lam_b, K, and the size |alpha| of their codes."""
    weight = code * t_rel / (classes * r)
    return MappingProxyType(
        {
            K: classes,
            n: r**2,
            N: classes * r**2,
            lam_W: gamma**2 * weight,
            lam_H: weight / gamma**2,
            lam_b: bias,
        }
    )


# every choice of K >= 2, n, lam_W, lam_H, lam_b > 0 is one choice of kappa, r, gamma, t, u and the other way round
EVERYWHERE = Regime("any weights", r"K \ge 2", balanced(t, u))
BELOW = Regime("below", r"t_{rel} < 1,\ \lambda_b < \lambda_b^{*}", balanced(1 / (1 + v), 1 / (v * (1 + u))))
AT = Regime("at", r"t_{rel} < 1,\ \lambda_b = \lambda_b^{*}", balanced(1 / (1 + v), 1 / v))
ABOVE = Regime("above", r"t_{rel} < 1,\ \lambda_b > \lambda_b^{*}", balanced(1 / (1 + v), (1 + u) / v))
CRITICAL = Regime("critical", r"t_{rel} = 1", balanced(sp.S.One, u))
LOST = Regime("lost", r"t_{rel} > 1", balanced(1 + v, u))

# disjoint, and together all of K >= 2, n > 0, lam_W, lam_H, lam_b > 0
BALANCED_ONE_HOT = (BELOW, AT, ABOVE, CRITICAL, LOST)

# the same pieces with their boundaries, as a proof takes them
u_0 = sp.Symbol("u_0", nonnegative=True)
v_0 = sp.Symbol("v_0", nonnegative=True)
PLATEAU = Regime("plateau", r"t_{rel} < 1,\ \lambda_b \le \lambda_b^{*}", balanced(1 / (1 + v), 1 / (v * (1 + u_0))))
ZERO = Regime("zero", r"t_{rel} \ge 1", balanced(1 + v_0, u))
