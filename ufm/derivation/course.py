"""How a derived formula runs over lam_b: bounds, ends and monotonicity, decided by algebra in every regime."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ufm.derivation.agree import Agreement, agree
from ufm.derivation.regimes import ABOVE, AT, BALANCED_ONE_HOT, BELOW, Regime, u
from ufm.derivation.signs import Sign, sign_of, vanishes
from ufm.symbols import lam_b

_UP = {Sign.POSITIVE, Sign.NONNEGATIVE, Sign.ZERO}
_DOWN = {Sign.NEGATIVE, Sign.NONPOSITIVE, Sign.ZERO}


def at_least(bound: Any, derived: Any, regimes: tuple[Regime, ...] = BALANCED_ONE_HOT) -> Agreement:
    """Whether derived >= bound wherever it exists; True or undecided."""
    return _signed(sp.sympify(derived) - sp.sympify(bound), _UP, regimes)


def at_most(bound: Any, derived: Any, regimes: tuple[Regime, ...] = BALANCED_ONE_HOT) -> Agreement:
    """Whether derived <= bound wherever it exists; True or undecided."""
    return _signed(sp.sympify(derived) - sp.sympify(bound), _DOWN, regimes)


def increases(derived: Any, regimes: tuple[Regime, ...] = BALANCED_ONE_HOT) -> Agreement:
    """Whether derived never decreases in lam_b: not within a regime, and with no jump at lam_b*; True or undecided."""
    derived = sp.sympify(derived)
    inside = _signed(
        sp.diff(derived, lam_b), _UP, tuple(regime for regime in regimes if u in regime.slack[lam_b].atoms())
    )
    if not inside.verdict or AT not in regimes:
        return inside
    for regime in (BELOW, ABOVE):
        side, here = regime.resolve(derived), AT.resolve(derived)
        if side is None or here is None or not vanishes(sp.limit(side, u, 0) - here):
            return Agreement(None, AT.name)
    return Agreement(True)


def agree_at(end: Any, stated: Any, derived: Any, regimes: tuple[Regime, ...] = BALANCED_ONE_HOT) -> Agreement:
    """Whether the derived formula tends to the stated one as lam_b tends to 0 or to infinity (`end`)."""
    for regime in regimes:
        for to in (0, sp.oo):
            if sp.limit(regime.slack[lam_b], u, to) != end:
                continue
            inside = regime.resolve(derived)
            if inside is sp.nan:
                continue
            limit = None if inside is None else sp.limit(inside, u, to)
            if limit is None or limit.has(u):
                return Agreement(None, regime.name)
            # nothing depends on lam_b any more, so that any value of it may stand for the end
            outcome = agree(stated, limit, (Regime(regime.name, regime.condition, {**regime.slack, lam_b: u}),))
            if outcome.verdict is not True:
                return outcome
    return Agreement(True)


def _signed(expr: Any, allowed: set[Sign], regimes: tuple[Regime, ...]) -> Agreement:
    for regime in regimes:
        inside = regime.resolve(expr)
        if inside is sp.nan:
            continue
        if inside is None or sign_of(inside) not in allowed:
            return Agreement(None, regime.name)
    return Agreement(True)
