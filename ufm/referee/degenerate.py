"""Degenerate points of a statement, made from its problem and its assumptions: thresholds met exactly, and ties.

One mechanism serves every statement. From a few of its own problems, thresholds are reached along two lines, all
weights times a factor and lam_b alone: where the shrinkage tau meets a singular value of the targets, where lam_b meets
the end of the mean direction, where a formula of the statement switches (Max, Min, Piecewise), where an assumption
ends. Ties are made in the targets: equal sizes, classes of one sample, repeated codes, lost rank, repeated singular
values; and in the width: d = m and d = m - 1. What leaves the assumptions is dropped. A statement
without assumptions is taken at the word of its domain: of problems beyond it nothing is said, and none is made.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, islice, zip_longest
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.relational import Relational
from sympy.matrices.expressions.matexpr import MatrixExpr

from ufm.catalogue import Among, At, AtLeast, AtMost, Claim, Equals, Theorem
from ufm.catalogue.claims import Oracle, Violation
from ufm.catalogue.domain import Point
from ufm.catalogue.formula import Formula
from ufm.errors import UfmError
from ufm.problem import ClassTargets, Problem, SampleTargets, classes, samples
from ufm.record import Record
from ufm.referee.report import Evidence, Progress
from ufm.tolerance import tolerance

_BASES = 3  # problems of the statement from which degenerate ones are made
_TRIED = 60  # points of the domain among which they are looked for
_SIZE = 60  # entries of the targets up to which a base is simple
_SWITCHES = 4  # of a statement's formulae
_ROUND = 64 * float(np.finfo(float).eps)  # relative: weights that double precision cannot tell apart
_INSIDE = 1e-3  # how far inside its assumptions a statement is asked where they end
_FACTORS = 10.0 ** np.linspace(-3, 3, 25)
_HALVINGS = 60

Named = tuple[str, Problem]


def gather_degenerate(theorem: Theorem, oracle: Oracle, budget: int, seed: int, progress: Progress) -> Evidence:
    """Every claim at up to `budget` degenerate problems, each as exactly as the formula is known there."""
    found = list(islice(degenerate(theorem, seed), budget))
    worst, said, where, ratios, kinds = Violation(0.0, math.nan, math.nan), "", None, [], []
    for i, (kind, problem) in enumerate(found):
        progress(f"{theorem.id}: degenerate", i, len(found))
        answers = _answers(theorem, problem, oracle)
        if answers is None:
            continue
        kinds.append(kind)
        ratios.append(max((violation.ratio for _, violation in answers), default=0.0))
        for printed, violation in answers:
            if violation.ratio > worst.ratio or not said:
                worst, said, where = violation, printed, problem
    progress(f"{theorem.id}: degenerate", len(found), len(found))
    note = ", ".join(dict.fromkeys(kinds))
    return Evidence("degenerate", len(ratios), worst, said, where, note, tuple(ratios))


def degenerate(theorem: Theorem, seed: int) -> Iterator[Named]:
    """(what is degenerate, problem), each problem once and inside the assumptions, the kinds taken in turn."""
    if not theorem.assumes:
        return
    bases = list(islice(bases_of(theorem, seed), _BASES))
    lines = [line for base in bases for line in (_ties(base), _thresholds(theorem, base))]
    lines += [
        _kept_inside(
            theorem,
            ((f"{tie} and {kind}", problem) for tie, tied in _ties(base) for kind, problem in _own_thresholds(tied)),
        )
        for base in bases[:1]
    ]
    seen = {base.fingerprint for base in bases}
    for row in zip_longest(*(_passed(line) for line in lines)):
        for named in row:
            if named is not None and named[1].fingerprint not in seen and _applies(theorem, named[1]):
                seen.add(named[1].fingerprint)
                yield named


def bases_of(theorem: Theorem, seed: int) -> Iterator[Problem]:
    """Problems of the statement to start from: the simplest first, then small ones of its sample."""
    small, sampled = islice(theorem.domain.small(), _TRIED), theorem.domain.sample(_TRIED, seed)
    points: Iterator[Point] = (point for pair in zip_longest(small, sampled) for point in pair if point is not None)
    seen: set[str] = set()
    for point in points:
        try:
            problem = theorem.problem(point)
        except UfmError:
            continue
        if not isinstance(problem, Problem) or problem.targets.columns.size > _SIZE or problem.fingerprint in seen:
            continue
        seen.add(problem.fingerprint)
        if _applies(theorem, problem):
            yield problem


def _passed(line: Iterator[Named]) -> Iterator[Named]:
    """The line as far as problems can be made of it."""
    while True:
        try:
            yield next(line)
        except StopIteration:
            return
        except UfmError:  # no such problem: a width of nought, a constraint that the targets do not fit
            return


def _applies(theorem: Theorem, problem: Problem) -> bool:
    try:
        return theorem.applies(problem)
    except (UfmError, KeyError):  # it speaks of classes where there are none
        return False


# --- ties ---------------------------------------------------------------------------------------------------------


def _ties(problem: Problem) -> Iterator[Named]:
    """The problem with something equal that need not be: sizes, codes, rows, singular values, weights, the width."""
    for kind, change in _changes(problem):
        try:
            yield kind, problem.replace(**change())
        except UfmError:
            continue


def _changes(problem: Problem) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    targets = problem.targets
    if isinstance(targets, ClassTargets):
        yield from _class_ties(targets)
    elif isinstance(targets, SampleTargets):
        yield from _sample_ties(targets)
    for d, words in ((problem.m, "d = m"), (problem.m - 1, "d = m - 1")):
        yield words, lambda d=d: {"width": d}
    weights = [*map(float, problem.lam_W), float(problem.lam_H)]
    if min(weights) > 0 and max(weights) > min(weights):
        yield "equal weights", lambda: {"lam_W": (problem.Lam,) * (problem.p - 1), "lam_H": problem.Lam}
    yield "a free bias", lambda: {"lam_b": 0.0}
    yield "no bias", lambda: {"lam_b": math.inf}


def _class_ties(targets: ClassTargets) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    counts, codes = [int(n) for n in targets.counts], targets.codes
    least = min(counts)
    for words, sizes in (
        ("classes of one sample", [1] * len(counts)),
        ("a class of one sample", [1, *(max(2, n) for n in counts[1:])]),
        ("equal sizes", [least + 1] * len(counts)),
        ("two equal sizes", [counts[0] + 1, *counts[1:-1], counts[0] + 1]),
    ):
        if len(sizes) == len(counts):
            yield words, lambda sizes=sizes: {"targets": classes(targets.encoding, sizes)}
    for words, table in _tables(codes):
        yield words, lambda table=table: {"targets": classes(table, counts)}


def _tables(codes: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Codes (m x K) of less rank, or with two classes alike."""
    if codes.shape[1] > 1:
        alike = np.array(codes)
        alike[:, -1] = alike[:, 0]
        yield "two classes of one code", alike
    if codes.shape[0] > 1:
        dependent = np.array(codes)
        dependent[-1] = dependent[0]
        yield "codes of less rank", dependent
    yield "codes with their mean at the origin", codes - codes.mean(axis=1, keepdims=True)


