"""Many flows of one shape as one field: their parameters side by side, their norms as arrays with one entry a flow."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from ufm.arrays import Array, transposed
from ufm.flow.field import Field, squared_loss
from ufm.flow.state import device_array
from ufm.flow.within import Law, Scatter

ArrayNorms = tuple[Array, Array]


def shape_of(field: Field) -> tuple[Any, ...] | None:
    """What fields must share to be stacked; None where a field cannot be."""
    alone = not isinstance(field, Field)  # the central path's stands for one, and stacks with none
    if alone or field.held is not None or field.cone is not None or field.drive is not None:
        return None
    place = (str(field.decay.dtype), str(getattr(field.decay, "device", None)))
    within = field.within
    kind = (type(within).__name__, getattr(within, "d", 0), getattr(within, "propagator", False))
    return field.shapes, field.m, field.quadratic, kind, place


def stacked(fields: Sequence[Field]) -> Field:
    """One field of flows side by side; they agree in `shape_of`, and in loss and targets unless that is quadratic.

    What is equal among them stands there once a flow all the same: no bit of a flow may hang on which others there are.
    """
    xp, first = fields[0].xp, fields[0]
    decay = xp.stack([field.decay for field in fields])
    place = {"lam_H": _numbers(fields, [field.lam_H for field in fields]), "decay": decay}
    within = _within(fields)
    if not first.quadratic:
        return replace(first, within=within, **place)
    A = xp.stack([field.targets[0] for field in fields])
    q = xp.stack([field.targets[1] for field in fields])[:, None, :]
    N = _numbers(fields, [field.N for field in fields])[:, None, None]
    rate = None if first.bias_rate is None else _numbers(fields, [field.bias_rate for field in fields])[:, None]
    functions: dict[str, Any] = squared_loss(xp, A, q, N, rate)
    return replace(first, N=N, bias_rate=rate, targets=(A, q), within=within, **functions, **place)


def _within(fields: Sequence[Field]) -> Law | Scatter | None:
    parts, xp = [field.within for field in fields], fields[0].xp

    def gather(name: str) -> Array:
        return _numbers(fields, [getattr(part, name) for part in parts])

    if isinstance(parts[0], Law):
        eigenvalues = xp.stack([part.eigenvalues for part in parts if isinstance(part, Law)])[:, None, :]
        return Law(gather("l"), eigenvalues, gather("total"), gather("start"))
    if isinstance(parts[0], Scatter):
        unit, scale = gather("unit")[:, None, None], gather("scale")[:, None, None]
        return Scatter(parts[0].d, unit, scale, parts[0].propagator)
    return None


def _numbers(fields: Sequence[Field], numbers: list[Any]) -> Array:
    """Numbers as an array of the state's kind."""
    return device_array(fields[0].xp, np.asarray(numbers, dtype=float), fields[0].decay)


def norm(field: Field, x: Array) -> Array:
    """Euclidean norm of every row."""
    return field.xp.sqrt(field.xp.vecdot(x, x))


def norms(field: Field, y: Array, t: Array) -> ArrayNorms:
    """`Field.norms` of every flow."""
    xp, cut = field.xp, field.classifier.stop
    first, second = norm(field, y[:, :cut]), norm(field, y[:, cut : field.seen])
    if field.within is None:
        return first, second
    _, W, Ht = field.unpack(y)
    return first, xp.hypot(second, xp.sqrt(_trace(field, W[-1], Ht, y, t)))


def error_norms(field: Field, error: Array) -> ArrayNorms:
    """`Field.error_norms` of every flow."""
    cut = field.classifier.stop
    return norm(field, error[:, :cut]), norm(field, error[:, cut:])


def gradient_norm(field: Field, y: Array, slope: Array, t: Array) -> Array:
    """`Field.gradient_norm` of every flow."""
    if field.within is None:
        return norm(field, slope)
    xp = field.xp
    _, W, Ht = field.unpack(y)
    P = reduce(xp.matmul, W)
    gram = P @ transposed(P)
    if isinstance(field.within, Law):
        PB = field.within.gram_pull(P, t) - (P @ transposed(Ht)) @ Ht
    else:
        carried = y[:, field.seen :]
        B = xp.reshape(carried[:, : field.within.d**2], (-1, field.within.d, field.within.d)) * field.within.unit
        PB = P @ ((B + transposed(B)) / 2)
    N = field.N if isinstance(field.N, int) else field.N[:, 0, 0]
    trace = _trace(field, P, Ht, y, t)
    once, twice = _positive(xp, _total(xp, P * PB)), _positive(xp, _total(xp, (gram @ P) * PB))
    rest = xp.sqrt(field.lam_H**2 * trace + (2 * field.lam_H / N) * once + twice / N**2)
    if isinstance(field.within, Law):
        bound = (xp.sqrt(_total(xp, gram**2)) / N + field.lam_H) * xp.sqrt(field.within.trace_bound(t))
        rest = xp.minimum(rest, bound)
    return xp.hypot(norm(field, slope[:, : field.seen]), rest)


def _trace(field: Field, W: Array, Ht: Array, y: Array, t: Array) -> Array:
    """tr B of every flow, within its bounds."""
    xp, within = field.xp, field.within
    if isinstance(within, Law):
        by_law = _total(xp, W * W) - _total(xp, Ht * Ht) - within.left(t) * within.total
        return xp.minimum(_positive(xp, by_law), within.trace_bound(t))
    carried, step = y[:, field.seen :], within.d + 1  # pyright: ignore[reportOptionalMemberAccess]
    diagonal = carried[:, : within.d**2 : step]  # pyright: ignore[reportOptionalMemberAccess]
    return _positive(xp, xp.sum(diagonal, axis=-1) * within.unit[:, 0, 0])  # pyright: ignore[reportOptionalMemberAccess]


def _total(xp: Any, x: Array) -> Array:
    return xp.sum(x, axis=(-2, -1))


def _positive(xp: Any, x: Array) -> Array:
    """x, or 0 where it is negative; NaN stays."""
    return xp.where(x < 0, 0 * x, x)
