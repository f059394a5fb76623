"""The builder of proofs: each method is one rule of inference, which computes what it claims or refuses the step.

No rule ever plugs in a number. A refused step stays in the proof under its name, and the proof then does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ufm.derivation.derivation import Derivation, How, Step
from ufm.derivation.lemma import Lemma
from ufm.derivation.memory import STEP_SECONDS, decided, save
from ufm.derivation.regimes import EVERYWHERE, Regime
from ufm.derivation.signs import Sign, cancelled, same, sign_of, vanishes
from ufm.derivation.words import (
    NO_RULES,
    Listed,
    Rules,
    SquaredNorm,
    contains,
    directional,
    scalar_words,
    substituted,
    words,
)

_ALLOWED = {
    sp.StrictGreaterThan: {Sign.POSITIVE},
    sp.GreaterThan: {Sign.POSITIVE, Sign.NONNEGATIVE, Sign.ZERO},
    sp.StrictLessThan: {Sign.NEGATIVE},
    sp.LessThan: {Sign.NEGATIVE, Sign.NONPOSITIVE, Sign.ZERO},
}


def equation(left: Any, right: Any) -> Any:
    """Left = right, kept as written."""
    return sp.Eq(left, right, evaluate=False)


class Proof:
    """A proof under construction: definitions and rules first, then steps, then `conclude`."""

    def __init__(self, title: str, statement: str) -> None:
        self.title = title
        self.statement = statement
        self._steps: list[Step] = []
        self._section = ""
        self._carried: tuple[Step, ...] = ()
        self._meaning: dict[Any, Any] = {}
        self._equations: dict[Any, Any] = {}
        self._rules = NO_RULES

    # what is given

    def section(self, heading: str) -> None:
        """Start a new part of the proof."""
        self._section = heading

    def define(self, name: str, sentence: str, letter: Any, meaning: Any, shown: bool = True) -> None:
        """Introduce a letter; every later step sees its meaning."""
        used = {each for step in self._steps for claim in step.claims for each in _letters(claim)}
        fresh = letter not in self._meaning and letter not in _letters(meaning) and letter not in used
        claims = [equation(letter, meaning)] if shown else []
        self._record(name, sentence, claims, fresh, "definition", "the letter is already in use")
        self._meaning[letter] = self.full(meaning)

    def given(self, name: str, sentence: str, equations: Mapping[Any, Any], shown: bool = True) -> None:
        """A hypothesis of the theorem as a rule on matrices (each left side one word, such as Q'Q)."""
        self._equations.update(equations)
        self._rules = Rules.of(self._equations)
        claims = [equation(left, right) for left, right in equations.items()] if shown else []
        self._record(name, sentence, claims, True, "definition", "")

    def meaning(self, letter: Any) -> Any:
        """What a defined letter stands for, in the parameters alone."""
        return self._meaning[letter]

    def carry(self, derivation: Derivation) -> None:
        """Take over the steps of a proof that this one goes on from; its letters may be introduced again."""
        self._carried += derivation.steps

    def full(self, expr: Any) -> Any:
        """The expression with every defined letter replaced by its meaning."""
        return substituted(sp.sympify(expr), self._meaning)

    # rules of inference

    def equal(
        self,
        name: str,
        sentence: str,
        left: Any,
        right: Any,
        regime: Regime = EVERYWHERE,
        where: Mapping[Any, Any] | None = None,
    ) -> None:
        """Two scalars are equal throughout the regime: their difference cancels."""

        def holds() -> bool:
            sides = [regime.resolve(self.full(substituted(sp.sympify(side), where or {}))) for side in (left, right)]
            return None not in sides and vanishes(sides[0] - sides[1])

        self._settle(name, sentence, [equation(left, right)], (left, right, where or {}, regime), holds,
                     "the difference does not cancel")  # fmt: skip

    def sign(self, name: str, sentence: str, *relations: Any, regime: Regime = EVERYWHERE) -> None:
        """Inequalities hold throughout the regime: in slack variables no coefficient has the wrong sign."""
        self._settle(
            name,
            sentence,
            list(relations),
            (relations, regime),
            lambda: all(self._holds(relation, regime) for relation in relations),
            "the sign is not settled",
        )

    def identity(
        self,
        name: str,
        sentence: str,
        *sides: tuple[Any, Any],
        where: Mapping[Any, Any] | None = None,
        regime: Regime = EVERYWHERE,
    ) -> None:
        """Matrix expressions (or sums of traces) are equal for all matrices that obey the rules: same normal form."""
        self._settle(
            name,
            sentence,
            [equation(left, right) for left, right in sides],
            (sides, where or {}, regime),
            lambda: all(self._same(left, right, where or {}, regime) for left, right in sides),
            "the normal forms differ",
        )

    def gradient(self, name: str, sentence: str, loss: Any, letter: Any, gradient: Any) -> None:
        """`gradient` is the derivative of the loss: the directional derivative is tr(gradient' direction)."""

        def holds() -> bool:
            direction = sp.MatrixSymbol("D", *letter.shape)
            along = directional(self.full(loss), letter, direction)
            claimed = scalar_words(sp.Trace(self.full(gradient).T * direction))
            return _all_vanish(along, claimed, EVERYWHERE)

        shown = equation(sp.MatrixSymbol(f"∇_{letter.name}", *letter.shape), gradient)
        self._settle(name, sentence, [shown], (loss, letter, gradient), holds, "the directional derivative differs")

    def follows(
        self,
        name: str,
        sentence: str,
        left: Any,
        right: Any,
        zero: Mapping[Any, Any],
        combination: Any,
        where: Mapping[Any, Any] | None = None,
        regime: Regime = EVERYWHERE,
    ) -> None:
        """Left = right whenever the expressions in `zero` vanish: the difference is a combination of them.

        `zero` names each vanishing expression by a letter; every word of `combination` has one of these letters.
        """

        def holds() -> bool:
            linear = all(contains(word, set(zero)) for word, x in words(combination).items() if x != 0)
            return linear and self._same(left - right, combination, {**zero, **(where or {})}, regime)

        inputs = (left, right, zero, combination, where or {}, regime)
        self._settle(name, sentence, [equation(left, right)], inputs, holds, "not a combination of what vanishes")

    def squares(
        self,
        name: str,
        sentence: str,
        left: Any,
        constant: Any,
        terms: Sequence[tuple[Any, Any]],
        where: Mapping[Any, Any] | None = None,
        regime: Regime = EVERYWHERE,
    ) -> list[Any]:
        """Left = constant + sum of coefficient ||matrix||^2 with coefficients >= 0, so left >= constant.

        Returns every coefficient * matrix: equality holds exactly where all of these vanish.
        """
        right = constant + sum((x * SquaredNorm(matrix) for x, matrix in terms), sp.S.Zero)
        allowed = _ALLOWED[sp.GreaterThan]

        def holds() -> bool:
            signs = [sign_of(self.full(x), regime.slack) in allowed for x, _ in terms]
            return all(signs) and self._same(left, right, where or {}, regime)

        shown = Listed(
            constant, *(x * SquaredNorm(matrix) for x, matrix in terms if not vanishes(self.full(x), regime.slack))
        )
        inputs = (left, constant, list(terms), where or {}, regime)
        reason = "not the sum of squares, or a square has a coefficient of unsettled sign"
        self._settle(name, sentence, [equation(left, shown)], inputs, holds, reason)
        return [x * matrix for x, matrix in terms]

    def limit(
        self,
        name: str,
        sentence: str,
        expr: Any,
        shown: tuple[Any, Any],
        value: Any,
        along: tuple[Regime, Any, Any],
    ) -> None:
        """A limit: shown = (parameter, where it goes), computed along = (regime, slack letter, where it goes)."""
        regime, letter, end = along

        def holds() -> bool:
            inside = regime.resolve(self.full(expr))
            if inside is None:
                return False
            return vanishes(sp.limit(cancelled(inside), letter, end) - regime.at(self.full(value)))

        claim = equation(sp.Limit(expr, shown[0], shown[1]), value)
        self._settle(name, sentence, [claim], (expr, shown, value, along), holds, "the limit is another")

    def closed_form(self, name: str, sentence: str, formula: Any, pieces: Mapping[Regime, Any]) -> Any:
        """One formula says in every regime what was proved there; returns it in the parameters alone."""
        formula_in_full = self.full(formula)

        def holds() -> bool:
            for regime, piece in pieces.items():
                found, wanted = regime.resolve(formula_in_full), regime.at(self.full(piece))
                both_undefined = found is sp.nan and wanted is sp.nan
                if not (both_undefined or (found is not None and same(found, wanted))):
                    return False
            return True

        inputs = (formula, [(regime, piece) for regime, piece in pieces.items()])
        claim = equation(sp.Symbol(name), formula)
        self._settle(name, sentence, [claim], inputs, holds, "a regime disagrees")
        return formula_in_full

    def lemma(self, name: str, sentence: str, lemma: Lemma, *claims: Any) -> None:
        """The claim is an instance of a named lemma, which is not proved here."""
        self._record(name, sentence, list(claims), True, "lemma", "", (lemma,))

    def uses(self, name: str, sentence: str, derivation: Derivation, *claims: Any) -> None:
        """What another proof arrived at; this one stands and falls with it, and rests on the same lemmas."""
        reason = f"the proof of {derivation.title!r} fails"
        self._record(name, sentence, list(claims), derivation.ok, "sympy", reason, derivation.lemmas)

    def conclude(
        self,
        formulae: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        regimes: tuple[Regime, ...] = (),
    ) -> Derivation:
        """The finished derivation; `regimes` are the pieces of the domain on which the formulae are proved."""
        save()
        return Derivation(
            self.title,
            self.statement,
            (*self._carried, *self._steps),
            MappingProxyType(dict(formulae or {})),
            MappingProxyType(dict(claims or {})),
            regimes,
        )

    # how

    def _settle(
        self,
        name: str,
        sentence: str,
        claims: list[Any],
        inputs: tuple[Any, ...],
        holds: Callable[[], bool],
        reason: str,
    ) -> None:
        """Record the step as verified if it holds; what was verified before, from the same inputs, is remembered."""
        try:
            ok = decided(holds.__qualname__, (self._meaning, self._equations, *inputs), holds)
        except TimeoutError:
            ok, reason = False, f"not settled within {STEP_SECONDS:g} s"
        self._record(name, sentence, claims, ok, "sympy", reason)

    def _holds(self, relation: Any, regime: Regime) -> bool:
        if relation in (sp.true, sp.false):  # settled by SymPy from the assumptions on the letters
            return bool(relation)
        left, right = (regime.resolve(self.full(side)) for side in (relation.lhs, relation.rhs))
        return left is not None and right is not None and sign_of(left - right) in _ALLOWED[type(relation)]

    def _same(self, left: Any, right: Any, where: Mapping[Any, Any], regime: Regime) -> bool:
        shapes_agree = isinstance(left, MatrixExpr) == isinstance(right, MatrixExpr)
        if not shapes_agree or (isinstance(left, MatrixExpr) and left.shape != right.shape):
            return False
        forms = []
        for side in (left, right):
            inserted = sp.sympify(side)
            for _ in range(2):  # `where` may speak of defined letters, and definitions of the letters in `where`
                inserted = self.full(substituted(inserted, where))
            forms.append(words(inserted, self._rules))
        return _all_vanish(forms[0], forms[1], regime, self.full)

    def _record(
        self,
        name: str,
        sentence: str,
        claims: list[Any],
        ok: bool,
        how: How,
        reason: str,
        lemmas: tuple[Lemma, ...] = (),
    ) -> None:
        if any(step.name == name for step in (*self._carried, *self._steps)):
            raise ValueError(f"two steps are called {name!r}; a failing step could not be told from the other")
        outcome: How = how if ok else "refused"
        why = _WHY.get(how, "") if ok else reason
        self._steps.append(Step(name, sentence, tuple(claims), outcome, why, self._section, lemmas))


_WHY = {"sympy": "verified by SymPy", "definition": "definition", "lemma": "lemma"}


def _letters(expr: Any) -> set[Any]:
    return expr.atoms(sp.Symbol, sp.MatrixSymbol)


def _all_vanish(left: Mapping[Any, Any], right: Mapping[Any, Any], regime: Regime, full: Any = None) -> bool:
    for word in {*left, *right}:
        difference = left.get(word, sp.S.Zero) - right.get(word, sp.S.Zero)
        if not vanishes(full(difference) if full else difference, regime.slack):
            return False
    return True
