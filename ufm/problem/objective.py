"""The objective of a problem and its gradient, on any array backend."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from ufm.arrays import Array, Namespace, array_namespace
from ufm.constraints import FeatureMetric, Near
from ufm.errors import ProblemError
from ufm.losses import loss as find_loss
from ufm.problem.problem import Problem


class Gradient(NamedTuple):
    """Derivatives by each factor: W one m x d (or d x d) array per layer, last first; H like H; b (m)."""

    W: tuple[Array, ...]
    H: Array
    b: Array


def objective(problem: Problem, W: Array | Sequence[Array], H: Array, b: Array | None = None) -> Array:
    """The regularised loss L at (W, H, b), a 0-d array.

    W: m x d, or one array per layer, last first. H: d x N, or d x K for class means that all samples of a class share.
    b: m, or None for zero; with lam_b = inf it must be zero. ProblemError for shapes that are not the problem's, a
    wrong number of layers, or a bias where there is none.
    """
    xp, layers, T, weight = _prepare(problem, W, H)
    _check_bias(problem, b)
    penalty = sum(float(lam) * xp.sum(layer**2) for lam, layer in zip(problem.lam_W, layers, strict=True))
    penalty = penalty + float(problem.lam_H) * xp.sum(_weighed(problem, H, weight) * H)
    Z = reduce(xp.matmul, (*layers, H))
    if b is not None and problem.has_bias:
        Z = Z + b[:, None]
        penalty = penalty + float(problem.lam_b) * xp.sum(b**2)
    elif b is not None and bool(xp.any(b != 0)):
        raise ProblemError("b", b, "lam_b = inf means no bias; give zeros or None.")
    if isinstance(problem.constraint, Near):
        penalty = penalty + problem.constraint.beta / problem.N * xp.sum((H - _near(problem, H)) ** 2)
    return xp.sum(weight * find_loss(problem.loss).value(Z, T)) / problem.N + penalty / 2


def gradient(problem: Problem, W: Array | Sequence[Array], H: Array, b: Array | None = None) -> Gradient:
    """Derivative of `objective` by every factor; arguments as there.

    For d x K class means it is the derivative by the shared column, n_k times that of one sample; b's is zero without
    a bias. ProblemError as there.
    """
    xp, layers, T, weight = _prepare(problem, W, H)
    _check_bias(problem, b)
    above = [layers[0]]  # products of the layers above and including l
    for layer in layers[1:]:
        above.append(above[-1] @ layer)
    Z = above[-1] @ H
    if b is not None and problem.has_bias:
        Z = Z + b[:, None]
    E = find_loss(problem.loss).slope(Z, T) * (weight / problem.N)
    dH = above[-1].T @ E + float(problem.lam_H) * _weighed(problem, H, weight)
    if isinstance(problem.constraint, Near):
        dH = dH + problem.constraint.beta / problem.N * (H - _near(problem, H))
    dW, below = [], H
    for l in range(len(layers) - 1, -1, -1):
        upper = E if l == 0 else above[l - 1].T @ E
        dW.append(upper @ below.T + float(problem.lam_W[l]) * layers[l])
        below = layers[l] @ below
    db = xp.zeros_like(E[:, 0]) if not problem.has_bias else xp.sum(E, axis=1)
    if b is not None and problem.has_bias:
        db = db + float(problem.lam_b) * b
    return Gradient(tuple(reversed(dW)), dH, db)


def _prepare(
    problem: Problem, W: Array | Sequence[Array], H: Array
) -> tuple[Namespace, tuple[Array, ...], Array, Array]:
    """Namespace, layers, and the target columns with their multiplicities that match H's columns."""
    layers = tuple(W) if isinstance(W, (tuple, list)) else (W,)
    xp = array_namespace(*layers, H)
    if len(layers) != problem.p - 1:
        raise ProblemError("W", f"{len(layers)} layers", f"this problem has {problem.p - 1}, last layer first.")
    _check_shapes(problem, layers, H)
    targets = problem.targets
    collapsed = H.shape[1] == targets.columns.shape[1]
    T = targets.columns if collapsed else targets.matrix()
    multiplicity = targets.multiplicity if collapsed else np.ones(problem.N)
    like = {"dtype": H.dtype, "device": getattr(H, "device", None)}
    return xp, layers, xp.asarray(T, **like), xp.asarray(multiplicity.astype(float), **like)


def _weighed(problem: Problem, H: Array, weight: Array) -> Array:
    """The gradient of the features' penalty over lam_H: n_k h_k, or H M^-1 in the metric of the layer below."""
    if not isinstance(problem.constraint, FeatureMetric):
        return weight * H
    inverse = problem.constraint.inverse
    if H.shape[1] != inverse.shape[0]:
        raise ProblemError("H", tuple(H.shape), "this is its shape; FeatureMetric weighs class means, d x K.")
    return H @ array_namespace(H).asarray(inverse, dtype=H.dtype, device=getattr(H, "device", None))


def _near(problem: Problem, H: Array) -> Array:
    """H0 in H's namespace; features near given ones are one column a sample."""
    H0 = problem.constraint.H0 if isinstance(problem.constraint, Near) else None
    if H0 is None or H.shape != H0.shape:
        raise ProblemError("H", tuple(H.shape), "this is its shape; with Near it is that of H0, d x N.")
    return array_namespace(H).asarray(H0, dtype=H.dtype, device=getattr(H, "device", None))


def _check_bias(problem: Problem, b: Array | None) -> None:
    if b is not None and tuple(b.shape) != (problem.m,):
        raise ProblemError("b", tuple(b.shape), f"this is its shape; it needs ({problem.m},).")


def _check_shapes(problem: Problem, layers: tuple[Array, ...], H: Array) -> None:
    columns = problem.targets.columns.shape[1]
    if H.ndim != 2 or H.shape[1] not in (problem.N, columns):
        raise ProblemError("H", tuple(H.shape), f"this is its shape; it needs N = {problem.N} or {columns} columns.")
    rows = problem.m
    for l, layer in enumerate((*layers, H)):
        name = "H" if l == len(layers) else f"W[{l}]"
        if layer.ndim != 2 or layer.shape[0] != rows:
            raise ProblemError(name, tuple(layer.shape), f"this is its shape; it needs {rows} rows.")
        rows = layer.shape[1]
