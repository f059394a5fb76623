"""The second derivative of the Lagrangian in the factors, applied to tangents; what leaves it flat by symmetry.

Coordinates are those of N samples: class means are scaled by sqrt(n_k), so a step's length is that of its samples, and
with F_p = H diag(q), q_k = sqrt(n_k), the form is, C_k the loss's second derivative by the logits of column k,

    sum_k ||d(F_1..F_p)_k + db q_k||^2_{C_k}/N + 2 <E, second-order part of F_1..F_p> + sum_l lam_l ||dF_l||^2 + ...,

E (m x columns) the slope of the fit by F_1..F_p, or minus the multipliers where constraints take the fit's place.
Rotating the space between two factors leaves the objective as it is; any linear map does where both have weight zero.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ufm.losses import RescaledMSE
from ufm.losses import loss as find_loss
from ufm.problem import Problem

Curve = Callable[[np.ndarray], np.ndarray]

_DEAD = 1e-16  # of the largest squared length of a feature


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit step in the factors: W like the layers, H like the features (class means or samples), b (m)."""

    W: tuple[np.ndarray, ...]
    H: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, eq=False)
class Hessian:
    """The form above at one point. A tangent is a vector: the factors row by row, then b where `lam_b` is not None.

    factors: F_1 (m x d), .., F_p (d x columns); lam: weight of each, a number, or one for each column; E: m x columns;
    curve: (j x m x columns) -> the same, C/N on each column; q (columns); shifts: whether a constant in b is free.
    """

    factors: tuple[np.ndarray, ...]
    lam: tuple[float | np.ndarray, ...]
    E: np.ndarray
    curve: Curve
    q: np.ndarray
    lam_b: float | None = None
    shifts: bool = False
    left: list[np.ndarray] = field(init=False)  # products of the factors before each one
    right: list[np.ndarray] = field(init=False)  # and after each but the last: columns may be many

    def __post_init__(self) -> None:
        left, right = [np.eye(self.E.shape[0])], [self.factors[-1]]
        for factor in self.factors:
            left.append(left[-1] @ factor)
        for factor in self.factors[-2:0:-1]:
            right.insert(0, factor @ right[0])
        object.__setattr__(self, "left", left)
        object.__setattr__(self, "right", right)

    @property
    def m(self) -> int:
        """Rows of the product."""
        return self.E.shape[0]

    @property
    def ends(self) -> np.ndarray:
        """Where each factor ends in a tangent (p)."""
        return np.cumsum([factor.size for factor in self.factors])

    @property
    def size(self) -> int:
        """Number of variables."""
        return int(self.ends[-1]) + (self.m if self.lam_b is not None else 0)

    def split(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Rows of x (j x size) as batches of factors, and of b (j x m, or j x 0)."""
        parts = np.split(x, self.ends, axis=1)
        shaped = [part.reshape(-1, *factor.shape) for part, factor in zip(parts, self.factors, strict=False)]
        return shaped, parts[-1]

    def join(self, dF: list[np.ndarray], db: np.ndarray | None = None) -> np.ndarray:
        """The inverse of `split`; db None for zeros."""
        parts = [part.reshape(part.shape[0], part.shape[1] * part.shape[2]) for part in dF]
        if self.lam_b is not None:
            parts.append(np.zeros((parts[0].shape[0], self.m)) if db is None else db)
        return np.concatenate(parts, axis=1)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The form's matrix times each row of x (j x size)."""
        dF, db = self.split(x)
        p = len(dF)
        d_left = [np.zeros((1, *self.left[0].shape))]  # derivatives of the products before and after each factor
        for j in range(p):
            d_left.append(d_left[-1] @ self.factors[j] + self.left[j] @ dF[j])
        d_right = [dF[-1]]
        for j in range(p - 2, 0, -1):
            d_right.insert(0, dF[j] @ self.right[j] + self.factors[j] @ d_right[0])
        dE = self.curve(d_left[-1] + (db[:, :, None] * self.q if self.lam_b is not None else 0.0))
        out = []
        for j in range(p):
            L = self.left[j].T
            if j == p - 1:  # nothing follows
                out.append(L @ dE + np.swapaxes(d_left[j], 1, 2) @ self.E + self.lam[j] * dF[j])
                continue
            R = self.right[j].T
            curved = np.swapaxes(d_left[j], 1, 2) @ (self.E @ R) + (L @ self.E) @ np.swapaxes(d_right[j], 1, 2)
            out.append(L @ dE @ R + curved + self.lam[j] * dF[j])
        return self.join(out, None if self.lam_b is None else dE @ self.q + self.lam_b * db)

    def product_change(self, x: np.ndarray) -> np.ndarray:
        """First-order change of F_1..F_p (j x m x columns)."""
        dF, _ = self.split(x)
        inner = (self.left[j] @ dF[j] @ self.right[j] for j in range(len(dF) - 1))
        return sum(inner, self.left[len(dF) - 1] @ dF[-1])

    def pulled_back(self, B: np.ndarray) -> np.ndarray:
        """The adjoint of `product_change`: tangents from a batch of j x m x columns."""
        inner = [self.left[j].T @ B @ self.right[j].T for j in range(len(self.factors) - 1)]
        return self.join([*inner, self.left[len(self.factors) - 1].T @ B])

    def direction(self, x: np.ndarray) -> Direction:
        """A vector as a step in the factors, H in the units it was given in."""
        parts, db = self.split(x[None])
        b = db[0] if self.lam_b is not None else np.zeros(self.m)
        return Direction(tuple(part[0] for part in parts[:-1]), parts[-1][0] / self.q, b)


def hessian_of(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray | None) -> Hessian:
    """The second derivative of the objective itself at a point of any problem whose constraint adds no term."""
    q, targets = columns_of(problem, H)
    Z = logits(W, H, b)
    lam_b = float(problem.lam_b) if problem.has_bias else None
    return Hessian(
        factors=(*W, H * q),
        lam=(*map(float, problem.lam_W), float(problem.lam_H)),
        E=find_loss(problem.loss).slope(Z, targets) * (q / problem.N),
        curve=curve_of(problem, Z, targets),
        q=q,
        lam_b=lam_b,
        shifts=problem.loss == "cross_entropy" and lam_b == 0,
    )


def columns_of(problem: Problem, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square roots of the sizes of H's columns, and their targets: of class means, or of samples."""
    if H.shape[1] == problem.targets.columns.shape[1]:
        return np.sqrt(problem.targets.multiplicity), problem.targets.columns
    return np.ones(problem.N), problem.targets.matrix()


def logits(W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """W_{p-1}..W_1 H + b (m x columns)."""
    Z = H
    for layer in reversed(W):
        Z = layer @ Z
    return Z if b is None else Z + b[:, None]


def curve_of(problem: Problem, Z: np.ndarray, T: np.ndarray) -> Curve:
    """The loss's second derivative at logits Z over N, applied to batches of changes (j x m x columns)."""
    N = problem.N
    if isinstance(problem.loss, RescaledMSE):
        weights = problem.loss.weights(T) / N
        return lambda D: weights * D
    if problem.loss == "mse":
        return lambda D: D / N
    P = np.exp(Z - Z.max(axis=0))
    P, mass = P / P.sum(axis=0), T.sum(axis=0) / N
    return lambda D: mass * P * (D - np.sum(P * D, axis=-2, keepdims=True))


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear functionals of a tangent: their values (j x size) -> (j x number), and the adjoint of that."""

    number: int
    values: Curve
    adjoint: Curve

    def chosen(self, index: np.ndarray) -> "Rows":
        """Some of them."""

        def adjoint(y: np.ndarray) -> np.ndarray:
            whole = np.zeros((y.shape[0], self.number))
            whole[:, index] = y
            return self.adjoint(whole)

        return Rows(index.size, lambda x: self.values(x)[:, index], adjoint)

    def __add__(self, other: "Rows") -> "Rows":
        cut = self.number
        return Rows(
            cut + other.number,
            lambda x: np.concatenate([self.values(x), other.values(x)], axis=1),
            lambda y: self.adjoint(y[:, :cut]) + other.adjoint(y[:, cut:]),
        )


class Orbit:
    """The directions F_j S, -S F_{j+1} along which nothing changes, S antisymmetric inside each block of features.

    blocks: which features may be rotated into each other (indices; one list of blocks for each pair of neighbours), by
    default all of them. A free bias of a cross-entropy adds a constant in every logit.
    """

    def __init__(self, hessian: Hessian, blocks: list[list[np.ndarray]] | None = None) -> None:
        self.hessian = hessian
        neighbours = itertools.pairwise(hessian.factors)
        self.blocks = blocks if blocks is not None else [[np.arange(left.shape[1])] for left, _ in neighbours]
        self.linear = [
            all(np.all(np.asarray(lam) == 0) for lam in hessian.lam[j : j + 2]) for j in range(len(self.blocks))
        ]
        self.first, self.second = [], []
        for within, linear in zip(self.blocks, self.linear, strict=True):
            pairs = [np.zeros((2, 0), int), *(_pairs(block, linear) for block in within)]
            first, second = np.concatenate(pairs, axis=1)
            self.first.append(first)
            self.second.append(second)

    @property
    def rows(self) -> Rows:
        """Their inner products with a tangent: one for every generator, and one for the shift of the bias."""
        number = sum(first.size for first in self.first) + self.hessian.shifts
        return Rows(number, self._products, self._tangents)

    def _tangents(self, coefficients: np.ndarray) -> np.ndarray:
        hessian, number = self.hessian, coefficients.shape[0]
        dF = [np.zeros((number, *factor.shape)) for factor in hessian.factors]
        at = 0
        for j, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            d = hessian.factors[j].shape[1]
            S = np.zeros((number, d, d))
            S[:, first, second] = coefficients[:, at : at + first.size]
            S = S if self.linear[j] else S - np.swapaxes(S, 1, 2)
            dF[j] += hessian.factors[j] @ S
            dF[j + 1] -= S @ hessian.factors[j + 1]
            at += first.size
        return hessian.join(dF, np.repeat(coefficients[:, at:], hessian.m, axis=1) if hessian.shifts else None)

    def _products(self, x: np.ndarray) -> np.ndarray:
        dF, db = self.hessian.split(x)
        found = []
        for j, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            left, right = self.hessian.factors[j], self.hessian.factors[j + 1]
            R = left.T @ dF[j] - dF[j + 1] @ right.T
            found.append((R if self.linear[j] else R - np.swapaxes(R, 1, 2))[:, first, second])
        if self.hessian.shifts:
            found.append(db.sum(axis=1, keepdims=True))
        return np.concatenate([np.zeros((x.shape[0], 0)), *found], axis=1)

    @property
    def dimension(self) -> int:
        """Of the orbit of a balanced point: generators between features of which one at least is not zero."""
        found = int(self.hessian.shifts)
        for j, blocks in enumerate(self.blocks):
            left, right = self.hessian.factors[j], self.hessian.factors[j + 1]
            moved = left.T @ left + right @ right.T
            for block in blocks:
                length = np.linalg.eigvalsh(moved[np.ix_(block, block)])
                alive = int(np.sum(length > _DEAD * max(float(np.max(length, initial=0.0)), np.finfo(float).tiny)))
                pairs = alive * (alive - 1) // 2 + alive * (block.size - alive)
                found += 2 * pairs + alive if self.linear[j] else pairs
        return found


def _pairs(block: np.ndarray, linear: bool) -> np.ndarray:
    """Entries of S that may be chosen (2 x number): all of them, or those above the diagonal."""
    size = block.size
    chosen = np.indices((size, size)).reshape(2, -1) if linear else np.array(np.triu_indices(size, 1))
    return block[chosen]
