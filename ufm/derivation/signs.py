"""Zero and sign of scalar expressions, decided by algebra alone.

Signs are decided after positive slack variables have replaced inequalities (t < 1 becomes t = 1/(1+v) with v > 0): a
polynomial in positive letters whose coefficients are all positive is positive. No number is ever plugged in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from typing import Any

import sympy as sp


class Sign(Enum):
    """What is known of the sign of an expression over the whole of its domain."""

    POSITIVE = ">"
    NONNEGATIVE = ">="
    ZERO = "="
    NONPOSITIVE = "<="
    NEGATIVE = "<"
    UNKNOWN = "?"

    @property
    def flipped(self) -> Sign:
        """The sign of the negative."""
        flips = {
            Sign.POSITIVE: Sign.NEGATIVE,
            Sign.NEGATIVE: Sign.POSITIVE,
            Sign.NONNEGATIVE: Sign.NONPOSITIVE,
            Sign.NONPOSITIVE: Sign.NONNEGATIVE,
        }
        return flips.get(self, self)


def _fraction(expr: Any, slack: Mapping[Any, Any] | None) -> Any:
    """The expression after the substitution, as one fraction, not yet in lowest terms."""
    expr = sp.sympify(expr)
    if slack:
        expr = expr.subs(dict(slack), simultaneous=True)
    if any(not power.exp.is_Integer for power in expr.atoms(sp.Pow)):
        # SymPy merges powers of equal positive bases only once they are expanded, so radicals first
        expr = sp.powsimp(sp.expand_power_base(expr))
    return sp.together(expr)


def cancelled(expr: Any, slack: Mapping[Any, Any] | None = None) -> Any:
    """The expression after the substitution, as one fraction in lowest terms."""
    return sp.cancel(_fraction(expr, slack))


def vanishes(expr: Any, slack: Mapping[Any, Any] | None = None) -> bool:
    """Is the expression identically zero? True is a proof; False only says that none was found."""
    out = _fraction(expr, slack)
    if out.is_finite is False or out is sp.nan:
        return False
    if out.has(sp.log):
        out = sp.together(out.xreplace({each: _opened(each) for each in out.atoms(sp.log)}))
    above = sp.expand(sp.numer(out))
    return above == 0 or (not above.is_Rational and sp.simplify(above) == 0)


def _opened(log: Any) -> Any:
    """The logarithm as a sum over the factors of its argument; as it is where one of them may not be positive."""
    factors = [factor.as_base_exp() for factor in sp.Mul.make_args(sp.factor(_fraction(log.args[0], None)))]
    positive = all(exponent.is_real and sign_of(base) is Sign.POSITIVE for base, exponent in factors)
    return sum((exponent * sp.log(sp.expand(base)) for base, exponent in factors), sp.S.Zero) if positive else log


def _product(left: Sign, right: Sign) -> Sign:
    if Sign.UNKNOWN in (left, right):
        return Sign.UNKNOWN
    if Sign.ZERO in (left, right):
        return Sign.ZERO
    negative = {Sign.NEGATIVE, Sign.NONPOSITIVE}
    strict = {left, right} <= {Sign.POSITIVE, Sign.NEGATIVE}
    magnitude = Sign.POSITIVE if strict else Sign.NONNEGATIVE
    return magnitude.flipped if (left in negative) != (right in negative) else magnitude


def _atom_sign(base: Any) -> Sign:
    if base.is_positive:
        return Sign.POSITIVE
    if base.is_negative:
        return Sign.NEGATIVE
    if base.is_zero:
        return Sign.ZERO
    if base.is_nonnegative:
        return Sign.NONNEGATIVE
    if base.is_nonpositive:
        return Sign.NONPOSITIVE
    return Sign.UNKNOWN


def _polynomial_sign(expr: Any) -> Sign:
    """The sign of a sum from the signs of its monomials: all of one sign, strict if one of them is."""
    numbers: dict[Any, Any] = defaultdict(lambda: sp.S.Zero)
    for term in sp.Add.make_args(sp.expand(expr)):
        number, monomial = term.as_independent(*term.free_symbols, as_Add=False)
        numbers[monomial] += number  # 2 x - sqrt(3) x is one monomial
    seen: set[Sign] = set()
    for monomial, number in numbers.items():
        sign = _atom_sign(number)
        for factor in sp.Mul.make_args(monomial):
            sign = _product(sign, _atom_sign(factor))
        seen.add(sign)
    seen.discard(Sign.ZERO)
    if not seen:
        return Sign.ZERO
    if seen <= {Sign.POSITIVE, Sign.NONNEGATIVE}:
        return Sign.POSITIVE if Sign.POSITIVE in seen else Sign.NONNEGATIVE
    if seen <= {Sign.NEGATIVE, Sign.NONPOSITIVE}:
        return Sign.NEGATIVE if Sign.NEGATIVE in seen else Sign.NONPOSITIVE
    return Sign.UNKNOWN


def sign_of(expr: Any, slack: Mapping[Any, Any] | None = None) -> Sign:
    """The sign of an expression in positive and non-negative letters, or UNKNOWN."""
    expr = cancelled(expr, slack)
    if expr.is_Rational:
        return _atom_sign(expr)
    if expr in (sp.oo, -sp.oo):
        return _atom_sign(expr)
    out = Sign.POSITIVE
    for factor in sp.Mul.make_args(sp.factor(expr)):
        base, exponent = factor.as_base_exp()
        inner = _atom_sign(base)
        if inner is Sign.UNKNOWN:
            inner = _polynomial_sign(base)
        if exponent.is_Integer:
            if exponent % 2 == 0:
                square = {Sign.POSITIVE: Sign.POSITIVE, Sign.NEGATIVE: Sign.POSITIVE, Sign.ZERO: Sign.ZERO}
                inner = square.get(inner, Sign.NONNEGATIVE if base.is_extended_real else Sign.UNKNOWN)
            if exponent < 0 and inner in (Sign.ZERO, Sign.UNKNOWN):
                return Sign.UNKNOWN
        elif inner not in (Sign.POSITIVE, Sign.NONNEGATIVE, Sign.ZERO):
            return Sign.UNKNOWN
        out = _product(out, inner)
    return out


def same(left: Any, right: Any) -> bool:
    """Are two numbers equal? Their difference cancels, or both are not negative and their squares are equal.

    Roots of sums do not cancel as they stand. True is a proof; False only says that none was found.
    """
    if vanishes(left - right):
        return True
    known = {Sign.POSITIVE, Sign.NONNEGATIVE, Sign.ZERO}
    return sign_of(left) in known and sign_of(right) in known and vanishes(left**2 - right**2)
