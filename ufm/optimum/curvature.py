"""Second order at a critical point: the least eigenvalue of the Hessian in the factors, off the rotations' orbit.

Coordinates are those of N samples: class means are scaled by sqrt(n_k), so a step's length is that of its samples.
Features within class k decouple, with the Hessian W'C_k W/N + lam_H: W the whole product, C_k the loss's second
derivative by the logits (I for the squared loss, mass (diag p - pp') for cross-entropy). Rotating the space between
two factors leaves the objective as it is (any linear map does where both have weight zero): those directions are
projected out.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from ufm.errors import ProblemError, UfmError
from ufm.losses import RescaledMSE
from ufm.losses import loss as find_loss
from ufm.problem import Problem

_DENSE = 800  # variables up to which the whole Hessian is written down, and a certificate tells the curvature
_BATCH = 2**22  # numbers of one factor's batch of tangents


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit step in the factors: W like the layers, H like the features (class means or samples), b (m)."""

    W: tuple[np.ndarray, ...]
    H: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, eq=False)
class Curvature:
    """The least eigenvalue of the Hessian off the orbit; the escape direction where it is negative, None elsewhere.

    orbit_dimension: of the orbit of the rotations through this point; scale: the size of a typical eigenvalue.
    """

    least: float
    direction: Direction | None
    orbit_dimension: int
    scale: float


def curvature(
    problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray | None = None, tol: float = 1e-8
) -> Curvature:
    """Least eigenvalue of the Hessian of the objective at a critical point: any loss, any p >= 2, no constraint.

    W: layers, last first; H: class means (d x K) or samples (d x N); b (m) or None. tol: relative accuracy of Lanczos,
    which takes over from a dense eigenvalue problem above 800 variables.
    """
    if problem.constraint is not None:
        raise ProblemError("constraint", problem.constraint, "curvature is that of an unconstrained problem; None.")
    hessian = _Hessian(problem, tuple(W), H, b)
    orbit = _orbit(hessian)
    size = hessian.size
    if size <= _DENSE:
        values, vectors = _dense(hessian, orbit)
        scale = max(abs(float(values[-1])), abs(float(values[0])))
        least, vector = float(values[0]), vectors[:, 0]
    else:
        least, vector, scale = _lanczos(hessian, orbit, tol)
    within = _within_class(problem, hessian)
    negative = least < -1e3 * np.finfo(float).eps * scale
    direction = hessian.direction(vector) if negative else None
    return Curvature(min(least, within), direction, orbit.shape[1], scale)


def variables(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray) -> int:
    """Number of variables of the Hessian: entries of all factors, and of the bias where there is one."""
    return sum(layer.size for layer in W) + H.size + (problem.m if problem.has_bias else 0)


def second_order(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray) -> float | None:
    """The least eigenvalue for a certificate: None where it is not a matter of a second at most."""
    return curvature(problem, W, H, b).least if variables(problem, W, H) <= _DENSE else None