def _sample_ties(targets: SampleTargets) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    Y = targets.Y
    m, N = Y.shape
    tied = {"one target for all": np.repeat(Y[:, :1], N, axis=1), "centred targets": Y - Y.mean(axis=1, keepdims=True)}
    if m > 1:
        tied["targets of less rank"] = np.vstack([Y[:-1], Y[:1]])
        tied["a target that is zero"] = np.vstack([Y[:-1], np.zeros((1, N))])
    if N > 1:
        tied["two equal samples"] = np.hstack([Y[:, :-1], Y[:, :1]])
    U, s, Vt = np.linalg.svd(Y - Y.mean(axis=1, keepdims=True), full_matrices=False)
    tied["equal singular values"] = s[0] * (U @ Vt)
    for words, changed in tied.items():
        yield words, lambda changed=changed: {"targets": samples(changed)}


# --- thresholds ---------------------------------------------------------------------------------------------------


def _thresholds(theorem: Theorem, problem: Problem) -> Iterator[Named]:
    """The problem's own thresholds, those of the statement's formulae, and the ends of its assumptions."""
    yield from _kept_inside(theorem, _own_thresholds(problem))
    yield from _kept_inside(theorem, _switches(theorem, problem))
    yield from _ends(theorem, problem)


def _kept_inside(theorem: Theorem, line: Iterator[Named]) -> Iterator[Named]:
    """Each problem, moved a thousandth inside where double precision cannot tell it from one outside."""
    for kind, problem in line:
        if all(_applies(theorem, nudged) for nudged in _nudged(problem)):
            yield kind, problem
        else:
            yield from ((kind + ", nearly", scaled(problem, 1 + step)) for step in (-_INSIDE, _INSIDE))


