"""Statements about a flow on its way: what is watched, and what is claimed of an observable as a function of time.

A claim speaks of a reading of its observable, a formula in x, the observable, and t, the time: exp(2 l t) x is what
decay leaves out, 1/x what grows linearly where x dies out like 1/t.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import sympy as sp

from ufm.catalogue.claims import Units, Violation
from ufm.errors import UfmError
from ufm.problem import Problem
from ufm.record import Record
from ufm.symbols import VALUES, time
from ufm.tolerance import tolerance

x = sp.Symbol("x", real=True)  # the observable, in a reading of it

Law = Literal["gradient", "central"]
Relation = Literal["=", "<=", ">="]


@dataclass(frozen=True, eq=False)
class Motion:
    """A flow to be watched: a problem, a start, and the times (T, ascending) at which it is looked at.

    W: layers, last first; H: d x N, all samples; b (m) or None. law: "gradient", dW = -dL/dW and so on, or
    "central", dH = -dL/dH at the best classifier of H (tirer2023, time in units in which L is ours).
    """

    problem: Problem
    W: tuple[np.ndarray, ...]
    H: np.ndarray
    times: np.ndarray
    b: np.ndarray | None = None
    law: Law = "gradient"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form of the start and of the times."""
        start = {"W": [layer.tolist() for layer in self.W], "H": self.H.tolist()}
        if self.b is not None:
            start["b"] = self.b.tolist()
        return {"law": self.law, "times": self.times.tolist(), "start": start}


PathOracle = Callable[[Motion], Record]  # a witness that moves: every observable along the dimension `t`
Letters = Mapping[Any, Callable[[Motion], Any]]  # each gives an array whose first axis is time (length T or 1)


@dataclass(frozen=True)
class StartAssumption:
    """A condition on the start, in words, and the predicate that decides it for a motion."""

    text: str
    holds: Callable[[Motion], bool]


class PathClaim(Protocol):
    """A relation that an observable satisfies along every flow of a statement's domain."""

    @property
    def observable(self) -> str:
        """Name of the observable in a Record."""
        ...

    def compared(self, motion: Motion, path: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What was found, what is claimed, and by how much the claim is missed: three flat arrays."""
        ...

    def violation(self, motion: Motion, oracle: PathOracle) -> Violation:
        """How far the flow is from what is claimed, at worst."""
        ...

    def rewritten(self, units: Units) -> "PathClaim":
        """The same claim in our own weights and time."""
        ...

    def text(self) -> str:
        """The claim in one line."""
        ...


def along_path(expression: Any, letters: Letters, motion: Motion) -> np.ndarray:
    """A formula in time, the problem's letters and the statement's own: T numbers, or an array of T rows."""
    used = sorted(sp.sympify(expression).free_symbols, key=str)
    values = _aligned([_value(letter, letters, motion) for letter in used])
    with np.errstate(all="ignore"):
        found = np.asarray(sp.lambdify(used, expression, modules="numpy")(*values), dtype=float)
    return found if found.ndim else np.full(motion.times.size, float(found))


def _value(letter: Any, letters: Letters, motion: Motion) -> np.ndarray:
    if letter == time:
        return motion.times
    if letter in letters:
        return np.asarray(letters[letter](motion), dtype=float)
    if letter.name not in VALUES:
        raise UfmError(f"no value is known for the letter {letter}; give one in `letters`.")
    return np.asarray(VALUES[letter.name](motion.problem), dtype=float)[None]


def _aligned(values: list[np.ndarray]) -> list[np.ndarray]:
    """Time is the first axis of all; those with fewer indices get empty ones at the end."""
    most = max((value.ndim for value in values), default=1)
    return [value.reshape(value.shape + (1,) * (most - value.ndim)) for value in values]


def read(reading: Any, motion: Motion, path: Record, observable: str) -> np.ndarray:
    """The reading of an observable along a path (T, ...)."""
    values = np.asarray(path[observable].values, dtype=float)
    if reading == x:
        return values
    weights = {letter: lambda m, letter=letter: _value(letter, {}, m) for letter in reading.free_symbols - {x, time}}
    return np.broadcast_to(along_path(reading, {**weights, x: lambda _: values}, motion), values.shape)


def _worst(found: np.ndarray, claimed: np.ndarray, excess: np.ndarray, witness: str, observable: str) -> Violation:
    allowed = tolerance(witness, observable)
    ratio = excess / (allowed.abs + allowed.rel * np.abs(claimed))
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    worst = int(np.argmax(ratio))
    return Violation(float(ratio[worst]), float(found[worst]), float(claimed[worst]), worst)


def _named(observable: str, reading: Any) -> str:
    return observable if reading == x else str(reading.subs(x, sp.Symbol(observable)))


@dataclass(frozen=True)
class Along:
    """At every time the reading of the observable is (at most, at least) what the formula gives.

    letters: the formula's own letters; evaluate: where the formula is matrix-valued or implicit, a stable evaluator of
    it (T, ...): the formula itself is what is printed and proved.
    """

    observable: str
    expression: Any
    letters: Letters = field(default_factory=dict, repr=False, compare=False)
    reading: Any = x
    relation: Relation = "="
    evaluate: Callable[[Motion], np.ndarray] | None = field(default=None, repr=False, compare=False)

    def predict(self, motion: Motion) -> np.ndarray:
        """The claimed numbers (T, ...)."""
        if self.evaluate is not None:
            return self.evaluate(motion)
        return along_path(self.expression, self.letters, motion)

    @property
    def name(self) -> str:
        """What is claimed of, as a derivation calls it."""
        return _named(self.observable, self.reading)

    @property
    def is_course(self) -> bool:
        """Whether the formula is the observable itself, at every time."""
        return type(self) is Along and self.relation == "=" and self.reading == x

    def compared(self, motion: Motion, path: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Found, claimed, and the distance on the wrong side."""
        found = read(self.reading, motion, path, self.observable)
        claimed = self.predict(motion)
        claimed = np.broadcast_to(claimed.reshape(claimed.shape + (1,) * (found.ndim - claimed.ndim)), found.shape)
        excess = {"=": np.abs(found - claimed), "<=": found - claimed, ">=": claimed - found}[self.relation]
        return found.ravel(), claimed.ravel(), np.maximum(0, excess).ravel()

    def violation(self, motion: Motion, oracle: PathOracle) -> Violation:
        """The worst distance, in tolerances."""
        return _worst(*self.compared(motion, oracle(motion)), "path", self.observable)

    def rewritten(self, units: Units) -> "Along":
        """The same claim in our own weights and time."""
        return _in_units(self, units)

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.name} {self.relation} {self.expression} along the flow"


