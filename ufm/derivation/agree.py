"""Whether a stated and a derived formula agree, decided regime by regime, with a witness where they do not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import sympy as sp

from ufm.derivation.regimes import BALANCED_ONE_HOT, Regime
from ufm.derivation.signs import Sign, sign_of, vanishes

_DIGITS = 40
_RELATIVE = sp.Rational(1, 10**25)  # far above the round-off of 40 digits, far below any planted change


@dataclass(frozen=True)
class Agreement:
    """`verdict`: True (equal in all regimes), False (different at `witness`), None (undecided in `regime`)."""

    verdict: bool | None
    regime: str = ""
    witness: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    stated: Any = None
    derived: Any = None

    def __str__(self) -> str:
        if self.verdict:
            return "the statement is what was derived"
        if self.verdict is None:
            return f"undecided in the regime {self.regime!r}"
        point = ", ".join(f"{name} = {value}" for name, value in self.witness.items())
        return f"at {point} the statement gives {self.stated}, the derivation {self.derived}"


def agree(stated: Any, derived: Any, regimes: tuple[Regime, ...] = BALANCED_ONE_HOT) -> Agreement:
    """Compare two formulae; where the derived one does not exist (NaN), anything may be stated."""
    stated, derived = sp.sympify(stated), sp.sympify(derived)
    undecided = ""
    for regime in regimes:
        if _equal_in(regime, stated, derived):
            continue
        difference = _witness(regime, stated, derived)
        if difference is not None:
            return difference
        undecided = undecided or regime.name
    return Agreement(None, undecided) if undecided else Agreement(True)


def _equal_in(regime: Regime, stated: Any, derived: Any) -> bool:
    """Whether algebra shows the two equal throughout the regime; False only says that no proof was found."""
    left, right = regime.resolve(stated), regime.resolve(derived)
    if right is sp.nan:
        return True
    if left is None or right is None or left is sp.nan:
        return False
    if left == right:
        return True
    if not (left.is_finite is not False and right.is_finite is not False) or (left - right).has(sp.nan, sp.zoo):
        return False
    if vanishes(left - right):
        return True
    # roots of sums do not cancel as they stand; two non-negative numbers are equal if their squares are
    known = {Sign.POSITIVE, Sign.NONNEGATIVE, Sign.ZERO}
    return sign_of(left) in known and sign_of(right) in known and vanishes(left**2 - right**2)


def _points(regime: Regime) -> Iterator[dict[Any, Any]]:
    """Some simple points of the regime, in its slack letters: small numbers that are not special."""
    letters = sorted({letter for value in regime.slack.values() for letter in sp.sympify(value).free_symbols}, key=str)
    choices = {"kappa": (1, 0, 3), "r": (1, sp.sqrt(2), 3)}
    usual = (sp.Integer(1), sp.Rational(1, 2), sp.Rational(7, 3))
    yield from (
        dict(zip(letters, values, strict=True))
        for values in itertools.islice(itertools.product(*(choices.get(str(letter), usual) for letter in letters)), 60)
    )


def _number(expr: Any, values: Mapping[Any, Any]) -> Any:
    out = expr.subs(dict(values), simultaneous=True)
    return sp.N(out, _DIGITS)


def _witness(regime: Regime, stated: Any, derived: Any) -> Agreement | None:
    """A point of the regime at which the two differ beyond round-off."""
    for point in _points(regime):
        values = {letter: sp.sympify(value).subs(point, simultaneous=True) for letter, value in regime.slack.items()}
        left, right = _number(stated, values), _number(derived, values)
        if right is sp.nan or left.free_symbols or right.free_symbols:
            continue
        undefined = left is sp.nan or left.is_finite is False
        apart = left != right if undefined else bool(abs(left - right) > _RELATIVE * (1 + abs(right)))
        if apart:
            used = stated.free_symbols | derived.free_symbols
            shown = {str(letter): sp.nsimplify(value) for letter, value in values.items() if letter in used}
            return Agreement(False, regime.name, MappingProxyType(shown), sp.N(left, 6), sp.N(right, 6))
    return None
