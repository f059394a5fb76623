"""Descents over the factors themselves, for problems that no product X makes convex: quasi-Newton, then Newton.

A descent that ends where the Hessian has a negative eigenvalue goes on along its direction: no saddle is an answer
where second order is looked at, which is up to a size, and not for several layers under a sign.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from ufm.constraints import NonNegative
from ufm.optimum.bounded import descend_above_zero
from ufm.optimum.critical import is_known
from ufm.optimum.curvature import curvature, variables
from ufm.optimum.hessian import Direction
from ufm.problem import Problem, gradient, objective

_POLISHED = 500  # variables up to which a dense Newton polish, and a look at the Hessian, are affordable
_ESCAPES = 5


@dataclass(frozen=True, eq=False)
class End:
    """Where a descent ended: the objective, layers W (last first), H (d x K, or d x N), b (m, zeros without one)."""

    value: float
    W: tuple[np.ndarray, ...]
    H: np.ndarray
    b: np.ndarray


def settle(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray) -> End:
    """A local minimum at or below this point: descend, leave saddles along their escape direction, descend again."""
    end = descend(problem, W, H, b)
    for _ in range(_ESCAPES):
        if variables(problem, end.W, end.H) > _POLISHED or not is_known(problem):
            break
        way = curvature(problem, end.W, end.H, end.b).direction
        if way is None:
            break
        following = min((descend(problem, *_moved(end, way, sign)) for sign in (1.0, -1.0)), key=lambda e: e.value)
        if following.value >= end.value - 1e-12 * max(1.0, abs(end.value)):
            break
        end = following
    return end


def best_of(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray, starts: int) -> End:
    """The lowest of the descents from this point and from random factors of its size, settled."""
    rng = np.random.default_rng(0)
    ends = [descend(problem, W, H, b)]
    for _ in range(starts - 1):
        random = [_as_large_as(layer, rng) for layer in (*W, H)]
        ends.append(descend(problem, tuple(random[:-1]), random[-1], b))
    lowest = min(ends, key=lambda end: end.value)
    return settle(problem, lowest.W, lowest.H, lowest.b)


def descend(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray) -> End:
    """L-BFGS on all factors, then Newton steps to round-off where they are affordable; H >= 0 where it must be.

    The objective is taken in units of its value at the start, so that the tolerances mean the same at any scale.
    """
    shapes = [layer.shape for layer in (*W, H)]
    cuts = np.cumsum([rows * columns for rows, columns in shapes])
    scale = np.sqrt(problem.targets.multiplicity) if H.shape[1] != problem.N else np.ones(problem.N)

    offset = b if problem.has_bias else None
    unit = float(objective(problem, W, H, offset)) or 1.0

    def split(x: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray | None]:
        parts = np.split(x, cuts)
        *layers, features = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=False))
        return tuple(layers), features / scale, parts[-1] if problem.has_bias else None

    def slope(x: np.ndarray) -> np.ndarray:
        layers, features, offset = split(x)
        g = gradient(problem, layers, features, offset)
        pieces = [*(layer.ravel() for layer in g.W), (g.H / scale).ravel()]
        return np.concatenate([*pieces, g.b] if problem.has_bias else pieces) / unit

    def value(x: np.ndarray) -> float:
        return float(objective(problem, *split(x))) / unit

    start = [*(layer.ravel() for layer in W), (H * scale).ravel(), *([] if offset is None else [offset])]
    options = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 30}
    x = np.concatenate(start)
    if isinstance(problem.constraint, NonNegative):
        held = np.zeros(x.size, dtype=bool)
        held[cuts[-2] : cuts[-1]] = True
        settled = 1e-13 * max(1.0, float(np.max(np.abs(x))))
        x, _ = descend_above_zero(lambda x: (value(x), slope(x)), x, held, settled=settled)
    else:
        x = _polish(minimize(value, x, jac=slope, method="L-BFGS-B", options=options).x, slope, value)
    layers, features, offset = split(x)
    at_end = float(objective(problem, layers, features, offset))
    return End(at_end, layers, features, np.zeros(problem.m) if offset is None else offset)


def _moved(end: End, way: Direction, sign: float) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """A step along an escape direction, a tenth of the size of the factors."""
    size = sign * 0.1 * max(1e-3, float(np.sqrt(sum(np.sum(layer**2) for layer in end.W))))
    layers = tuple(layer + size * step for layer, step in zip(end.W, way.W, strict=True))
    return layers, end.H + size * way.H, end.b + size * way.b


def _as_large_as(factor: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    random = rng.standard_normal(factor.shape)
    return random * (float(np.linalg.norm(factor)) / float(np.linalg.norm(random)))


def _polish(
    x: np.ndarray, slope: Callable[[np.ndarray], np.ndarray], value: Callable[[np.ndarray], float]
) -> np.ndarray:
    """A few Newton steps with a differenced Hessian, off its kernel (rotations of the layers), while they help."""
    if x.size > _POLISHED:
        return x
    g = slope(x)
    for _ in range(4):
        size = 1e-6 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
        hessian = np.stack([(slope(x + size * e) - slope(x - size * e)) / (2 * size) for e in np.eye(x.size)])
        eigenvalues, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        kept = np.abs(eigenvalues) > 1e-7 * np.max(np.abs(eigenvalues))
        step = vectors[:, kept] @ ((vectors[:, kept].T @ g) / np.abs(eigenvalues[kept]))
        following = x - step
        g_following = slope(following)
        if np.linalg.norm(g_following) >= np.linalg.norm(g) / 2 or value(following) > value(x) + 1e-12:
            break
        x, g = following, g_following
    return x
