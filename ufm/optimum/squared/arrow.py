"""Singular values and vectors of T = [diag(d) | w] (n x n+1) in O(n^2): what one SVD of the centred targets leaves.

The bias touches one column: A - b u' = (A - ybar u') + (ybar - b) u', and the first part, U diag(d) V' with V
orthogonal to u, is the same for every bias; so w = U'(ybar - b). T T' = diag(d^2) + w w' has one eigenvalue above each
d_j^2, the roots x of 1 + sum_i w_i^2/(d_i^2 - x) = 0. They are found all at once, each as its distance from the nearest
d_i^2; then w is replaced by the one that has exactly these roots [gu1994], a change of the size of round-off which
makes the vectors orthogonal.
"""

from dataclasses import dataclass

import numpy as np

_EPS = float(np.finfo(float).eps)
_APART = 2 * _EPS  # least difference of neighbouring d, and least w, relative to the unit: round-off
_MAX_STEPS = 80
_PATIENCE = 10  # steps after which round-off of the equation ends the search
_NEARLY = 1e-8  # relative step whose square, the error it leaves, is round-off


@dataclass(frozen=True, eq=False)
class ArrowSpectrum:
    """Singular values sigma > 0 (n x ...), falling, left vectors U (n x n x ..., one a column), last entries v of V's.

    The i-th entry of right vector j is d_i U_ij/sigma_j.
    """

    sigma: np.ndarray
    U: np.ndarray
    v: np.ndarray


class Arrow:
    """The matrices [diag(d) | w] with one falling d >= 0 (n) and any w (n x ...; trailing axes are a batch)."""

    def __init__(self, d: np.ndarray, unit: float) -> None:
        self.unit = unit if unit > 0 else 1.0  # the size of the matrices, to whose round-off d is changed
        steps = _APART * np.arange(d.size)
        self.d = np.maximum.accumulate((d / self.unit + steps)[::-1])[::-1] - steps
        self._apart = (self.d[:, None] - self.d) * (self.d[:, None] + self.d)  # d_i^2 - d_j^2, without cancellation
        self._apart.flat[:: d.size + 1] = -1.0
        order = np.arange(d.size)
        self._upper = (order[:, None] < order).astype(float)  # poles above root j, as 1 in column j

    def spectrum(self, w: np.ndarray) -> ArrowSpectrum:
        """The singular values and vectors at w."""
        axes = (slice(None),) + (None,) * (w.ndim - 1)
        w = w / self.unit
        w = np.where(np.abs(w) < _APART, np.copysign(_APART, w), w)
        from_pole, square = self._roots(w**2)
        ratio = np.divide(from_pole, self._apart[:, *axes])
        w = np.copysign(np.sqrt(np.multiply.reduce(ratio, axis=1)), w)
        U = np.divide(w[:, None], from_pole, out=from_pole)
        weight = np.multiply(U, U, out=ratio)
        U /= np.sqrt(weight.sum(axis=0))
        v = -1 / np.sqrt(1 + _weighed(self.d[axes] ** 2, weight))
        return ArrowSpectrum(np.sqrt(square) * self.unit, U, v)

    def _roots(self, w2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """d_i^2 - x_j (n x n x ...) and the roots x_j (n x ...); root j lies above d_j^2, below d_{j-1}^2."""
        axes = (slice(None),) + (None,) * (w2.ndim - 1)
        d = self.d[axes]
        height = np.empty_like(w2)  # of the interval
        height[0], height[1:] = 2 * w2.sum(axis=0), -self._apart.diagonal(-1)[axes]
        above = np.zeros_like(w2)
        above[1:] = w2[:-1]
        middle = height / 2
        work = np.subtract(self._apart[:, *axes], middle)
        work[np.diag_indices(d.shape[0])] = -middle
        value = 1 + _weighed(w2, np.divide(1.0, work, out=work))
        far = value < 0  # the root is nearer to the upper end, from which it is counted then
        far[0] = False
        sign = np.where(far, -1.0, 1.0)
        near, other = np.where(far, above, w2), np.where(far, w2, above)
        origin = d.copy() if w2.ndim == 1 else np.broadcast_to(d, w2.shape).copy()
        origin[1:] = np.where(far[1:], d[:-1], d[1:])
        delta = (d[:, None] - origin) * (d[:, None] + origin)
        t, low, high = middle, np.zeros_like(middle), middle * (1 + 4 * _EPS)
        value, noise = sign * value, 0.0
        pulls = near / t**2, other / t**2  # slopes that the poles below and above give, at first the next ones' alone
        for steps in range(_MAX_STEPS):
            trial = _model_root(value, *pulls, height, t)
            if steps > _PATIENCE:  # a root at which two ends meet is known to the root of round-off only
                trial = np.where(np.abs(value) <= noise, t, trial)
            settled = np.abs(trial - t) <= _NEARLY * t
            inside = (low < trial) & (trial < high)
            t = np.where(settled | inside, trial, (low + high) / 2)
            if settled.all():
                break
            np.subtract(delta, sign * t, out=work)
            inverse = np.divide(1.0, work, out=work)
            value = sign * (1 + _weighed(w2, inverse))
            if steps >= _PATIENCE:
                noise = 8 * _EPS * (1 + _weighed(w2, np.abs(inverse)))
            inverse *= inverse
            total = _weighed(w2, inverse)
            upper = _weighed(w2, np.multiply(inverse, self._upper[:, *axes], out=inverse))
            pulls = np.where(far, upper, total - upper), np.where(far, total - upper, upper)
            low, high = np.where(value < 0, t, low), np.where(value < 0, high, t)
        return np.subtract(delta, sign * t, out=work), origin**2 + sign * t


def _model_root(
    value: np.ndarray, near: np.ndarray, other: np.ndarray, height: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """The root of c - p/t + q/(height - t) with this value at t, whose two poles have the slopes `near` and `other`."""
    rest = height - t
    p, q = t**2 * near, rest**2 * other
    c = value + t * near - rest * other
    a = c * height + p + q
    root = np.sqrt(np.maximum(a**2 - 4 * c * p * height, 0.0))
    positive = a > 0
    return np.where(positive, 2 * p * height, a - root) / np.where(positive, a + root, 2 * c)


def _weighed(weights: np.ndarray, M: np.ndarray) -> np.ndarray:
    """sum_i weights_i M_ij (n x ...)."""
    return weights @ M if M.ndim == 2 else (weights[:, None] * M).sum(axis=0)
