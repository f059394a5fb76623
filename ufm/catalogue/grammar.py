"""Claims as text, "cosine = -1/(K-1)": a small grammar of its own, so that no text is ever evaluated as a program.

    claim     observable ("=" | "<=" | ">=") sum
    sum       product (("+" | "-") product)*
    product   signed (("*" | "/") signed)*
    signed    ("+" | "-") signed | power
    power     atom (("^" | "**") signed)?
    atom      number | letter | function "(" sum ("," sum)* ")" | "(" sum ")"

Everything constant is computed in floating point as it is read, before SymPy sees it, and refused where it is not a
moderate real number: no claim can ask for a number that fills the memory.
"""

import math
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import sympy as sp

from ufm import symbols
from ufm.catalogue.claims import AtLeast, AtMost, Equals
from ufm.errors import UfmError

_LONGEST, _DEEPEST = 300, 40  # characters, and levels of brackets, signs and exponents
_LARGEST, _LARGEST_EXPONENT, _BITS = 1e100, 100, 4096

_T_REL = symbols.c * symbols.K * sp.sqrt(symbols.n)
LETTERS: Mapping[str, Any] = MappingProxyType(
    {
        "K": symbols.K,
        "n": symbols.n,
        "m": symbols.m,
        "N": symbols.N,
        "lam_W": symbols.lam_W,
        "lam_H": symbols.lam_H,
        "lam_b": symbols.lam_b,
        "c": symbols.c,
        "tau": symbols.N * symbols.c,
        "rho": 1 / (1 + 1 / symbols.lam_b),  # in this form it has its limits at lam_b = 0 and inf
        "t_rel": _T_REL,
        "lam_b_star": _T_REL / (1 - _T_REL),
    }
)

_RELATIONS: Mapping[str, Any] = MappingProxyType({"=": Equals, "<=": AtMost, ">=": AtLeast})


def _extreme(name: str) -> Callable[..., Any]:
    # unevaluated: SymPy would compare the arguments, at any price
    return lambda *given: getattr(sp, name)(*given, evaluate=False)


@dataclass(frozen=True)
class _Function:
    """A function of the grammar: in SymPy, in floating point, and the least and most arguments."""

    symbolic: Callable[..., Any]
    number: Callable[..., float]
    least: int = 1
    most: int = 1


_FUNCTIONS: Mapping[str, _Function] = MappingProxyType(
    {
        "sqrt": _Function(sp.sqrt, math.sqrt),
        "abs": _Function(sp.Abs, math.fabs),
        "log": _Function(sp.log, math.log),
        "exp": _Function(sp.exp, math.exp),
        "min": _Function(_extreme("Min"), min, 2, 10),
        "max": _Function(_extreme("Max"), max, 2, 10),
    }
)

_TOKEN = re.compile(
    r"(?P<space>[ \t]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|<=|>=|[-+*/^(),=])"
)


class ClaimSyntaxError(UfmError):
    """A claim that the grammar does not have: the text, the column (from 1), and what was expected there."""

    def __init__(self, text: str, column: int, expected: str) -> None:
        self.text, self.column, self.expected = text, column, expected
        start = max(0, column - 31)
        shown = text[start : column + 30]
        super().__init__(f"claim, column {column}: {expected} Near: {shown!r}.")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int


@dataclass(frozen=True)
class _Value:
    """A formula, and its number where it has no letters."""

    symbolic: Any
    number: float | None


def parse_claim(text: str, observables: tuple[str, ...] = ()) -> Equals:
    """The claim that a text states; ClaimSyntaxError points at the column where it states none.

    observables: the names that may stand on the left, any name if empty.
    """
    if not text.strip():
        raise ClaimSyntaxError(text, 1, 'a claim was expected, such as "cosine = -1/(K-1)".')
    if len(text) > _LONGEST:
        raise ClaimSyntaxError(text, _LONGEST + 1, f"a claim has at most {_LONGEST} characters.")
    tokens = _tokens(text)
    name = tokens.popleft()
    if name.kind != "name" or "__" in name.text:
        raise ClaimSyntaxError(text, name.column, "the name of an observable was expected, such as cosine.")
    if observables and name.text not in observables:
        near = get_close_matches(name.text, observables, 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        known = f"{hint}Observables here: {', '.join(sorted(observables))}."
        raise ClaimSyntaxError(text, name.column, f"no observable {name.text!r}. {known}")
    relation = tokens.popleft()
    if relation.text not in _RELATIONS:
        raise ClaimSyntaxError(text, relation.column, "one of =, <=, >= was expected after the observable.")
    value = _Reader(text, tokens).all()
    return _RELATIONS[relation.text](name.text, value.symbolic)


_HINTS = {
    **dict.fromkeys("[]", " A claim speaks of every entry of its observable."),
    "<": " Write <=.",
    ">": " Write >=.",
    ";": " Give each claim its own --claim.",
}


def _tokens(text: str) -> deque[_Token]:
    found: deque[_Token] = deque()
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            character = text[at]
            known = f"{character!r} ({unicodedata.name(character, 'no name')})"
            hint = _HINTS.get(character, "")
            raise ClaimSyntaxError(text, at + 1, f"{known} is not part of a claim.{hint}")
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match.group(), at + 1))
        at = match.end()
    found.extend([_Token("end", "", len(text) + 1)] * 2)
    return found


