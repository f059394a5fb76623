"""Mutants of a statement: its formulae with one thing wrong, put to the witnesses that the statement was put to.

A referee that would let a wrong formula pass says nothing by letting the right one pass. A mutant survives only if it
is the same formula in another dress, or if it leaves the formula's number alone on the whole domain: it says which.
Bounds have no mutants: one that nothing attains may be wrong by a little and true.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.relational import Relational
from sympy.matrices.expressions.matexpr import MatrixExpr

from ufm.catalogue import AtLeast, AtMost, Theorem
from ufm.errors import UfmError
from ufm.referee.arrays import arrays_oracle
from ufm.referee.evidence import optimum_oracle
from ufm.referee.paths import path_oracle
from ufm.symbols import K, N, lam_b, lam_H, lam_W, n
from ufm.tolerance import FAR

WAYS = 10  # mutants of one statement
_EQUAL = 1e-11  # relative: what two forms of one formula may differ by in floating point


@dataclass(frozen=True)
class Mutant:
    """One formula with one thing wrong: which claim of the statement, what was done to it, and the result."""

    claim: int
    way: str
    expression: Any
    change: Callable[[np.ndarray], np.ndarray] | None = None  # of the numbers, where an evaluator gives them


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: refuted by so many tolerances, or why it survives (empty: it should not have)."""

    mutant: Mutant
    text: str
    ratio: float
    refuted: bool
    reason: str = ""


# what is done to the numbers of a formula whose numbers come from an evaluator of its own
_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "factor 2": lambda f: 2 * f,
    "sign": lambda f: -f,
    "factor 1.001": lambda f: 1.001 * f,
    "offset 0.001": lambda f: f + 0.001,
    "squared": lambda f: f**2,
    "factor 1/2": lambda f: f / 2,
    "offset -0.1": lambda f: f - 0.1,
    "root of the size": lambda f: np.sqrt(np.abs(f)),
    "offset 1": lambda f: f + 1,
    "a time late": lambda f: np.roll(f, 1, axis=0),
}


def mutate(expression: Any) -> Iterator[tuple[str, Any]]:
    """The formula with one thing wrong, by way: sign, factor, offset, exponent, letter, threshold, inner term."""
    yield "factor 2", 2 * expression
    if isinstance(expression, MatrixExpr):
        yield "sign", -1 * expression
        yield "factor 1.001", sp.Rational(1001, 1000) * expression
        yield from _inner(expression)
        return
    yield "sign", -expression
    yield "factor 1.001", sp.Rational(1001, 1000) * expression
    yield "offset 0.001", expression + sp.Rational(1, 1000)
    yield "squared", expression**2
    yield from _inner(expression)
    yield "root of the size", sp.sqrt(sp.Abs(expression))
    yield "offset -0.1", expression - sp.Rational(1, 10)
    yield "factor 1/2", expression / 2
    yield "offset 1", expression + 1


def _inner(expression: Any) -> Iterator[tuple[str, Any]]:
    """One thing wrong inside: an exponent, a letter, a threshold, the sign of a term."""
    powers = sorted((each for each in expression.atoms(sp.Pow) if each.exp.is_Rational), key=sp.default_sort_key)
    for power in powers[:2]:
        yield f"exponent of {power.base}", expression.xreplace({power: power.base ** (power.exp * 2)})
    if powers:
        yield f"inverse of {powers[0].base}", expression.xreplace({powers[0]: 1 / powers[0]})
    for relation in sorted(expression.atoms(Relational), key=sp.default_sort_key)[:2]:
        yield f"threshold {relation}", expression.xreplace({relation: relation.func(2 * relation.lhs, relation.rhs)})
    for choice in sorted(expression.atoms(sp.Max, sp.Min), key=sp.default_sort_key)[:2]:
        inside = [each for each in choice.args if each.is_Add]
        for each in inside[:1]:
            last = each.args[-1]
            shifted = choice.func(*(arg + last if arg is each else arg for arg in choice.args))
            yield f"threshold in {choice.func.__name__}", expression.xreplace({choice: shifted})
    if expression.has(lam_W) or expression.has(lam_H):
        swapped = expression.subs({lam_W: lam_H, lam_H: lam_W}, simultaneous=True)
        yield "lam_W for lam_H", swapped
    matrices = {matrix: matrix for matrix in expression.atoms(sp.MatrixSymbol)}  # a letter in a shape is no formula's
    for letter in (K, n, N, lam_b):
        if expression.has(letter):
            yield f"{letter} + 1", expression.xreplace({letter: letter + 1, **matrices})
    sums = sorted((each for each in expression.atoms(sp.Add)), key=sp.default_sort_key)
    for each in sums[:2]:
        first = each.args[0]
        yield f"sign of {first}", expression.xreplace({each: each - 2 * first})