class _Hessian:
    """The objective's second derivative at one point, applied to batches of tangents."""

    def __init__(self, problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray | None) -> None:
        self.N, self.has_bias = problem.N, problem.has_bias
        self.collapsed = H.shape[1] == problem.targets.columns.shape[1]
        weights = problem.targets.multiplicity if self.collapsed else np.ones(problem.N)
        targets = problem.targets.columns if self.collapsed else problem.targets.matrix()
        self.q = np.sqrt(weights)
        self.factors = (*W, H * self.q)
        self.lam = [*map(float, problem.lam_W), float(problem.lam_H)]
        self.lam_b = float(problem.lam_b) if self.has_bias else 0.0
        self.shifts = problem.loss == "cross_entropy" and self.has_bias and self.lam_b == 0
        self.shapes = [factor.shape for factor in self.factors]
        self.size = sum(factor.size for factor in self.factors) + (problem.m if self.has_bias else 0)
        self.left = [np.eye(problem.m)]  # product of the factors before each one
        for factor in self.factors:
            self.left.append(self.left[-1] @ factor)
        self.right = [np.eye(H.shape[1])]  # and after it
        for factor in reversed(self.factors):
            self.right.insert(0, factor @ self.right[0])
        bias = np.zeros(problem.m) if b is None else b
        Z = self.left[-1] / self.q + bias[:, None]
        self.E = find_loss(problem.loss).slope(Z, targets) * (self.q / self.N)
        self.curve = _curve(problem, Z, targets)

    def split(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Rows of x (j x size) as batches of factors, and of b."""
        parts, at = [], 0
        for rows, columns in self.shapes:
            parts.append(x[:, at : at + rows * columns].reshape(-1, rows, columns))
            at += rows * columns
        return parts, x[:, at:]

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The Hessian times each row of x (j x size)."""
        dF, db = self.split(x)
        p = len(dF)
        d_left = [np.zeros((1, *self.left[0].shape))]  # derivatives of the products before and after each factor
        for j in range(p):
            d_left.append(d_left[-1] @ self.factors[j] + self.left[j] @ dF[j])
        d_right = [np.zeros((1, *self.right[-1].shape))]
        for j in range(p - 1, 0, -1):
            d_right.insert(0, dF[j] @ self.right[j + 1] + self.factors[j] @ d_right[0])
        dZ = d_left[-1] / self.q + (db[:, :, None] if self.has_bias else 0.0)
        dE = self.curve(dZ) * (self.q / self.N)
        out = []
        for j in range(p):
            L, R = self.left[j].T, self.right[j + 1].T
            curved = np.swapaxes(d_left[j], 1, 2) @ (self.E @ R) + (L @ self.E) @ np.swapaxes(d_right[j], 1, 2)
            out.append((L @ dE @ R + curved + self.lam[j] * dF[j]).reshape(x.shape[0], -1))
        if self.has_bias:
            out.append(dE @ self.q + self.lam_b * db)
        return np.concatenate(out, axis=1)

    def direction(self, x: np.ndarray) -> Direction:
        """A vector as a step in the factors, H in the units it was given in."""
        parts, db = self.split(x[None])
        b = db[0] if self.has_bias else np.zeros(self.left[0].shape[0])
        return Direction(tuple(part[0] for part in parts[:-1]), parts[-1][0] / self.q, b)


def _orbit(hessian: _Hessian) -> np.ndarray:
    """Orthonormal basis (size x dimension) of the directions F_j S, -S F_{j+1} along which nothing changes."""
    columns, factors, at = [], hessian.factors, 0
    for j, (left, right) in enumerate(itertools.pairwise(factors)):
        d = right.shape[0]
        if hessian.lam[j] == hessian.lam[j + 1] == 0:
            generators = np.eye(d * d).reshape(d * d, d, d)
        else:
            first, second = np.triu_indices(d, 1)
            generators = np.zeros((first.size, d, d))
            generators[np.arange(first.size), first, second] = 1.0
            generators[np.arange(first.size), second, first] = -1.0
        block = np.zeros((generators.shape[0], hessian.size))
        middle = at + left.size
        block[:, at:middle] = (left @ generators).reshape(generators.shape[0], left.size)
        block[:, middle : middle + right.size] = -(generators @ right).reshape(generators.shape[0], right.size)
        columns.append(block)
        at = middle
    if hessian.shifts:  # a constant in every logit, which a free bias gives for nothing
        shift = np.zeros((1, hessian.size))
        shift[0, hessian.size - hessian.left[0].shape[0] :] = 1.0
        columns.append(shift)
    tangents = np.concatenate(columns)
    tangents = tangents[np.linalg.norm(tangents, axis=1) > 0]
    if tangents.shape[0] == 0:
        return np.zeros((hessian.size, 0))
    U, s, _ = np.linalg.svd(tangents.T, full_matrices=False)
    return U[:, s > 1e-8 * s[0]]


def _dense(hessian: _Hessian, orbit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues in rising order and eigenvectors, on the orthogonal complement of the orbit."""
    size = hessian.size
    rows = max(1, _BATCH // size)
    matrix = np.concatenate([hessian.apply(np.eye(size)[i : i + rows]) for i in range(0, size, rows)])
    matrix = (matrix + matrix.T) / 2
    basis = np.linalg.qr(orbit, mode="complete")[0][:, orbit.shape[1] :] if orbit.shape[1] else np.eye(size)
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    return values, basis @ vectors


def _lanczos(hessian: _Hessian, orbit: np.ndarray, tol: float) -> tuple[float, np.ndarray, float]:
    """Least eigenvalue, its vector, and the largest magnitude, by Lanczos; the orbit is lifted to the top."""
    size = hessian.size

    def off(x: np.ndarray) -> np.ndarray:
        return x - orbit @ (orbit.T @ x)

    def times(x: np.ndarray) -> np.ndarray:
        return off(hessian.apply(off(x.ravel())[None])[0])

    def operator(matvec: Callable[[np.ndarray], np.ndarray]) -> LinearOperator:
        made: Any = LinearOperator  # SciPy's constructor hands out a subclass, which its types do not say
        return made((size, size), matvec=matvec, dtype=float)

    start: Any = off(np.random.default_rng(0).standard_normal(size))
    options: Any = {"k": 1, "v0": start, "ncv": min(size - 1, 60), "maxiter": 20 * size}
    scale = abs(float(eigsh(operator(times), which="LM", return_eigenvectors=False, **{**options, "tol": 1e-3})[0]))
    lifted = operator(lambda x: times(x) + scale * (x.ravel() - off(x.ravel())))
    try:
        values, vectors = eigsh(lifted, which="SA", tol=tol, **options)  # pyright: ignore[reportArgumentType]
    except ArpackNoConvergence as error:
        raise UfmError(f"Lanczos did not reach tol = {tol:g}; ask for a larger tol in curvature(...).") from error
    return float(values[0]), vectors[:, 0], scale


def _within_class(problem: Problem, hessian: _Hessian) -> float:
    """Least eigenvalue among features that differ within a class; inf where no class has two samples."""
    many = np.flatnonzero(problem.targets.multiplicity > 1) if hessian.collapsed else np.zeros(0, dtype=int)
    if many.size == 0:
        return np.inf
    product, columns = hessian.left[-2], hessian.q.size
    if isinstance(problem.loss, str) and problem.loss == "mse":
        many = many[:1]  # the same in all classes
    unit = np.eye(problem.m)
    least = np.inf
    for k in many:
        images = np.zeros((problem.m, problem.m, columns))
        images[:, :, k] = unit
        C = hessian.curve(images)[:, :, k]
        least = min(least, float(np.linalg.eigvalsh(product.T @ C @ product / problem.N)[0]))
    return least + hessian.lam[-1]


def _curve(problem: Problem, Z: np.ndarray, T: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The loss's second derivative at logits Z applied to batches of changes (j x m x columns)."""
    if isinstance(problem.loss, RescaledMSE):
        weights = problem.loss.weights(T)
        return lambda D: weights * D
    if problem.loss == "mse":
        return lambda D: D
    P = np.exp(Z - Z.max(axis=0))
    P, mass = P / P.sum(axis=0), T.sum(axis=0)
    return lambda D: mass * P * (D - np.sum(P * D, axis=-2, keepdims=True))
