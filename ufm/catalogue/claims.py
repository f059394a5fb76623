"""What a statement claims of an observable; each claim says by how much an answer violates it."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import sympy as sp

from ufm.catalogue.formula import Formula, Letters
from ufm.errors import UfmError, UncertifiedError
from ufm.problem import Problem, objective
from ufm.record import Record
from ufm.tolerance import FAR, tolerance

_RESOLVED = 3e-5  # distances in the logits that a relative gap of 1e-9, second order in them, resolves

Oracle = Callable[[Problem], Record]  # a witness: the optimum, the flow, ...


@dataclass(frozen=True)
class Violation:
    """By how many tolerances an answer misses a claim (at most 1 is agreement), with both numbers.

    entry: the flat index of the worst entry, for observables that are arrays; by: who has what was found, where it is
    not the witness that was asked; arithmetic: whether both numbers come from formulae at points that the statement
    writes out, so that there is nothing to ask a witness.
    """

    ratio: float
    found: float
    claimed: float
    entry: int = 0
    by: str = ""
    arithmetic: bool = False


@dataclass(frozen=True)
class Units:
    """What a claim as printed means in our own weights: a rewriting of its letters, and its objective over ours."""

    letters: Mapping[Any, Any] = field(default_factory=dict)
    objective: Any = sp.S.One


class Claim(Protocol):
    """A relation that an observable satisfies on the whole domain of a statement."""

    @property
    def observable(self) -> str:
        """Name of the observable in a Record."""
        ...

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """How far the oracle's answer is from what is claimed."""
        ...

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The observable of a record, flat, in the units of the claim."""
        ...

    def rewritten(self, units: Units) -> "Claim":
        """The same claim in our own weights."""
        ...

    def text(self) -> str:
        """The claim in one line."""
        ...


def _worst(claimed: Any, found: np.ndarray, excess: np.ndarray, witness: str, observable: str) -> Violation:
    allowed = tolerance(witness, observable)
    claims = np.broadcast_to(claimed, found.shape)
    ratio = excess / (allowed.abs + allowed.rel * np.abs(claims))
    if not np.all(np.isfinite(ratio)):
        worst = int(np.argmax(~np.isfinite(ratio)))
        return Violation(float("inf"), float("nan"), float(claims[worst]), worst)
    worst = int(np.argmax(ratio))
    return Violation(float(ratio[worst]), float(found[worst]), float(claims[worst]), worst)


@dataclass(frozen=True)
class Equals:
    """Every entry of the observable equals the formula, or each entry its own where the formula has indices.

    letters: the formula's own letters beside those of `ufm.symbols`, with what evaluates them; unit: what the
    observable is multiplied by before the comparison, as a paper's objective may be a multiple of ours.
    """

    observable: str
    expression: Any
    letters: Letters = field(default_factory=dict, repr=False, compare=False)
    unit: Any = sp.S.One
    _formula: Formula = field(init=False, repr=False, compare=False)
    _unit: Formula = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "expression", sp.sympify(self.expression))
        object.__setattr__(self, "_formula", Formula(self.expression, self.letters))
        object.__setattr__(self, "_unit", Formula(self.unit))

    def predict(self, problem: Problem) -> Any:
        """The claimed number, or array of numbers, in our units."""
        return self._formula(problem) / self._unit(problem)

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The observable of a record, flat, in the units of the claim."""
        return np.ravel(record[self.observable].values) * self._unit(problem)

    def rewritten(self, units: Units) -> "Equals":
        """The same claim in our own weights."""
        unit = units.objective if self.observable == "value" else sp.S.One
        return replace(self, expression=self.expression.xreplace(units.letters), unit=unit)

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """How far the answer is on the wrong side of what is claimed, in tolerances."""
        return self.violation_at(problem, oracle, None)

    def violation_at(self, problem: Problem, oracle: Oracle, entries: np.ndarray | None) -> Violation:
        """The same for some entries of the observable (a mask of its shape); None is all of them."""
        record = oracle(problem)
        found, claimed = self.seen(record, problem), np.asarray(self._formula(problem))
        if claimed.ndim and claimed.shape != record[self.observable].shape:
            shape = record[self.observable].shape
            raise UfmError(f"{self.text()}: the formula has the shape {claimed.shape}, the observable {shape}.")
        claimed = np.broadcast_to(np.ravel(claimed), found.shape)
        excess = self.excess(found, claimed)
        if entries is not None:
            excess = np.where(np.ravel(entries), excess, 0.0)
        return _worst(claimed, found, excess, record.witness, self.observable)

    def excess(self, found: np.ndarray, claimed: np.ndarray) -> np.ndarray:
        """|found - claimed|."""
        return np.abs(found - claimed)

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} = {self.expression}"