def mutants(theorem: Theorem) -> list[Mutant]:
    """Ten mutants of a statement, its formulae taken in turn; fewer where it has fewer different ones."""
    claims = _claims(theorem)
    formulae = [(at, _formula(claim)) for at, claim in enumerate(claims)]
    formulae = [(at, expression) for at, expression in formulae if expression is not None]
    evaluated = [at for at, _ in formulae if getattr(claims[at], "evaluate", None) is not None]
    if evaluated:
        at = evaluated[0]
        return [Mutant(at, way, _formula(claims[at]), change) for way, change in _CHANGES.items()][:WAYS]
    found: list[Mutant] = []
    seen: set[tuple[int, Any]] = set(formulae)
    queues = [(at, mutate(expression)) for at, expression in formulae]
    while queues and len(found) < WAYS:
        for at, queue in list(queues):
            for way, expression in queue:
                if (at, expression) not in seen:
                    seen.add((at, expression))
                    found.append(Mutant(at, way, expression))
                    break
            else:
                queues.remove((at, queue))
            if len(found) == WAYS:
                break
    return found


def campaign(theorem: Theorem, *, samples: int = 16, seed: int = 0) -> list[Outcome]:
    """Every mutant put to the witnesses, at the same questions as the statement; UfmError if that one fails itself."""
    places, oracle = _questions(theorem, samples, seed)
    claims = _claims(theorem)
    for claim in claims:
        if max((_ratio(claim, place, oracle) for place in places), default=math.inf) > 1:
            raise UfmError(f"{theorem.id} is refuted as it stands: {claim.text()}.")
    return [_judged(mutant, claims[mutant.claim], places, oracle) for mutant in mutants(theorem)]


def _judged(mutant: Mutant, claim: Any, places: list[Any], oracle: Callable[[Any], Any]) -> Outcome:
    wrong = _with(claim, mutant)
    worst = 0.0
    for place in places:
        worst = max(worst, _ratio(wrong, place, oracle))
        if worst >= FAR:
            return Outcome(mutant, wrong.text(), worst, True)
    return Outcome(mutant, wrong.text(), worst, False, _why(claim, wrong, places))


def _why(claim: Any, wrong: Any, places: list[Any]) -> str:
    """Why a mutant that is not refuted may survive; empty where there is no good reason."""
    right, other = _formula(claim), _formula(wrong)
    if right != other and not isinstance(right, MatrixExpr) and sp.simplify(right - other) == 0:
        return "algebraically equal"
    numbers = [(_number(claim, place), _number(wrong, place)) for place in places]
    if any(one is None or another is None for one, another in numbers):
        return ""
    if all(np.allclose(another, one, rtol=_EQUAL, atol=1e-14, equal_nan=True) for one, another in numbers):
        return "the same number at every point of the domain"
    return ""


def _number(claim: Any, place: Any) -> Any:
    """What the claim predicts at a place; None where it predicts nothing."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(claim.predict(place), dtype=float)
    except (AttributeError, TypeError, KeyError, UfmError):
        return None


def _ratio(claim: Any, place: Any, oracle: Callable[[Any], Any]) -> float:
    """The claim's violation at a place; a formula without a real number there is refuted by that."""
    with np.errstate(all="ignore"):
        try:
            found = float(claim.violation(place, oracle).ratio)
        except UfmError:
            return 0.0
        except (KeyError, TypeError, ValueError, ArithmeticError):  # a letter without a value here, a complex number
            return math.inf
    return math.inf if math.isnan(found) else found


def _questions(theorem: Theorem, samples: int, seed: int) -> tuple[list[Any], Callable[[Any], Any]]:
    """Where the statement is asked, and who answers: the sample of its domain, with the answers remembered."""
    points = list(theorem.domain.sample(samples, seed))
    if theorem.motion is not None and theorem.along:
        motions = [theorem.motion(point) for point in points[:: max(1, len(points) // 6)][:6]]
        return _answered([each for each in motions if theorem.watches(each)], cache(path_oracle()))
    oracle = cache(arrays_oracle(theorem.measures) if theorem.measures else optimum_oracle())
    return _answered([each for each in map(theorem.problem, points) if theorem.applies(each)], oracle)


def _answered(places: list[Any], oracle: Callable[[Any], Any]) -> tuple[list[Any], Callable[[Any], Any]]:
    """The places at which the witness has an answer."""
    found = []
    for place in places:
        try:
            oracle(place)
        except UfmError:
            continue
        found.append(place)
    if not found:
        raise UfmError("no witness has an answer at any point of the domain.")
    return found, oracle


def _claims(theorem: Theorem) -> tuple[Any, ...]:
    return theorem.along_in_ours if theorem.motion is not None and theorem.along else theorem.claims_in_ours


def _formula(claim: Any) -> Any:
    """The formula of a claim, of the one inside it where it is made in some place only; None where it has none."""
    inner = getattr(claim, "claim", None)
    if isinstance(claim, AtLeast | AtMost):  # a bound that nothing attains may be wrong and true
        return None
    return _formula(inner) if inner is not None else getattr(claim, "expression", None)


def _with(claim: Any, mutant: Mutant) -> Any:
    inner, change = getattr(claim, "claim", None), mutant.change
    if inner is not None:
        return replace(claim, claim=_with(inner, mutant))
    if change is not None:
        return replace(claim, evaluate=lambda place: change(claim.evaluate(place)))
    return replace(claim, expression=mutant.expression)