def _own_thresholds(problem: Problem) -> Iterator[Named]:
    """tau at each singular value of the targets, with depth at both of its thresholds; lam_b at its critical value."""
    if problem.tau == 0:
        return
    for sigma in _spectrum(problem):
        for level, words in _levels(sigma, problem.p):
            yield words, scaled(problem, level / problem.tau)
    sigma_0 = math.sqrt(problem.N) * float(np.linalg.norm(problem.targets.mean))
    if 0 < problem.tau < sigma_0 and problem.p == 2:
        critical = problem.tau / (sigma_0 - problem.tau)
        yield "lam_b at its critical value", problem.replace(lam_b=critical)


def _spectrum(problem: Problem) -> list[float]:
    """Singular values of the targets and of the centred targets over all samples, each once, without zeros."""
    targets, root = problem.targets, np.sqrt(problem.targets.multiplicity)
    found: list[float] = []
    for columns in (targets.columns, targets.columns - targets.mean[:, None]):
        for sigma in np.linalg.svd(columns * root, compute_uv=False):
            if sigma > 1e-9 and all(abs(sigma - known) > 1e-9 * sigma for known in found):
                found.append(float(sigma))
    return found


def _levels(sigma: float, p: int) -> Iterator[tuple[float, str]]:
    """The shrinkages at which a direction of strength sigma is lost: one, or with depth where it is beaten and gone."""
    if p == 2:
        yield sigma, "tau = sigma"
        return
    power = 1 - 2 / p
    yield sigma / (p - 1) * ((p - 2) * sigma / (p - 1)) ** power, "tau where a direction is beaten by none"
    s = sigma * power / (1 + power)
    yield (sigma - s) * s**power, "tau where a direction ceases to be a minimum"


def scaled(problem: Problem, factor: float) -> Problem:
    """The problem with the weights of all factors multiplied."""
    return problem.replace(
        lam_W=tuple(factor * float(weight) for weight in problem.lam_W), lam_H=factor * float(problem.lam_H)
    )


def _with_bias(problem: Problem, factor: float) -> Problem:
    return problem.replace(lam_b=factor)


_LINES: tuple[tuple[Callable[[Problem, float], Problem], str], ...] = (
    (scaled, "the weights"),
    (_with_bias, "lam_b"),
)


def _switches(theorem: Theorem, problem: Problem) -> Iterator[Named]:
    """Where two arguments of a Max or Min of the statement are equal, or a condition of a Piecewise changes sides."""
    for difference in switches(theorem)[:_SWITCHES]:
        for line, along in _LINES[: 2 if problem.has_bias and float(problem.lam_b) > 0 else 1]:
            for factor in _crossings(lambda f, line=line, d=difference: np.sign(d(line(problem, f)))):
                yield f"a switch of the formula along {along}", line(problem, factor)


def switches(theorem: Theorem) -> list[Formula]:
    """Differences that change sign where a formula of the statement changes its form."""
    found: dict[Any, Formula] = {}
    for claim in theorem.claims_in_ours:
        inner = claim.claim if isinstance(claim, At | Among) else claim
        if not isinstance(inner, Equals) or isinstance(inner.expression, MatrixExpr):
            continue
        for choice in sorted(inner.expression.atoms(sp.Max, sp.Min), key=sp.default_sort_key):
            for left, right in combinations(choice.args, 2):
                found.setdefault(left - right, Formula(left - right, inner.letters))
        for relation in sorted(inner.expression.atoms(Relational), key=sp.default_sort_key):
            difference = relation.lhs - relation.rhs
            found.setdefault(difference, Formula(difference, inner.letters))
    return list(found.values())


