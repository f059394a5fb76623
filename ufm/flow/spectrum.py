"""The fastest rate of the flow, by power iteration on its symmetric Jacobian: what bounds an explicit step."""

import math

from ufm.arrays import Array
from ufm.flow.field import Field


def fastest_rate(
    field: Field, t: float, y: Array, slope: Array, v: Array, *, implicit_bias: bool, iterations: int
) -> float:
    """The largest |rate| by so many power iterations on v, a slight underestimate; with implicit_bias at fixed bias.

    slope: dy/dt at (t, y). Differences of the right-hand side replace the Jacobian: half the digits, one is enough. A
    step's error estimate is the best v, since it is where the fast modes show; and it makes the answer the same in all
    coordinates.
    """
    xp, held, field = field.xp, slice(0, field.m), field.smooth(y, slope)
    tiny = math.sqrt(float(xp.finfo(y.dtype).eps)) * (math.sqrt(float(y @ y)) or 1.0)
    rate, v = 0.0, v if field.held is None else v * field.held
    for _ in range(iterations):
        if implicit_bias:
            v = xp.asarray(v, copy=True)
            v[held] = 0.0
        size = math.sqrt(float(v @ v))
        if not size > 0 or not math.isfinite(size):
            return rate
        v = (field(y + (tiny / size) * v, t) - slope) / tiny
        if implicit_bias:
            v[held] = 0.0
        rate = max(rate, math.sqrt(float(v @ v)))
    return rate
