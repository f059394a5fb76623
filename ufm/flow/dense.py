"""Dense output: the state between steps, so that times to save cost no steps.

Hermite interpolation of values and slopes at the last three points (quintic, error ~ h^6), where it agrees within
tolerance with that at the last two (cubic, ~ h^4). Elsewhere one step of the method itself leads from the last point
to the time asked for, beside the others: it costs evaluations, and changes no step.
A stiff bias follows W and H: there its slope is noise, and b - b* is interpolated instead.
"""

from typing import NamedTuple

from ufm.arrays import Array
from ufm.flow.control import Control
from ufm.flow.field import Field


class Node(NamedTuple):
    """A point of the trajectory: t, y, dy/dt."""

    t: float
    y: Array
    slope: Array


def hermite(nodes: list[Node], t: float) -> Array:
    """The polynomial through the values and slopes of the nodes, at t."""
    total = None
    for i, node in enumerate(nodes):
        others = [other.t for j, other in enumerate(nodes) if j != i]
        basis, steepness = 1.0, 0.0
        for s in others:
            basis *= (t - s) / (node.t - s)
            steepness += 1 / (node.t - s)
        away, square = t - node.t, basis**2
        term = (square * (1 - 2 * away * steepness)) * node.y + (square * away) * node.slope
        total = term if total is None else total + term
    return total


def between(field: Field, control: Control, nodes: list[Node], t: float) -> Array | None:
    """y(t) between the last two of three nodes, or None where interpolation is not within tolerance."""
    if len(nodes) < 3:
        return None
    y, coarse = hermite(nodes, t), hermite(nodes[1:], t)
    first, last = nodes[1], nodes[2]
    if field.bias_rate is not None and field.bias_rate * (last.t - first.t) > 1:
        share, m = (t - first.t) / (last.t - first.t), field.m
        lag = [node.slope[:m] / -field.bias_rate for node in (first, last)]  # b - b*
        y[:m] = field.bias_at_rest(y) + (1 - share) * lag[0] + share * lag[1]
        coarse[:m] = y[:m]
    gaps = field.error_norms(y - coarse)
    for gap, size in zip(gaps, field.norms(y, t), strict=True):
        if not gap <= control.atol + control.rtol * size:
            return None
    return field.feasible(y)
