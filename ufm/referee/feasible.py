"""Descents on the factors that know a problem's constraint: whatever they end at is allowed.

No solver of `ufm.optimum` is asked, no duality and no singular value: the objective and its gradient, a box for signs
and for a classifier that is given, a sphere over the ball of a norm budget, and the margins themselves.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from ufm.constraints import FeatureMetric, FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.problem import Problem, gradient, objective

_OPTIONS = {"maxiter": 200, "maxfun": 1000, "ftol": 1e-15, "gtol": 1e-10}
_MARGIN_OPTIONS = {"maxiter": 100, "ftol": 1e-14}
_INWARDS = 0.1  # height on the sphere from which a point on a budget's boundary may leave it
_KNOWN = (FeatureMetric, FixedClassifier, HardMargin, Near, NonNegative, NormBudget)

Parts = tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]  # layers (last first), features, bias
Slope = Callable[[np.ndarray], tuple[float, np.ndarray]]


def can_descend(problem: Problem) -> bool:
    """Whether `descended` knows the problem's constraint."""
    return problem.constraint is None or isinstance(problem.constraint, _KNOWN)


def descended(problem: Problem, start: Parts) -> float:
    """The objective where a descent from these factors ends; inf where it finds no allowed point."""
    if isinstance(problem.constraint, HardMargin):
        return _within_margins(problem, start)
    if isinstance(problem.constraint, NormBudget):
        return _within_budgets(problem, problem.constraint, start)
    layers, H, b = start
    lowest, highest = (_split(np.full(_size(start), end), start) for end in (-np.inf, np.inf))
    if isinstance(problem.constraint, NonNegative):
        lowest[1][:] = 0.0
    if isinstance(problem.constraint, FixedClassifier):
        lowest[0][0][:] = highest[0][0][:] = problem.constraint.W
    if not problem.has_bias:
        lowest[2][:] = highest[2][:] = 0.0
    box = list(zip(_flat(lowest), _flat(highest), strict=True))
    x = np.clip(_flat((layers, H, b)), *np.transpose(box))
    return _quasi_newton(_slope(problem, start), x, box)


def _slope(problem: Problem, like: Parts) -> Slope:
    """The objective and its gradient over the flat factors, shaped as `like`."""

    def at(x: np.ndarray) -> tuple[float, np.ndarray]:
        layers, H, b = _split(x, like)
        found = gradient(problem, layers, H, b)
        return float(objective(problem, layers, H, b)), _flat((found.W, found.H, found.b))

    return at


def _quasi_newton(value: Slope, x: np.ndarray, box: list[tuple[float, float]] | None = None) -> float:
    solver: Callable = minimize
    return float(solver(value, x, jac=True, method="L-BFGS-B", bounds=box, options=_OPTIONS).fun)


# --- norm budgets -------------------------------------------------------------------------------------------------


def _within_budgets(problem: Problem, budget: NormBudget, start: Parts) -> float:
    """Every factor is R u/|(u, a)|, a point of the sphere over its ball: no step leaves it, and none need end on it."""
    (W,), H, b = start
    radii = math.sqrt(problem.K * budget.E_W), math.sqrt(problem.K * budget.E_H)
    inner, cut = _slope(problem, start), W.size + 1

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        over = tuple(zip((x[:cut], x[cut:]), radii, strict=True))
        y = np.concatenate([radius * v[:-1] / np.linalg.norm(v) for v, radius in over])
        found, slope = inner(np.concatenate([y, 0 * b]))
        parts = np.append(slope[: W.size], 0.0), np.append(slope[W.size : y.size], 0.0)
        return found, np.concatenate([_along_sphere(v, g, R) for (v, R), g in zip(over, parts, strict=True)])

    x = [_on_sphere(part.ravel(), radius) for part, radius in zip((W, H), radii, strict=True)]
    return _quasi_newton(value, np.concatenate(x))


def _on_sphere(y: np.ndarray, radius: float) -> np.ndarray:
    """(u, a) over a point of the ball, or over the nearest of its boundary where the point lies outside."""
    u = y / radius / max(1.0, float(np.linalg.norm(y)) / radius)
    return np.append(u, max(_INWARDS, math.sqrt(max(0.0, 1 - float(u @ u)))))


def _along_sphere(v: np.ndarray, g: np.ndarray, radius: float) -> np.ndarray:
    """The derivative by v of a function whose slope at radius v/|v| is g."""
    size = float(np.linalg.norm(v))
    return radius / size * (g - v * float(v @ g) / size**2)


# --- unit margins -------------------------------------------------------------------------------------------------


def _within_margins(problem: Problem, start: Parts) -> float:
    """The penalties under z_kk - z_jk >= 1, in factors so scaled that they are |x|^2/2; the end is scaled to margin 1.

    Margins are of the second degree in the factors, and so are penalties: what misses the margins is no rival until it
    is divided by the least of them.
    """
    (W,), H, _ = start
    weights = math.sqrt(float(problem.lam_W[0])), np.sqrt(float(problem.lam_H) * problem.targets.multiplicity)
    if weights[0] == 0 or not np.all(weights[1]):  # nothing is below the value 0 of factors that cost nothing
        return math.inf
    K = problem.K
    own, other = np.nonzero(~np.eye(K, dtype=bool))  # class k of the sample, another class j

    def factors(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x[: W.size].reshape(W.shape) / weights[0], x[W.size :].reshape(H.shape) / weights[1]

    def margins(x: np.ndarray) -> np.ndarray:
        classifier, means = factors(x)
        Z = classifier @ means
        return Z[own, own] - Z[other, own]

    def jacobian(x: np.ndarray) -> np.ndarray:
        classifier, means = factors(x)
        rows = np.arange(own.size)
        by_W, by_H = np.zeros((own.size, *W.shape)), np.zeros((own.size, *H.shape))
        by_W[rows, own] = means.T[own] / weights[0]
        by_W[rows, other] = -means.T[own] / weights[0]
        by_H[rows, :, own] = (classifier[own] - classifier[other]) / weights[1][own, None]
        return np.hstack([by_W.reshape(own.size, -1), by_H.reshape(own.size, -1)])

    x = np.concatenate([(W * weights[0]).ravel(), (H * weights[1]).ravel()])
    solver: Callable = minimize
    end = solver(
        lambda x: (x @ x / 2, x),
        x,
        jac=True,
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda x: margins(x) - 1, "jac": jacobian},
        options=_MARGIN_OPTIONS,
    ).x
    least = float(margins(end).min())
    return float(end @ end) / 2 / least if least > 0 else math.inf


# --- flat factors -------------------------------------------------------------------------------------------------


def _flat(parts: tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]) -> np.ndarray:
    layers, H, b = parts
    return np.concatenate([part.ravel() for part in (*layers, H, b)])


def _size(parts: Parts) -> int:
    return _flat(parts).size


def _split(x: np.ndarray, like: Parts) -> Parts:
    """Factors of the shapes of `like`, as views of x."""
    layers, H, b = like
    shapes = [part.shape for part in (*layers, H, b)]
    cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    *W, features, bias = (part.reshape(shape) for part, shape in zip(np.split(x, cuts), shapes, strict=True))
    return tuple(W), features, bias
