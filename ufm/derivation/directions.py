"""Regimes of one direction of the target space, or of one class: kept, at the threshold tau = N c, or lost.

A direction has the singular value sigma and the share sigma^2/N of the covariance; a class of n_k samples is one with
sigma = sqrt(n_k). The ratio of the weights is lam_W/lam_H = gamma^4.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ufm.derivation.regimes import Regime, gamma, t, u, v, v_0
from ufm.symbols import N, cov, lam_b, lam_H, lam_W, n_k, n_l, sigma, sigma_0, sigma_c, tau


def _direction(length: Any) -> Mapping[Any, Any]:
    weights = {lam_W: gamma**2 * t, lam_H: t / gamma**2, tau: N * t}
    directions = {sigma: length, sigma_c: length, cov: length**2 / N}
    return MappingProxyType({**weights, **directions, n_k: length**2, n_l: length**2})


KEPT = Regime("kept", r"\sigma > \tau", _direction(N * t * (1 + v)))
AT = Regime("at the threshold", r"\sigma = \tau", _direction(N * t))
LOST = Regime("lost", r"\sigma < \tau", _direction(N * t / (1 + v)))
LOST_0 = Regime("lost or at the threshold", r"\sigma \le \tau", _direction(N * t / (1 + v_0)))
ABSENT = Regime("absent", r"\sigma = 0", _direction(0 * N))

CLASSES = (KEPT, AT, LOST)  # a class has samples, so that sigma > 0
DIRECTIONS = (*CLASSES, ABSENT)


def _mean_direction(length: Any) -> Mapping[Any, Any]:
    """The mean direction under a penalised bias: its threshold is tau/rho with rho = lam_b/(1 + lam_b)."""
    threshold = N * t * (1 + u) / u
    weights = {lam_W: gamma**2 * t, lam_H: t / gamma**2, tau: N * t, lam_b: u}
    return MappingProxyType({**weights, sigma_0: threshold * length})


MEAN_KEPT = Regime("mean kept", r"\sigma_0 > \tau/\rho", _mean_direction(1 + v))
MEAN_LOST = Regime("mean lost", r"\sigma_0 \le \tau/\rho", _mean_direction(1 / (1 + v_0)))
MEAN_ABSENT = Regime("mean absent", r"\sigma_0 = 0", _mean_direction(0 * N))

MEAN_DIRECTIONS = (MEAN_KEPT, MEAN_LOST, MEAN_ABSENT)
