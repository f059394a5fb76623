"""The fastest rate of the flow, by power iteration on its symmetric Jacobian: what bounds an explicit step."""

import math
from typing import NamedTuple

from ufm.arrays import Array
from ufm.flow.field import Field, norm


class Fastest(NamedTuple):
    """A slight underestimate of the largest |rate|, and the direction in which it was found, to go on from."""

    rate: float
    mode: Array


def fastest_rate(
    field: Field,
    t: float,
    y: Array,
    slope: Array,
    v: Array,
    *,
    implicit_bias: bool,
    iterations: int,
    mode: Array | None = None,
) -> Fastest:
    """The largest |rate| by so many power iterations on v, a slight underestimate; with implicit_bias at fixed bias.

    slope: dy/dt at (t, y). Differences of the right-hand side replace the Jacobian: half the digits, one is enough. A
    step's error estimate is the best v to begin with, since it is where the fast modes show; and it makes the answer
    the same in all coordinates. But what a method damps well shows there no more, until its steps have grown too long:
    with the `mode` found the last time the iterations go on from both.
    """
    xp, held, field = field.xp, slice(0, field.m), field.smooth(y, slope)
    tiny = math.sqrt(float(xp.finfo(y.dtype).eps)) * (norm(y) or 1.0)
    rate, v = 0.0, xp.asarray(v, copy=True) if mode is None else _unit(v)  # from here on ours: states are large
    if mode is not None:
        v += _unit(mode)
    v = v if field.held is None else v * field.held
    for _ in range(iterations):
        if implicit_bias:
            v[held] = 0.0
        size = norm(v)
        if not size > 0 or not math.isfinite(size):
            return Fastest(rate, v)
        v *= tiny / size
        v += y
        v = field(v, t)
        v -= slope
        v /= tiny
        if implicit_bias:
            v[held] = 0.0
        rate = max(rate, norm(v))
    return Fastest(rate, v)


def _unit(v: Array) -> Array:
    size = norm(v)
    return v / size if size > 0 and math.isfinite(size) else 0 * v