def _ends(theorem: Theorem, problem: Problem) -> Iterator[Named]:
    """A thousandth inside of where the assumptions end along the weights and along lam_b."""
    for line, along in _LINES[: 2 if problem.has_bias and float(problem.lam_b) > 0 else 1]:
        for factor in _crossings(lambda f, line=line: np.array([_applies(theorem, line(problem, f))])):
            for inside in (factor * (1 - _INSIDE), factor * (1 + _INSIDE)):
                yield f"an assumption's end along {along}", line(problem, inside)


def _crossings(side: Callable[[float], Any]) -> Iterator[float]:
    """Factors at which an entry of `side` changes, to the last bit; a family that cannot be evaluated has none."""
    try:
        sides = [np.atleast_1d(side(float(factor))).ravel() for factor in _FACTORS]
    except (UfmError, KeyError, TypeError, ValueError):
        return
    if len({each.size for each in sides}) > 1:
        return
    for i in range(len(sides) - 1):
        for entry in np.flatnonzero(sides[i] != sides[i + 1])[:2]:
            low, high, here = float(_FACTORS[i]), float(_FACTORS[i + 1]), sides[i][entry]
            for _ in range(_HALVINGS):
                middle = math.sqrt(low * high)
                if np.atleast_1d(side(middle)).ravel()[entry] == here:
                    low = middle
                else:
                    high = middle
            yield high


# --- answers ------------------------------------------------------------------------------------------------------


def _answers(theorem: Theorem, problem: Problem, oracle: Oracle) -> list[tuple[str, Violation]] | None:
    """Each claim as printed with its violation; None where the witness has no answer."""
    try:
        return [
            (printed.text(), violation_at(claim, problem, oracle))
            for printed, claim in zip(theorem.claims, theorem.claims_in_ours, strict=True)
        ]
    except (UfmError, KeyError):
        return None


def violation_at(claim: Claim, problem: Problem, oracle: Oracle) -> Violation:
    """The claim's violation as far as numbers are known here: see `_beyond`."""
    plain = claim.violation(problem, oracle)
    inner = claim.claim if isinstance(claim, At | Among) else claim
    if plain.ratio <= 1 or not isinstance(inner, Equals):
        return plain
    return replace(plain, ratio=min(plain.ratio, _beyond(inner, problem, oracle(problem), claim)))


def _beyond(inner: Equals, problem: Problem, record: Record, claim: Claim) -> float:
    """How far outside the range of the claimed numbers the answer lies, in tolerances; undefined is the whole line."""
    found = np.ravel(record[inner.observable].values)
    claimed = np.array([np.broadcast_to(np.ravel(inner.predict(near)), found.shape) for near in _nudged(problem)])
    low, high = claimed.min(axis=0), claimed.max(axis=0)
    above = np.zeros_like(found) if isinstance(inner, AtLeast) else np.maximum(0, found - high)
    below = np.zeros_like(found) if isinstance(inner, AtMost) else np.maximum(0, low - found)
    allowed = tolerance("degenerate", inner.observable)
    ratio = np.maximum(above, below) / (allowed.abs + allowed.rel * np.abs(claimed[0]))
    ratio = np.where(np.isnan(claimed).any(axis=0), 0.0, np.where(np.isnan(ratio), np.inf, ratio))
    if isinstance(claim, Among):
        ratio = np.where(np.ravel(claim.chosen(problem)), ratio, 0.0)
    return float(ratio.max(initial=0.0))


def _nudged(problem: Problem) -> list[Problem]:
    """The problem, and its neighbours in double precision: weights and lam_b a few units of round-off away."""
    near = [problem]
    for factor in (1 - _ROUND, 1 + _ROUND):
        near.append(scaled(problem, factor))
        near.append(problem.replace(lam_b=factor * float(problem.lam_b)))
    return near