@dataclass(frozen=True)
class Tends(Along):
    """At the last of the times the reading is what the formula gives: a limit, looked at late."""

    def compared(self, motion: Motion, path: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Along`, at the last time alone."""
        parts = super().compared(motion, path)
        size = parts[0].size // motion.times.size
        return parts[0][-size:], parts[1][-size:], parts[2][-size:]

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.name} tends to {self.expression}"


@dataclass(frozen=True)
class LateSlope(Along):
    """Late, the reading grows by the formula per unit of time: a rate, read between the last two times."""

    def compared(self, motion: Motion, path: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The slope, the formula, and their distance."""
        late = read(self.reading, motion, path, self.observable)[-2:]
        found = np.ravel((late[1] - late[0]) / np.diff(motion.times[-2:]))
        claimed = np.broadcast_to(np.ravel(self.predict(motion)[-1]), found.shape)
        return found, claimed, np.abs(found - claimed)

    def violation(self, motion: Motion, oracle: PathOracle) -> Violation:
        """The distance over the smaller of the two slopes, in tolerances: the larger may be many times it."""
        found, claimed, excess = self.compared(motion, oracle(motion))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = excess / np.minimum(np.abs(found), np.abs(claimed))
        ratio = np.where(excess == 0, 0.0, relative) / tolerance("late slope", self.observable).rel
        worst = int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)))
        return Violation(float(ratio[worst]), float(found[worst]), float(claimed[worst]), worst)

    @property
    def name(self) -> str:
        """What is claimed of: a slope."""
        return f"d({_named(self.observable, self.reading)})/dt"

    def text(self) -> str:
        """The claim in one line."""
        return f"{self.name} tends to {self.expression}"


@dataclass(frozen=True)
class Conserved:
    """Every entry of the reading keeps the value it has at the first time."""

    observable: str
    reading: Any = x

    def compared(self, motion: Motion, path: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The reading, its first value, and their distance."""
        found = read(self.reading, motion, path, self.observable)
        claimed = np.broadcast_to(found[:1], found.shape)
        return found.ravel(), claimed.ravel(), np.abs(found - claimed).ravel()

    def violation(self, motion: Motion, oracle: PathOracle) -> Violation:
        """The worst drift, in tolerances."""
        return _worst(*self.compared(motion, oracle(motion)), "path", self.observable)

    def rewritten(self, units: Units) -> "Conserved":
        """The same claim in our own weights and time."""
        return _in_units(self, units)

    def text(self) -> str:
        """The claim in one line."""
        return f"{_named(self.observable, self.reading)} is conserved"


@dataclass(frozen=True)
class Falls:
    """From one time to the next no entry of the reading rises.

    strict: nor does it stay, which is asked of the run as a whole: from first to last it must move by more than noise.
    """

    observable: str
    reading: Any = x
    strict: bool = False

    def compared(self, motion: Motion, path: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each value after the first, the one before it, and how far it lies above."""
        values = read(self.reading, motion, path, self.observable)
        later, earlier = values[1:], values[:-1]
        excess = np.maximum(0, self.sign * (later - earlier))
        if self.strict:
            allowed = tolerance("path", self.observable)
            noise = 1e-3 * (allowed.abs + allowed.rel * np.abs(values[0]))
            excess = np.where(self.sign * (values[0] - values[-1]) > noise, excess, np.inf)
        return later.ravel(), earlier.ravel(), excess.ravel()

    @property
    def sign(self) -> float:
        """+1 where rising breaks the claim."""
        return 1.0

    def violation(self, motion: Motion, oracle: PathOracle) -> Violation:
        """The largest step the wrong way, in tolerances; inf where a strict claim meets a run that stays."""
        return _worst(*self.compared(motion, oracle(motion)), "path", self.observable)

    def rewritten(self, units: Units) -> "Falls":
        """The same claim in our own weights and time."""
        return _in_units(self, units)

    def text(self) -> str:
        """The claim in one line."""
        return f"{_named(self.observable, self.reading)} {self._words[self.strict]} along the flow"

    @property
    def _words(self) -> tuple[str, str]:
        return "does not increase", "strictly decreases"


@dataclass(frozen=True)
class Rises(Falls):
    """From one time to the next no entry of the reading falls; strict: nor stays."""

    @property
    def sign(self) -> float:
        """-1: falling breaks the claim."""
        return -1.0

    @property
    def _words(self) -> tuple[str, str]:
        return "does not decrease", "strictly increases"


def _in_units(claim: Any, units: Units) -> Any:
    changed = {"reading": sp.sympify(claim.reading).xreplace(dict(units.letters))}
    if isinstance(claim, Along):
        changed["expression"] = sp.sympify(claim.expression).xreplace(dict(units.letters))
    return replace(claim, **changed)
