"""When an observable first crosses a level: between the saved states, by integrating again from the one before."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ufm.arrays import Array
from ufm.flow.driver import integrate
from ufm.flow.field import Field
from ufm.flow.plan import Plan, steps_of
from ufm.flow.saver import Saver
from ufm.flow.within import Law


def later(plan: Plan, y: Array, start: float, t: float) -> Array:
    """The flat state at t, from y at `start` < t, by the plan's own integrator and tolerances."""
    moved = replace(plan, at=replace(plan.at, field=_restarted(plan.at.field, start)), y=y)
    run = integrate(
        steps_of(moved),
        y,
        t1=t - start,
        control=plan.control,
        rest=plan.rest,
        max_steps=plan.options.max_steps,
        saver=Saver([]),
        progress=None,
    )
    return run.y


def _restarted(field: Field, start: float) -> Field:
    """The same field in the time since `start`: only A-mode's law knows what time it is."""
    return replace(field, within=field.within.later(start)) if isinstance(field.within, Law) else field


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
