"""Points that try to break a statement: corners of its domain, and a pattern search that climbs the discrepancy."""

import heapq
import math
from collections.abc import Callable

from ufm.catalogue import Theorem
from ufm.catalogue.claims import Oracle, Violation
from ufm.catalogue.domain import Integers, Point
from ufm.errors import UfmError
from ufm.problem import Problem
from ufm.referee.report import Evidence, Progress
from ufm.tolerance import FAR

_STARTS = 3  # the worst points of the sample, from which the search climbs
_SHARES = (0.3, 0.1, 0.03, 0.01)  # of a coordinate's range (logarithmic): the steps of the search
Found = tuple[Violation, str, Problem]  # the worst violation at a point, the claim as printed, the problem


def provoke(
    theorem: Theorem, sampled: list[tuple[Point, float]], oracle: Oracle, budget: int, seed: int, progress: Progress
) -> Evidence:
    """The worst that `budget` deliberate points find; `sampled` are points already asked, with their violations."""
    asked: dict[str, Found | None] = {}
    places: dict[str, Point] = {}

    def ask(point: Point) -> Found | None:
        key = repr(sorted(point.items(), key=lambda item: item[0]))
        if key not in asked:
            places[key] = point
            progress(f"{theorem.id}: adversary", len(asked), budget)
            asked[key] = worst_at(theorem, point, oracle)
        return asked[key]

    for point in theorem.domain.corners(budget // 3, seed):
        ask(point)
    for point, ratio in heapq.nlargest(_STARTS, sampled, key=lambda pair: pair[1]):
        _climb(theorem, point, ratio, ask, lambda: len(asked) >= budget)
    progress(f"{theorem.id}: adversary", budget, budget)
    found = [each for each in asked.values() if each is not None]
    note = "corners of the domain, and pattern search from the worst points"
    if not found:
        return Evidence("adversary", 0, Violation(0.0, math.nan, math.nan), "", None, note)
    ratios = tuple(each[0].ratio for each in found)
    worst, claim, problem = max(found, key=lambda each: each[0].ratio)
    if worst.ratio >= FAR:
        at = max(places, key=lambda key: -1.0 if (seen := asked[key]) is None else seen[0].ratio)
        worst, claim, problem = _smaller(theorem, places[at], (worst, claim, problem), oracle)
    return Evidence("adversary", len(found), worst, claim, problem, note, ratios)


def _smaller(theorem: Theorem, point: Point, found: Found, oracle: Oracle) -> Found:
    """The same break with smaller integers: each halved towards its least value for as long as the claim breaks."""
    for name, coordinate in theorem.domain.ranges.items():
        if not isinstance(coordinate, Integers):
            continue
        while point[name] > coordinate.low:
            nearer = {**point, name: max(coordinate.low, point[name] // 2)}
            seen = worst_at(theorem, nearer, oracle)
            if seen is None or seen[0].ratio < FAR:
                break
            point, found = nearer, seen
    return found


def worst_at(theorem: Theorem, point: Point, oracle: Oracle) -> Found | None:
    """The worst violation at a point; None where the statement does not apply, or the witness has no answer."""
    try:
        problem = theorem.problem(point)
        if not theorem.applies(problem):
            return None
        violations = [
            (claim.violation(problem, oracle), printed.text())
            for printed, claim in zip(theorem.claims, theorem.claims_in_ours, strict=True)
        ]
    except UfmError:  # no problem of that kind, or no certified optimum: no evidence either way
        return None
    worst, claim = max(violations, key=lambda each: each[0].ratio)
    return worst, claim, problem


def _climb(
    theorem: Theorem,
    point: Point,
    ratio: float,
    ask: Callable[[Point], Found | None],
    exhausted: Callable[[], bool],
) -> None:
    """Coordinate steps uphill, the step shortened where none helps."""
    for share in _SHARES:
        moved = True
        while moved and not exhausted():
            moved = False
            for near in theorem.domain.near(point, share):
                if exhausted():
                    return
                found = ask(near)
                if found is not None and found[0].ratio > ratio:
                    point, ratio, moved = near, found[0].ratio, True
                    break
