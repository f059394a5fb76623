"""When an observable first crosses a level: between the saved states, by integrating again from the one before."""

from collections.abc import Callable

import numpy as np


def first_crossing(
    t: np.ndarray, values: np.ndarray, level: float, value_at: Callable[[int, float], float] | None, rtol: float
) -> float | None:
    """The first time at which the values (T, at times t) reach the level, from the side they start on; None if never.

    value_at(i, s): the value at a time s between t[i] and t[i + 1]; without it the first such t[i] is the answer.
    """
    above = np.sign(values[0] - level)
    reached = np.flatnonzero(above * (values - level) <= 0)
    if reached.size == 0:
        return None
    i = int(reached[0])
    if i == 0 or value_at is None or values[i] == level:
        return float(t[i])
    from scipy.optimize import brentq

    scale = _logarithmic if min(level, *values[i - 1 : i + 1]) > 0 else _linear
    ends = {float(t[j]): scale(values[j], level) for j in (i - 1, i)}

    def offset(s: float) -> float:
        return ends[s] if s in ends else scale(value_at(i - 1, s), level)

    low, high = ends
    return float(brentq(offset, low, high, xtol=max(rtol * (high - low), 1e-300), rtol=max(rtol, 1e-14)))  # pyright: ignore


def _logarithmic(value: float, level: float) -> float:
    return float(np.log(value / level)) if value > 0 else -700.0


def _linear(value: float, level: float) -> float:
    return float(value - level)
