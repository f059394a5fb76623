"""One direction of a deep linear model: min over s >= 0 of 1/2 (sigma - s)^2 + (p/2) tau s^(2/p) (theory: section 4).

With s = sigma (1 - delta) and kappa = tau / sigma^(2 - 2/p) a stationary point solves delta (1 - delta)^a = kappa,
a = 1 - 2/p. The left side is concave: below its maximum it has one root where it rises, the nonzero local minimum, and
one where it falls, the barrier in front of s = 0. Every function takes arrays of any equal shape; tau may be one number
for all. p = 2 is soft thresholding and has no barrier.
"""

from dataclasses import dataclass

import numpy as np

_STEPS = (
    100  # Newton halves its error at the double root, where half of the 52 bits can be had, and doubles digits else
)


@dataclass(frozen=True, eq=False)
class ScalarMinimum:
    """A local minimum per direction: s, the residual e = sigma - s, and gain = value at 0 minus value at s.

    tie: 0 and the nonzero local minimum have equal values, to round-off (coexistence).
    """

    s: np.ndarray
    e: np.ndarray
    gain: np.ndarray
    tie: np.ndarray


def spinodal(sigma: np.ndarray, p: int) -> np.ndarray:
    """max over s of (sigma - s) s^(1 - 2/p): the nonzero local minimum exists for tau below it."""
    return _scale(sigma, p) * _largest(p)


def threshold(sigma: np.ndarray, p: int) -> np.ndarray:
    """(sigma/(p-1)) ((p-2) sigma/(p-1))^(1 - 2/p): the nonzero local minimum is global for tau below it."""
    return _scale(sigma, p) / (p - 1) * ((p - 2) / (p - 1)) ** (1 - 2 / p)


def minimise(sigma: np.ndarray, tau: np.ndarray | float, p: int, *, local: bool = False) -> ScalarMinimum:
    """The global minimum per direction, 0 at coexistence; local: the nonzero local minimum wherever there is one."""
    delta = residual_share(sigma, tau, p)
    lead = 1 - (p - 1) * delta  # its sign decides; the gain is a product, so nothing cancels near coexistence
    kept = ~np.isnan(delta) if local else lead > 0
    share = np.where(kept, delta, 1.0)
    e = np.where(kept, sigma * share, sigma)
    gain = np.where(kept, sigma**2 * (1 - share) * lead / 2, 0.0)
    tie = np.abs(lead) <= 16 * p * np.finfo(float).eps if p > 2 else np.zeros_like(kept)
    return ScalarMinimum(np.where(kept, sigma * (1 - share), 0.0), e, gain, tie & (sigma > 0))


def value(sigma: np.ndarray, s: np.ndarray, tau: np.ndarray | float, p: int) -> np.ndarray:
    """1/2 (sigma - s)^2 + (p/2) tau s^(2/p), straight from the definition."""
    return (sigma - s) ** 2 / 2 + p / 2 * tau * s ** (2 / p)


def local_minimum(sigma: np.ndarray, tau: np.ndarray | float, p: int) -> np.ndarray:
    """The nonzero local minimum s; NaN where there is none (tau at or above the spinodal)."""
    return sigma * (1 - residual_share(sigma, tau, p))


def residual_share(sigma: np.ndarray, tau: np.ndarray | float, p: int) -> np.ndarray:
    """delta = (sigma - s)/sigma in [0, 1/(1+a)) at the nonzero local minimum; NaN where there is none.

    From delta = kappa, left of the root, Newton's method on a concave rising function climbs to it and never passes it.
    """
    a, kappa = 1 - 2 / p, _kappa(sigma, tau, p)
    exists = kappa < _largest(p)
    kappa = np.where(exists, kappa, 0.0)
    top, delta = 1 / (1 + a), kappa
    for _ in range(_STEPS):
        slope = (1 - delta) ** (a - 1) * (1 - (1 + a) * delta) if a > 0 else np.ones_like(delta)
        ahead = kappa - delta * (1 - delta) ** a
        step = np.divide(ahead, slope, out=np.zeros_like(delta), where=slope > 0)
        following = np.clip(delta + step, delta, top)
        done = bool(np.all(following - delta <= np.finfo(float).eps * following))
        delta = following
        if done:
            break
    return np.where(exists, delta, np.nan)


def barrier(sigma: np.ndarray, tau: np.ndarray | float, p: int) -> np.ndarray:
    """The local maximum between s = 0 and the nonzero local minimum; NaN where there is none, and for p = 2.

    Newton's method in y = log(s/sigma) on a y + log(1 - e^y) = log kappa, concave and rising up to the maximum.
    """
    a, kappa = 1 - 2 / p, _kappa(sigma, tau, p)
    exists = (kappa < _largest(p)) & (a > 0)
    if a == 0:
        return np.full(exists.shape, np.nan)
    found = exists & (kappa > 0)
    goal = np.log(np.where(found, kappa, _largest(p) / 2))
    highest = np.log(a / (1 + a))
    y = np.minimum(goal / a, highest)
    for _ in range(_STEPS):
        x = np.exp(y)
        slope = a - x / (1 - x)
        ahead = goal - a * y - np.log1p(-x)
        step = np.divide(ahead, slope, out=np.zeros_like(y), where=slope > 0)
        following = np.clip(y + step, y, highest)
        done = bool(np.all(following - y <= np.finfo(float).eps * np.abs(following)))
        y = following
        if done:
            break
    return np.where(found, sigma * np.exp(y), np.where(exists, 0.0, np.nan))


def _scale(sigma: np.ndarray, p: int) -> np.ndarray:
    return np.asarray(sigma, dtype=float) ** (2 - 2 / p)


def _largest(p: int) -> float:
    """max of delta (1 - delta)^a, at delta = 1/(1 + a)."""
    a = 1 - 2 / p
    return (a / (1 + a)) ** a / (1 + a)


def _kappa(sigma: np.ndarray, tau: np.ndarray | float, p: int) -> np.ndarray:
    """tau / sigma^(2 - 2/p): infinite for sigma = 0, and 0 wherever tau is."""
    scale, tau = np.broadcast_arrays(_scale(sigma, p), np.asarray(tau, dtype=float))
    with np.errstate(over="ignore"):
        kappa = np.divide(tau, scale, out=np.full(scale.shape, np.inf), where=scale > 0)
    return np.where(tau == 0, 0.0, kappa)
