"""Matrix identities for symbolic dimensions: non-commutative polynomials in matrix letters, brought to a normal form.

A matrix expression of SymPy is expanded into words (products of letters, each possibly transposed) with scalar
coefficients. Hypotheses such as Q'Q = I are rewriting rules. Under a trace, words are taken up to rotation and
transposition. Two expressions with one normal form are equal for all matrices of those shapes that obey the rules;
different normal forms prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

Letter = tuple[Any, bool]  # a MatrixSymbol, and whether it is transposed
Word = tuple[Letter, ...]


class SquaredNorm(sp.Expr):
    """||M||^2, the sum of the squared entries of a matrix expression, kept unevaluated so that it can be read."""

    def __new__(cls, matrix: Any) -> SquaredNorm:  # noqa: D102
        return sp.Expr.__new__(cls, matrix)

    @property
    def matrix(self) -> Any:
        """M."""
        return self.args[0]

    def _latex(self, printer: Any, exp: Any = None) -> str:
        shown = rf"\lVert {printer._print(self.matrix)} \rVert^{{2}}"
        return shown if exp is None else rf"\left({shown}\right)^{{{exp}}}"

    def _pretty(self, printer: Any) -> Any:
        from sympy.printing.pretty.stringpict import prettyForm

        inner = printer._print(self.matrix)
        return prettyForm(*prettyForm(*inner.left("‖")).right("‖²"), binding=prettyForm.ATOM)

    def _sympystr(self, printer: Any) -> str:
        return f"||{printer._print(self.matrix)}||^2"


class Listed(sp.Expr):
    """A sum whose terms are shown in the order in which they were written."""

    def __new__(cls, *terms: Any) -> Listed:  # noqa: D102
        return sp.Expr.__new__(cls, *(sp.sympify(term) for term in terms))

    def doit(self, **hints: Any) -> Any:
        """The ordinary sum."""
        terms: Any = self.args
        return sp.Add(*terms)


@dataclass(frozen=True)
class Form:
    """A matrix polynomial of given shape: word -> coefficient."""

    rows: Any
    cols: Any
    terms: Mapping[Word, Any]

    @property
    def T(self) -> Form:
        """The transpose."""
        return Form(self.cols, self.rows, {_flip(word): coefficient for word, coefficient in self.terms.items()})


def _flip(word: Word) -> Word:
    return tuple((letter, not transposed) for letter, transposed in reversed(word))


def _rows(letter: Letter) -> Any:
    return letter[0].shape[1] if letter[1] else letter[0].shape[0]


def _cols(letter: Letter) -> Any:
    return letter[0].shape[0] if letter[1] else letter[0].shape[1]


def _add(into: dict[Any, Any], key: Any, coefficient: Any) -> None:
    into[key] = into.get(key, sp.S.Zero) + coefficient


def _product(left: Form, right: Form) -> Form:
    terms: dict[Word, Any] = {}
    for a, x in left.terms.items():
        for b, y in right.terms.items():
            _add(terms, a + b, x * y)
    return Form(left.rows, right.cols, terms)


def _scaled(form: Form, factor: Any) -> Form:
    return Form(form.rows, form.cols, {word: factor * x for word, x in form.terms.items()})


def form(expr: Any) -> Form:
    """The words of a matrix expression, without any rules."""
    if isinstance(expr, sp.MatrixSymbol):
        rows, cols = expr.shape
        return Form(rows, cols, {((expr, False),): sp.S.One})
    if isinstance(expr, sp.Identity):
        return Form(expr.shape[0], expr.shape[1], {(): sp.S.One})
    if isinstance(expr, sp.ZeroMatrix):
        return Form(*expr.shape, {})
    if isinstance(expr, sp.Transpose):
        return form(expr.arg).T
    if isinstance(expr, sp.MatAdd):
        terms: dict[Word, Any] = {}
        for arg in expr.args:
            for word, coefficient in form(arg).terms.items():
                _add(terms, word, coefficient)
        return Form(expr.shape[0], expr.shape[1], terms)
    if isinstance(expr, sp.MatMul):
        scalar, factors = sp.S.One, []
        for arg in expr.args:
            if isinstance(arg, MatrixExpr):
                factors.append(form(arg))
            else:
                scalar = scalar * arg
        out = factors[0]
        for factor in factors[1:]:
            out = _product(out, factor)
        return _scaled(out, scalar)
    exponent: Any = expr.exp if isinstance(expr, sp.MatPow) else None
    if exponent is not None and exponent.is_Integer and exponent > 0:
        out = base = form(expr.base)
        for _ in range(int(exponent) - 1):
            out = _product(out, base)
        return out
    raise TypeError(f"not a polynomial in matrix letters: {expr!r}")


@dataclass(frozen=True)
class Rules:
    """What is assumed of the letters: each rule turns a word into a polynomial, and holds transposed as well."""

    pairs: tuple[tuple[Word, Form], ...]

    @staticmethod
    def of(equations: Mapping[Any, Any]) -> Rules:
        """{left: right} with each left a single word, e.g. {Q.T * Q: Identity(K), A: sqrt(n) * Identity(K)}."""
        pairs: dict[Word, Form] = {}
        for left, right in equations.items():
            left_form = form(left)
            ((word, coefficient),) = left_form.terms.items()
            if coefficient != 1 or not word:
                raise ValueError(f"the left side of a rule must be one word: {left}")
            if left.shape != right.shape:
                raise ValueError(f"a rule must keep the shape: {left} is {left.shape}, {right} is {right.shape}")
            pairs[word] = form(right)
            pairs.setdefault(_flip(word), form(right).T)
        return Rules(tuple(pairs.items()))

    def match(self, word: Word) -> tuple[int, int, Form] | None:
        """(start, stop, replacement) of the first place of the word where a rule applies."""
        for start in range(len(word)):
            for left, right in self.pairs:
                if word[start : start + len(left)] == left:
                    return start, start + len(left), right
        return None


NO_RULES = Rules(())


def reduced(polynomial: Form, rules: Rules) -> Form:
    """The polynomial with the rules applied until none does."""
    done: dict[Word, Any] = {}
    todo = list(polynomial.terms.items())
    while todo:
        word, coefficient = todo.pop()
        found = rules.match(word)
        if found is None:
            _add(done, word, coefficient)
            continue
        start, stop, right = found
        todo.extend((word[:start] + middle + word[stop:], coefficient * x) for middle, x in right.terms.items())
    return Form(polynomial.rows, polynomial.cols, done)


def _key(letter: Letter) -> tuple[str, bool]:
    return str(letter[0]), letter[1]


def traced(polynomial: Form, rules: Rules) -> dict[Word, Any]:
    """The trace as words up to rotation and transposition; the empty word stands for the number 1."""
    done: dict[Word, Any] = {}
    todo: list[tuple[Word, Any, Any]] = [(word, x, polynomial.rows) for word, x in polynomial.terms.items()]
    while todo:
        word, coefficient, size = todo.pop()
        if not word:
            _add(done, (), coefficient * size)  # tr I
            continue
        rotations = [word[i:] + word[:i] for i in range(len(word))]
        for rotation in rotations:
            found = rules.match(rotation)
            if found is not None:
                start, stop, right = found
                # start at the matched place, so that an emptied word keeps the size of the identity it stands for
                rest = rotation[stop:] + rotation[:start]
                todo.extend((middle + rest, coefficient * x, right.rows) for middle, x in right.terms.items())
                break
        else:
            same = rotations + [_flip(rotation) for rotation in rotations]
            _add(done, min(same, key=lambda w: [_key(letter) for letter in w]), coefficient)
    return done


def scalar_words(expr: Any, rules: Rules = NO_RULES) -> dict[Word, Any]:
    """A scalar expression that is linear in traces and squared norms, as cyclic words with coefficients."""
    total: dict[Word, Any] = {}
    expr = sp.expand(sp.sympify(expr))
    for term in sp.Add.make_args(expr):
        coefficient, matrix = sp.S.One, None
        for factor in sp.Mul.make_args(term):
            if isinstance(factor, SquaredNorm | sp.Trace):
                if matrix is not None:
                    raise TypeError(f"a product of two traces is not linear in traces: {term}")
                inside = form(factor.args[0])
                matrix = _product(inside.T, inside) if isinstance(factor, SquaredNorm) else inside
            elif factor.has(SquaredNorm, sp.Trace):
                raise TypeError(f"not linear in traces: {term}")
            else:
                coefficient = coefficient * factor
        words = {(): sp.S.One} if matrix is None else traced(matrix, rules)
        for word, x in words.items():
            _add(total, word, coefficient * x)
    return total


def words(expr: Any, rules: Rules = NO_RULES) -> dict[Word, Any]:
    """The normal form of a matrix or scalar expression: word -> coefficient (coefficients not simplified)."""
    if isinstance(expr, MatrixExpr):
        return dict(reduced(form(expr), rules).terms)
    return scalar_words(expr, rules)


def substituted(expr: Any, where: Mapping[Any, Any]) -> Any:
    """The expression with letters replaced by expressions, inside norms and traces as well."""
    if not where:
        return expr
    return expr.xreplace(dict(where)) if where else expr


def directional(expr: Any, letter: Any, direction: Any) -> dict[Word, Any]:
    """The derivative of a scalar expression with respect to one letter along a direction, as cyclic words."""
    step = sp.Dummy("epsilon")
    along = scalar_words(substituted(expr, {letter: letter + step * direction}))
    return {word: sp.diff(x, step).subs(step, 0) for word, x in along.items()}


def contains(word: Word, letters: set[Any]) -> bool:
    """Whether one of the letters occurs in the word."""
    return any(letter in letters for letter, _ in word)