@dataclass(frozen=True)
class AtMost(Equals):
    """No entry of the observable exceeds the formula."""

    def excess(self, found: np.ndarray, claimed: np.ndarray) -> np.ndarray:
        """(found - claimed)_+."""
        return np.maximum(0, found - claimed)

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} <= {self.expression}"


@dataclass(frozen=True)
class AtLeast(Equals):
    """No entry of the observable is below the formula."""

    def excess(self, found: np.ndarray, claimed: np.ndarray) -> np.ndarray:
        """(claimed - found)_+."""
        return np.maximum(0, claimed - found)

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

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The observable of a record, flat."""
        return np.ravel(record[self.observable].values)

    def rewritten(self, units: Units) -> "Increases":
        """The same claim: the weights of a paper are positive multiples of ours."""
        return self

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} does not decrease in {self.in_field}"


@dataclass(frozen=True)
class Approaches:
    """As fields of the problem are multiplied by ever smaller factors, the observable tends to the formula.

    factors: falling, equally spaced in their logarithms. A distance that falls as the inverse of log(1/factor), or
    faster, has an inverse whose steps do not shrink; one that stays above a positive number has steps that vanish. So
    each step must be at least `share` of the one before it.
    """

    observable: str
    expression: Any
    in_fields: tuple[str, ...]
    factors: tuple[float, ...]
    share: float = 0.5
    letters: Letters = field(default_factory=dict, repr=False, compare=False)

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """The largest share of a step that the next one lacks: at most 1 where no step falls short."""
        goal = np.ravel(np.asarray(Formula(sp.sympify(self.expression), self.letters)(problem)))
        distances = []
        for factor in self.factors:
            changed = {name: _multiplied(getattr(problem, name), factor) for name in self.in_fields}
            distances.append(float(np.max(np.abs(self.seen(oracle(problem.replace(**changed)), problem) - goal))))
        inverses = [1 / max(distance, _RESOLVED) for distance in distances]
        steps = [after - before for before, after in itertools.pairwise(inverses)]
        worst = 0.0
        for i, (before, after) in enumerate(itertools.pairwise(steps)):
            if distances[i + 2] > _RESOLVED:  # below it nothing is left to fall
                worst = max(worst, self.share * before / after if min(before, after) > 0 else float("inf"))
        return Violation(worst, distances[-1], 0.0)

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The observable of a record, flat."""
        return np.ravel(record[self.observable].values)

    def rewritten(self, units: Units) -> "Approaches":
        """The same claim in our own weights: a paper's are positive multiples of ours."""
        return replace(self, expression=sp.sympify(self.expression).xreplace(units.letters))

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.observable} tends to {self.expression} as {', '.join(self.in_fields)} vanish"


def _multiplied(value: Any, factor: float) -> Any:
    return tuple(factor * each for each in value) if isinstance(value, tuple) else factor * value


