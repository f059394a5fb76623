"""An independent look at a small problem: quasi-Newton descents on the factors themselves, from random starts.

It knows nothing of singular values, duals or closed forms: the objective and its gradient are all it asks.
"""

import math
from collections.abc import Callable
from functools import reduce

import numpy as np
from scipy.optimize import minimize

from ufm.constraints import NonNegative
from ufm.errors import UfmError
from ufm.metrics.state import labelled, observables
from ufm.problem import Problem, gradient, objective
from ufm.record import Record

_STARTS = 8
_OPTIONS = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 30}

Parts = tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray | None]


def descend(problem: Problem, *, starts: int = _STARTS, seed: int = 0) -> Record:
    """The lowest end of the descents, with its value and observables; zero is among the starts.

    Features are class means (or samples, for regression). Raises UfmError for constraints other than `NonNegative`.
    """
    if not (problem.constraint is None or isinstance(problem.constraint, NonNegative)):
        raise UfmError(f"descents know no {type(problem.constraint).__name__}; ask ufm.solve.")
    size, split = _layout(problem)
    lowest: list[tuple[int | None, None]] = [(None, None)] * size
    if problem.constraint is not None:
        features = split(np.arange(float(size)))[1] * np.sqrt(problem.targets.multiplicity)
        for index in np.rint(features).astype(int).ravel():
            lowest[index] = (0, None)

    def value(x: np.ndarray) -> float:
        return float(objective(problem, *split(x)))

    def slope(x: np.ndarray) -> np.ndarray:
        layers, H, b = split(x)
        at = gradient(problem, layers, H, b)
        parts = [*(layer.ravel() for layer in at.W), (at.H / np.sqrt(problem.targets.multiplicity)).ravel()]
        return np.concatenate(parts if b is None else [*parts, at.b])

    ends = [np.zeros(size)]
    rng = np.random.default_rng(seed)
    scale = problem.N ** (1 / (2 * problem.p))
    for _ in range(starts):
        x = rng.standard_normal(size) * scale * 10 ** rng.uniform(-0.5, 0.5)
        if problem.constraint is not None:
            x = np.where([low == 0 for low, _ in lowest], np.abs(x), x)
        ends.append(minimize(value, x, jac=slope, method="L-BFGS-B", bounds=lowest, options=_OPTIONS).x)
    best = min(ends, key=value)
    layers, H, b = split(best)
    offset = np.zeros(problem.m) if b is None else b
    weights = {"lam_H": float(problem.lam_H), "lam_b": float(problem.lam_b)}
    targets = problem.targets
    seen = observables(reduce(np.matmul, layers), H, offset, targets.multiplicity, targets.columns, **weights)
    return Record.of("optimum", labelled({**seen, "value": value(best)}), problem=problem, seed=seed)


def _layout(problem: Problem) -> tuple[int, Callable[[np.ndarray], Parts]]:
    """How many numbers a point has, and how they become layers (last first), features and bias.

    Features are scaled by sqrt(n_k), so that the penalty sees all coordinates alike.
    """
    columns = problem.targets.columns.shape[1]
    d = problem.width if problem.width is not None else min(problem.m, columns)
    if isinstance(problem.constraint, NonNegative):
        d = problem.width if problem.width is not None else max(problem.m, columns)
    shapes = [(problem.m, d), *[(d, d)] * (problem.p - 2), (d, columns)]
    cuts = np.cumsum([math.prod(shape) for shape in shapes])
    root = np.sqrt(problem.targets.multiplicity)

    def split(x: np.ndarray) -> Parts:
        parts = np.split(x, cuts)
        *layers, H = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=False))
        return tuple(layers), H / root, parts[-1] if problem.has_bias else None

    return int(cuts[-1]) + (problem.m if problem.has_bias else 0), split
