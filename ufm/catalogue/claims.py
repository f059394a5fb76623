"""What a statement claims of an observable; each claim says by how much an answer violates it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import sympy as sp

from ufm.problem import Problem
from ufm.record import Record
from ufm.symbols import values_of
from ufm.tolerance import tolerance

Oracle = Callable[[Problem], Record]  # a witness: the optimum, the flow, ...


@dataclass(frozen=True)
class Violation:
    """By how many tolerances an answer misses a claim (at most 1 is agreement), with both numbers."""

    ratio: float
    found: float
    claimed: float


class Claim(Protocol):
    """A relation that an observable satisfies on the whole domain of a statement."""

    @property
    def observable(self) -> str:
        """Name of the observable in a Record."""
        ...

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """How far the oracle's answer is from what is claimed."""
        ...

    def text(self) -> str:
        """The claim in one line."""
        ...


@dataclass(frozen=True)
class Formula:
    """A formula in the symbols of `ufm.symbols`, evaluated through lambdify only."""

    expression: sp.Expr

    @cached_property
    def _function(self) -> tuple[list[sp.Symbol], Callable[..., Any]]:
        arguments = sorted(self.expression.free_symbols, key=str)
        return arguments, sp.lambdify(arguments, self.expression, modules="numpy")  # pyright: ignore

    def __call__(self, problem: Problem) -> float:
        """The number for this problem."""
        arguments, function = self._function
        known = values_of(problem)
        with np.errstate(all="ignore"):  # lam_b = 0 and inf are ordinary ends: 1/0 and 1/inf are meant
            return float(function(*(np.float64(known[a.name]) for a in arguments)))


def _worst(claimed: float, found: np.ndarray, excess: np.ndarray, witness: str, observable: str) -> Violation:
    allowed = tolerance(witness, observable)
    ratio = excess / (allowed.abs + allowed.rel * abs(claimed))
    if not np.all(np.isfinite(ratio)):
        return Violation(float("inf"), float("nan"), claimed)
    worst = int(np.argmax(ratio))
    return Violation(float(ratio[worst]), float(found[worst]), claimed)


@dataclass(frozen=True)
class Equals:
    """Every entry of the observable equals the formula."""

    observable: str
    expression: sp.Expr
    _formula: Formula = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "expression", sp.sympify(self.expression))
        object.__setattr__(self, "_formula", Formula(self.expression))

    def predict(self, problem: Problem) -> float:
        """The claimed number."""
        return self._formula(problem)

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """|found - claimed| in tolerances."""
        record, claimed = oracle(problem), self.predict(problem)
        found = np.ravel(record[self.observable].values)
        return _worst(claimed, found, np.abs(found - claimed), record.witness, self.observable)

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} = {self.expression}"


@dataclass(frozen=True)
class AtMost(Equals):
    """No entry of the observable exceeds the formula."""

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """(found - claimed)_+ in tolerances."""
        record, claimed = oracle(problem), self.predict(problem)
        found = np.ravel(record[self.observable].values)
        return _worst(claimed, found, np.maximum(0, found - claimed), record.witness, self.observable)

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} <= {self.expression}"


@dataclass(frozen=True)
class AtLeast(Equals):
    """No entry of the observable is below the formula."""

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """(claimed - found)_+ in tolerances."""
        record, claimed = oracle(problem), self.predict(problem)
        found = np.ravel(record[self.observable].values)
        return _worst(claimed, found, np.maximum(0, claimed - found), record.witness, self.observable)

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} >= {self.expression}"


@dataclass(frozen=True)
class Increases:
    """The observable does not fall when a field of the problem is multiplied by a factor above 1."""

    observable: str
    in_field: str
    factors: tuple[float, ...] = (1.001, 1.5, 100.0)

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """The largest fall, in tolerances."""
        here = oracle(problem)
        before = np.ravel(here[self.observable].values)
        worst = Violation(0.0, float(before[0]), float(before[0]))
        for factor in self.factors:
            moved = problem.replace(**{self.in_field: getattr(problem, self.in_field) * factor})
            after = np.ravel(oracle(moved)[self.observable].values)
            fall = _worst(float(before[0]), after, np.maximum(0, before - after), here.witness, self.observable)
            worst = max(worst, fall, key=lambda v: v.ratio)
        return worst

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} does not decrease in {self.in_field}"


@dataclass(frozen=True)
class At:
    """A claim that is made only where a field of the problem has this value, as at an end of its range."""

    field: str
    value: float
    claim: Equals

    @property
    def observable(self) -> str:
        """Name of the observable in a Record."""
        return self.claim.observable

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """The claim's own violation, or none where it is not made."""
        if getattr(problem, self.field) != self.value:
            return Violation(0.0, 0.0, 0.0)
        return self.claim.violation(problem, oracle)

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.claim.text()} at {self.field} = {self.value:g}"
