"""Whether a stated and a derived formula agree, decided regime by regime, with a witness where they do not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import sympy as sp

from ufm.derivation.regimes import BALANCED_ONE_HOT, EVERYWHERE, Regime
from ufm.derivation.signs import same
from ufm.derivation.words import words
from ufm.symbols import SoftThreshold, Total, cov, delta_kl, m, sigma, sigma_c

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
    stated, derived = _summands(sp.sympify(stated), sp.sympify(derived))
    regimes = regimes or (EVERYWHERE,)  # no pieces are one piece
    undecided = ""
    for regime in regimes:
        if _equal_in(regime, stated, derived):
            continue
        difference = _witness(regime, stated, derived)
        if difference is not None:
            return difference
        undecided = undecided or regime.name
    return Agreement(None, undecided) if undecided else Agreement(True)


def _summands(left: Any, right: Any) -> tuple[Any, Any]:
    """(g(i), h(i)) where the two are sums over the m directions of g and of h; as they are where neither has a sum.

    Two sums are equal if their summands are; a term without a sum is m times its m-th part.
    """
    if not left.has(Total) and not right.has(Total):
        return left, right
    parts = _summand(left), _summand(right)
    return (left, right) if None in parts else parts


def _summand(expr: Any) -> Any:
    """g(i) where the expression is the sum of g over the directions; None where it is not linear in such sums."""
    out = sp.S.Zero
    for term in sp.Add.make_args(sp.expand_mul(expr, deep=False)):
        totals = term.atoms(Total)
        total = next(iter(totals)) if totals else None
        factor = term / total if total is not None else term / m
        if factor.has(Total) or factor.free_symbols & {sigma, sigma_c, cov}:
            return None
        out += factor * total.args[0] if total is not None else factor
    return out


def agree_matrix(stated: Any, derived: Any, regimes: tuple[Regime, ...]) -> Agreement:
    """Compare two matrix expressions: equal words, with coefficients that agree in every regime."""
    left, right = (_opened(expr.doit()) for expr in (stated, derived))
    regimes = regimes or (EVERYWHERE,)
    for word in {*left, *right}:
        outcome = agree(left.get(word, sp.S.Zero), right.get(word, sp.S.Zero), regimes)
        if outcome.verdict is not True:
            return Agreement(None, outcome.regime)
    return Agreement(True)


def _opened(expr: Any) -> dict[Any, Any]:
    """Words of a matrix expression; each thresholded matrix is a letter of its own."""
    found = {each: _scale_free(each) for each in expr.atoms(SoftThreshold)}
    return words(expr.xreplace(found))


def _scale_free(each: Any) -> Any:
    """[M]_t as a letter named by M and t, where M = scalar * matrix is brought to [matrix]_{t/scalar}."""
    matrix, threshold = each.args
    scalar, inner = matrix.as_coeff_mmul() if isinstance(matrix, sp.MatMul) else (sp.S.One, matrix)
    name = f"[{inner}]_{sp.powdenest(sp.simplify(threshold / scalar), force=True)}"
    return scalar * sp.MatrixSymbol(name, *each.shape)


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
    return same(left, right)


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
    free = {letter for side in (stated, derived) for letter in side.free_symbols - regime.slack.keys()}
    if free - {delta_kl}:
        return None  # letters that the regime leaves open may depend on each other: no number is a point of it
    diagonal = dict.fromkeys(free, sp.S.One)  # one class rather than two
    for point in _points(regime):
        values = {letter: sp.sympify(value).subs(point, simultaneous=True) for letter, value in regime.slack.items()}
        values |= diagonal
        left, right = _number(stated, values), _number(derived, values)
        if right is sp.nan or left.free_symbols or right.free_symbols or left.has(Total) or right.has(Total):
            continue
        undefined = left is sp.nan or left.is_finite is False
        apart = left != right if undefined else bool(abs(left - right) > _RELATIVE * (1 + abs(right)))
        if apart:
            used = stated.free_symbols | derived.free_symbols
            shown = {str(letter): sp.nsimplify(value) for letter, value in values.items() if letter in used}
            return Agreement(False, regime.name, MappingProxyType(shown), sp.N(left, 6), sp.N(right, 6))
    return None
