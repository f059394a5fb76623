"""Cross-entropy of softmax(z) against a target column t: (sum t) log sum exp z - t'z; for labels t is one-hot."""

from ufm.arrays import Array, array_namespace
from ufm.losses.loss import Loss


def _log_sum_exp(Z: Array) -> Array:
    xp = array_namespace(Z)
    top = xp.max(Z, axis=-2, keepdims=True)
    return top + xp.log(xp.sum(xp.exp(Z - top), axis=-2, keepdims=True))


def _value(Z: Array, T: Array) -> Array:
    xp = array_namespace(Z)
    return xp.sum(T * (_log_sum_exp(Z) - Z), axis=-2)


def _slope(Z: Array, T: Array) -> Array:
    xp = array_namespace(Z)
    p = xp.exp(Z - _log_sum_exp(Z))
    sure = p > 0.5  # one entry of a column at most, whose 1 - p is what the others have: no cancellation
    others = xp.sum(xp.where(sure, xp.zeros_like(p), p), axis=-2, keepdims=True)
    return p * (xp.sum(T, axis=-2, keepdims=True) - T) - T * xp.where(sure, others, 1 - p)


LOSS = Loss("cross_entropy", value=_value, slope=_slope)
