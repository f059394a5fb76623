"""Local minima of a smooth function some of whose variables stay at or above zero."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

_ROUNDS = 8  # of quasi-Newton steps, then Newton's
_NEWTON = 12
_POLISHED = 300  # unknowns up to which a Hessian by differences is cheap

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]  # value and slope


def descend_above_zero(fun: Objective, x: np.ndarray, held: np.ndarray, *, settled: float) -> tuple[np.ndarray, int]:
    """Bounded quasi-Newton, then Newton on the variables that are not at zero; the end, and the iterations.

    held: the variables that stay >= 0; settled: the slope, of those that may move, that is round-off.
    """
    bounds = [(0 if low else None, None) for low in held]
    options = {"maxiter": 400, "maxfun": 1000, "ftol": 0, "gtol": 1e-13, "maxcor": 20}
    work = 0
    for _ in range(_ROUNDS):
        before = fun(x)[0]
        end = minimize(fun, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        work += int(end.nit)
        x = _polish(fun, end.x, held)
        value, slope = fun(x)
        slope = np.where(held & (x == 0), np.minimum(slope, 0), slope)
        if float(np.max(np.abs(slope))) <= settled or before - value <= 1e-14 * abs(value):
            break
    return x, work


def _polish(fun: Objective, x: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Newton steps with a differenced Hessian on the variables away from their bound, while they shorten the slope.

    A step that meets bounds ends at the first, and that variable stays there.
    """
    zero = held & (x <= 1e-9 * float(np.max(x[held], initial=0.0)))
    x = np.where(zero, 0.0, x)
    value, slope = fun(x)
    for _ in range(_NEWTON):
        free = np.flatnonzero(~zero)
        if free.size > _POLISHED:
            return x
        step = _newton_step(fun, x, slope, free)
        length = np.divide(x, -step, out=np.full_like(x, np.inf), where=held & (step < 0))
        blocked = float(np.min(length, initial=np.inf)) < 1
        trial = np.maximum(x + min(1.0, float(np.min(length, initial=np.inf))) * step, np.where(held, 0.0, -np.inf))
        if blocked:
            trial[np.argmin(length)] = 0.0
        trial_value, trial_slope = fun(trial)
        zero = held & (trial == 0)
        shorter = blocked or np.linalg.norm(trial_slope[~zero]) < np.linalg.norm(slope[free])
        if not shorter or trial_value > value + 1e-12 * max(1.0, abs(value)):
            break
        x, value, slope = trial, trial_value, trial_slope
    return x


def _newton_step(fun: Objective, x: np.ndarray, slope: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Minus H^+ slope on the free variables, zero elsewhere; H by central differences, flat directions left alone."""
    size = 1e-6 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    shifts = np.zeros((free.size, x.size))
    shifts[np.arange(free.size), free] = size
    hessian = np.array([(fun(x + e)[1][free] - fun(x - e)[1][free]) / (2 * size) for e in shifts])
    curved, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    kept = np.abs(curved) > 1e-8 * np.max(np.abs(curved), initial=0.0)
    step = np.zeros_like(x)
    step[free] = -vectors[:, kept] @ ((vectors[:, kept].T @ slope[free]) / np.abs(curved[kept]))
    return step
