"""Squared loss, 1/2 ||z - t||^2 a column."""

from ufm.arrays import Array, array_namespace
from ufm.losses.loss import Loss


def _value(Z: Array, T: Array) -> Array:
    xp = array_namespace(Z)
    return xp.sum((Z - T) ** 2, axis=-2) / 2


LOSS = Loss("mse", value=_value, slope=lambda Z, T: Z - T)