@dataclass(frozen=True)
class Among:
    """A claim about some entries of an observable: those where `chosen`, a mask of its shape, is True."""

    words: str
    chosen: Callable[[Problem], np.ndarray] = field(repr=False, compare=False)
    claim: Equals

    @property
    def observable(self) -> str:
        """Name of the observable in a Record."""
        return self.claim.observable

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """The claim's own violation at the chosen entries."""
        return self.claim.violation_at(problem, oracle, self.chosen(problem))

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The observable of a record, flat, in the units of the claim."""
        return self.claim.seen(record, problem)

    def rewritten(self, units: Units) -> "Among":
        """The same claim in our own weights."""
        return replace(self, claim=self.claim.rewritten(units))

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.claim.text()} {self.words}"


@dataclass(frozen=True)
class Differs:
    """Some entry of the observable is another number than the formula's, by a thousand tolerances at least.

    up_to_scale: also than those of every multiple of it.
    """

    claim: Equals
    up_to_scale: bool = False

    @property
    def observable(self) -> str:
        """Name of the observable in a Record."""
        return self.claim.observable

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """A thousand over the claim's own violation: at most 1 where the two are apart."""
        equal = self._nearest_multiple(problem, oracle) if self.up_to_scale else self.claim.violation(problem, oracle)
        return replace(equal, ratio=FAR / equal.ratio if equal.ratio > 0 else float("inf"))

    def _nearest_multiple(self, problem: Problem, oracle: Oracle) -> Violation:
        """The violation of equality with the multiple that is nearest in the sum of squares."""
        record = oracle(problem)
        found = self.claim.seen(record, problem)
        shape = np.broadcast_to(np.ravel(self.claim.predict(problem)), found.shape)
        goal = shape * float(found @ shape / max(shape @ shape, np.finfo(float).tiny))
        return _worst(goal, found, np.abs(found - goal), record.witness, self.observable)

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The observable of a record, flat, in the units of the claim."""
        return self.claim.seen(record, problem)

    def rewritten(self, units: Units) -> "Differs":
        """The same claim in our own weights."""
        return replace(self, claim=self.claim.rewritten(units))

    def text(self) -> str:
        """The claim in one line."""
        return self.claim.text().replace(" = ", " is no multiple of " if self.up_to_scale else " is not ", 1)


@dataclass(frozen=True)
class Named:
    """A point that a statement names: layers (last first) and class means (d x K), as functions of the problem."""

    name: str
    build: Callable[[Problem], tuple[tuple[np.ndarray, ...], np.ndarray]] = field(repr=False, compare=False)

    def value(self, problem: Problem) -> float:
        """The objective there, without a bias."""
        return float(objective(problem, *self.build(problem)))


@dataclass(frozen=True)
class Unbeaten:
    """No point has a smaller objective than a named one: neither the global optimum, where it is known, nor a rival.

    ask: whether the optimum is asked too; not where only a slow search could tell more than the rivals do.
    """

    point: Named
    rivals: tuple[Named, ...] = ()
    ask: bool = True

    @property
    def observable(self) -> str:
        """What is compared: the objective."""
        return "value"

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """How far the named point is above the least that is known, in tolerances."""
        known = {rival.name: rival.value(problem) for rival in self.rivals}
        if self.ask:
            known |= _asked(problem, oracle)
        by = min(known, key=lambda name: known[name])
        claimed, allowed = self.point.value(problem), tolerance("optimum", "value")
        ratio = max(0.0, claimed - known[by]) / allowed.allowed(claimed)
        return Violation(ratio, known[by], claimed, by=by)

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The objective."""
        return np.ravel(record["value"].values)

    def rewritten(self, units: Units) -> "Unbeaten":
        """The same claim: points and objective are ours."""
        return self

    def text(self) -> str:
        """The claim in one line."""
        return f"no point is below {self.point.name}"


def _asked(problem: Problem, oracle: Oracle) -> dict[str, float]:
    """The least objective that the oracle knows of: a point that is not certified has its value none the less."""
    try:
        return {"": float(oracle(problem)["value"].values)}
    except UncertifiedError as error:
        return {"the best point of a search": error.value}


@dataclass(frozen=True)
class Beaten:
    """A rival has a smaller objective than a named point, by a thousand tolerances at least."""

    point: Named
    rival: Named

    @property
    def observable(self) -> str:
        """What is compared: the objective."""
        return "value"

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """A thousand tolerances over the rival's lead: at most 1 where it wins."""
        point, rival = self.point.value(problem), self.rival.value(problem)
        lead = (point - rival) / tolerance("optimum", "value").allowed(point)
        return Violation(FAR / lead if lead > 0 else float("inf"), rival, point, by=self.rival.name, arithmetic=True)

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The objective."""
        return np.ravel(record["value"].values)

    def rewritten(self, units: Units) -> "Beaten":
        """The same claim: points and objective are ours."""
        return self

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.point.name} is above {self.rival.name}"


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

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The observable of a record, flat, in the units of the claim."""
        return self.claim.seen(record, problem)

    def rewritten(self, units: Units) -> "At":
        """The same claim in our own weights; its value, 0 or inf or a size, is nobody's unit."""
        return replace(self, claim=self.claim.rewritten(units))

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.claim.text()} at {self.field} = {self.value:g}"
