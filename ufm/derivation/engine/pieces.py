"""One expression for all regimes of equal classes: which directions are kept decides the case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

Kept = tuple[bool, bool]  # whether the centred directions are kept, and whether the mean direction is


@dataclass(frozen=True)
class Conditions:
    """When the centred directions are kept or lost, and the mean direction; `plateau`: where it alone is lost."""

    keep: Any
    lost: Any
    above: Any
    plateau: Any


def over_pieces(numbers: Mapping[Kept, Any], conditions: Conditions) -> Any:
    """One expression for all regimes, with no condition that it does not need."""
    keep, above = conditions.keep, conditions.above
    if all(value == numbers[next(iter(numbers))] for value in numbers.values()):
        return next(iter(numbers.values()))
    by_centred = {flag: {x for (cen, _), x in numbers.items() if cen is flag} for flag in (True, False)}
    by_mean = {flag: {x for (_, mean), x in numbers.items() if mean is flag} for flag in (True, False)}
    if all(len(found) == 1 for found in by_centred.values()):
        return _piecewise([(by_centred[True].pop(), keep), (by_centred[False].pop(), sp.true)])
    if all(len(found) == 1 for found in by_mean.values()):
        return _piecewise([(by_mean[True].pop(), above), (by_mean[False].pop(), sp.true)])
    if set(numbers) == {(True, False), (True, True), (False, False)}:
        return _piecewise(
            [
                (numbers[False, False], conditions.lost),
                (numbers[True, False], conditions.plateau),
                (numbers[True, True], sp.true),
            ]
        )
    cases = {(True, True): keep & above, (True, False): keep, (False, True): above, (False, False): sp.true}
    return _piecewise([(numbers[each], condition) for each, condition in cases.items() if each in numbers])


def _piecewise(cases: list[tuple[Any, Any]]) -> Any:
    """The cases in order; where a value does not exist its case is left out, and none applies there."""
    if cases[-1][1] is sp.true and cases[-1][0] is sp.nan:
        cases = cases[:-1]
    if cases[0][0] is sp.nan:  # the regime where nothing is kept comes first: its complement guards the others
        (_, gone), *rest = cases
        cases = [(value, sp.And(sp.Not(gone), condition)) for value, condition in rest]
    return sp.Piecewise(*cases)