@dataclass(frozen=True)
class _Reader:
    """Recursive descent over the tokens, one method a rule of the grammar."""

    text: str
    tokens: deque[_Token]

    def all(self) -> _Value:
        value = self.sum(0)
        if self.tokens[0].kind != "end":
            raise self.error(self.tokens[0], "an operator (+ - * / ^) or the end of the claim was expected.")
        return value

    def error(self, token: _Token, expected: str) -> ClaimSyntaxError:
        return ClaimSyntaxError(self.text, token.column, expected)

    def sum(self, depth: int) -> _Value:
        value = self.product(depth)
        while self.tokens[0].text in ("+", "-"):
            sign = self.tokens.popleft()
            right = self.product(depth)
            value = self.combined(sign, value, right)
        return value

    def product(self, depth: int) -> _Value:
        value = self.signed(depth)
        while self.tokens[0].text in ("*", "/"):
            sign = self.tokens.popleft()
            right = self.signed(depth)
            value = self.combined(sign, value, right)
        return value

    def signed(self, depth: int) -> _Value:
        sign = self.tokens[0]
        if depth > _DEEPEST:
            raise self.error(sign, f"a claim is nested at most {_DEEPEST} levels deep.")
        if sign.text not in ("+", "-"):
            return self.power(depth)
        self.tokens.popleft()
        value = self.signed(depth + 1)
        if sign.text == "+":
            return value
        return _Value(-value.symbolic, None if value.number is None else -value.number)

    def power(self, depth: int) -> _Value:
        base = self.atom(depth)
        if self.tokens[0].text not in ("^", "**"):
            return base
        sign = self.tokens.popleft()
        return self.combined(sign, base, self.signed(depth + 1))

    def atom(self, depth: int) -> _Value:
        token = self.tokens.popleft()
        if token.kind == "number":
            return self.literal(token)
        if token.kind == "name":
            return self.call(token, depth) if self.tokens[0].text == "(" else self.letter(token)
        if token.text == "(":
            value = self.sum(depth + 1)
            self.close()
            return value
        doubled = " Equality is one =." if token.text == "=" else ""
        raise self.error(token, f"a number, a letter, a function or '(' was expected.{doubled}")

    def close(self) -> None:
        token = self.tokens.popleft()
        if token.text != ")":
            raise self.error(token, "')' or an operator was expected.")

    def literal(self, token: _Token) -> _Value:
        number = float(token.text)
        if not (number == 0 or 1 / _LARGEST <= number <= _LARGEST):
            raise self.error(token, f"numbers lie between 1e-100 and 1e100 here, and {token.text} does not.")
        return _Value(_short(sp.Rational(token.text)), number)

    def letter(self, token: _Token) -> _Value:
        if token.text not in LETTERS:
            known = [*LETTERS, *_FUNCTIONS]
            near = get_close_matches(token.text, known, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise self.error(token, f"no letter {token.text!r}. {hint}Letters: {', '.join(LETTERS)}.")
        return _Value(LETTERS[token.text], None)

    def call(self, token: _Token, depth: int) -> _Value:
        function = _FUNCTIONS.get(token.text)
        if function is None:
            wrong = "is a letter: write * to multiply" if token.text in LETTERS else "is not a function"
            raise self.error(token, f"{token.text!r} {wrong}. Functions: {', '.join(_FUNCTIONS)}.")
        self.tokens.popleft()
        arguments = [self.sum(depth + 1)]
        while self.tokens[0].text == ",":
            self.tokens.popleft()
            arguments.append(self.sum(depth + 1))
        self.close()
        if not function.least <= len(arguments) <= function.most:
            wanted = "one argument" if function.most == 1 else f"{function.least} to {function.most} arguments"
            raise self.error(token, f"{token.text} takes {wanted}, not {len(arguments)}.")
        numbers = [a.number for a in arguments if a.number is not None]
        constant = None
        if len(numbers) == len(arguments):
            constant = self.computed(token, lambda: function.number(*numbers))
        return _Value(function.symbolic(*(a.symbolic for a in arguments)), constant)

    def combined(self, sign: _Token, left: _Value, right: _Value) -> _Value:
        """Left and right under one operator; what is constant is computed first, and must be moderate."""
        if sign.text in ("^", "**"):
            self.check_exponent(sign, left, right)
        number = None
        if left.number is not None and right.number is not None:
            a, b = left.number, right.number
            number = self.computed(sign, lambda: _OPERATORS[sign.text](a, b))
            if number == 0 and a != 0 and sign.text in ("^", "**"):
                raise self.error(sign, "this power is too small to tell from zero.")
        elif sign.text == "/" and right.number == 0:
            raise self.error(sign, "this divides by zero.")
        return _Value(_short(_OPERATORS[sign.text](left.symbolic, right.symbolic)), number)

    def check_exponent(self, sign: _Token, base: _Value, exponent: _Value) -> None:
        if exponent.number is None:
            return
        if abs(exponent.number) > _LARGEST_EXPONENT:
            raise self.error(sign, f"exponents are at most {_LARGEST_EXPONENT} here.")
        exact = base.symbolic
        if exact.is_Rational and (exact.p.bit_length() + exact.q.bit_length()) * abs(exponent.number) > _BITS:
            raise self.error(sign, "this power has too many digits.")

    def computed(self, token: _Token, compute: Callable[[], Any]) -> float:
        try:
            number = compute()
        except (ArithmeticError, ValueError):
            number = math.nan
        if isinstance(number, complex) or not abs(number) <= _LARGEST:
            raise self.error(token, "this is no real number up to 1e100.")
        return float(number)


def _short(symbolic: Any) -> Any:
    """The formula, with a fraction too long for double precision rounded: NumPy has no such integers."""
    long = symbolic.is_Rational and max(symbolic.p.bit_length(), symbolic.q.bit_length()) > 53
    return sp.Float(symbolic, 17) if long else symbolic


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        "^": lambda a, b: a**b,
        "**": lambda a, b: a**b,
    }
)
