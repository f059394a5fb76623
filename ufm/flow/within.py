"""Columns of H that see no target, through B = N S = (sum of their squares, d x d) alone (theory: section 6).

Let G = P'P/N + lam_H. Each such column h moves by dh = -G h, so B by dB = -(G B + B G), and the classifier feels them
only through P B. `Scatter` carries B (S-mode), `Law` knows it (A-mode, lam_W = lam_H): neither depends on N.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ufm.arrays import Array, array_namespace, transposed


@dataclass(frozen=True, eq=False)
class Law:
    """lam_W = lam_H = l, p = 2: W'W - HH' = e^(-2lt) D0 exactly, in axes along which D0 is diagonal.

    So B = W'W - (seen columns) - e^(-2lt) D0. Put in place of B it obeys the equation of B for any perturbation of W
    and H, so errors in it decay as B does. But late it is a small difference of large numbers: good to eps ||W||^2.

    eigenvalues: of D0 (d); start: tr B at t = 0. In a stack of B flows l, total and start have length B, and
    eigenvalues are B x 1 x d.
    """

    l: Any
    eigenvalues: Array
    total: Any  # tr D0
    start: Any
    size: int = 0

    def later(self, t: float) -> "Law":
        """The same law in the time since t."""
        left = self.left(t)
        return replace(self, eigenvalues=self.eigenvalues * left, total=self.total * left, start=self.trace_bound(t))

    def left(self, t: Any) -> Any:
        """e^(-2lt), what is left of D0; t is a number, or one of every flow of a stack (B)."""
        return math.exp(-2 * self.l * t) if isinstance(t, float) else array_namespace(t).exp(-2 * self.l * t)

    def gram_pull(self, W: Array, t: Any, N: Any = 1) -> Array:
        """W (W'W - e^(-2lt) D0)/N, m x d: W S with the seen columns' part not yet taken away."""
        gram = W @ transposed(W)
        gram /= N
        return self.less(gram @ W, W, t, N)

    def less(self, moved: Array, W: Array, t: Any, N: Any = 1) -> Array:
        """moved - W e^(-2lt) D0/N."""
        left = self.left(t)
        less = W * (self.eigenvalues * ((left if isinstance(left, float) else left[:, None, None]) / -N))
        less += moved
        return less

    def trace(self, square_W: float, square_H: float, t: float) -> float:
        """tr B, within its exact bounds, from ||W||^2 and that of the seen columns."""
        by_law = square_W - square_H - self.left(t) * self.total
        return by_law if math.isnan(by_law) else min(max(by_law, 0.0), self.trace_bound(t))

    def trace_bound(self, t: float) -> float:
        """tr B <= e^(-2lt) tr B(0), since G >= l."""
        return self.left(t) * self.start


@dataclass(frozen=True, eq=False)
class Scatter:
    """B carried in the flat state as B / unit; with `propagator` also Phi, dPhi = -G Phi, Phi(0) = 1, as Phi * scale.

    unit, scale: norms of all features and of the unseen ones per direction at the start, so that errors count alike; in
    a stack of B flows B x 1 x 1.
    """

    d: int
    unit: Any
    scale: Any
    propagator: bool = False

    @property
    def size(self) -> int:
        """Length of what is carried."""
        return self.d**2 * (2 if self.propagator else 1)

    @property
    def decays(self) -> list[tuple[int, float]]:
        """Lengths, and the multiples of lam_H at which they decay by themselves."""
        return [(self.d**2, 2.0), (self.d**2, 1.0)] if self.propagator else [(self.d**2, 2.0)]

    def pack(self, B: Array) -> Array:
        """What is carried at the start."""
        xp = array_namespace(B)
        carried = [xp.reshape(B, (-1,)) / self.unit]
        if self.propagator:
            place = {"dtype": B.dtype, "device": getattr(B, "device", None)}
            carried.append(xp.reshape(xp.eye(self.d, **place), (-1,)) * self.scale)
        return xp.concat(carried)

    def matrix(self, carried: Array) -> Array:
        """B (d x d), symmetric."""
        B = array_namespace(carried).reshape(carried[: self.d**2], (self.d, self.d)) * self.unit
        return (B + B.T) / 2

    def phi(self, carried: Array) -> Array:
        """The propagator Phi (d x d)."""
        return array_namespace(carried).reshape(carried[self.d**2 :], (self.d, self.d)) / self.scale

    def trace(self, carried: Array) -> float:
        """tr B, not below zero."""
        trace = float(array_namespace(carried).sum(carried[: self.d**2 : self.d + 1])) * self.unit
        return trace if math.isnan(trace) else max(trace, 0.0)

    def slope(self, carried: Array, P: Array, N: Any) -> tuple[Array, Array]:
        """P S (m x d), and minus the slope of what is carried, its own decay left out."""
        xp, d, lead = array_namespace(carried), self.d, carried.shape[:-1]
        PB = P @ xp.reshape(carried[..., : d**2], (*lead, d, d))
        M = transposed(P) @ (PB / N)
        parts = [xp.reshape(M + transposed(M), (*lead, -1))]
        if self.propagator:
            Phi = xp.reshape(carried[..., d**2 :], (*lead, d, d))
            parts.append(xp.reshape(transposed(P) @ ((P @ Phi) / N), (*lead, -1)))
        return PB * (self.unit / N), xp.concat(parts, axis=-1)

    def twice(self, carried: Array, P: Array, N: int, lam_H: float) -> Array:
        """G B G as it is carried: (1 - h G) B (1 - h G) = B + h dB + h^2 G B G is a step of gradient descent."""
        xp, B = array_namespace(carried), self.matrix(carried)
        GB = P.T @ (P @ B / N) + lam_H * B
        GBG = (GB @ P.T) @ P / N + lam_H * GB
        return xp.reshape((GBG + GBG.T) / 2, (-1,)) / self.unit


def unseen_gradient(P: Array, gram_P: Array, PB: Array, trace: float, N: int, lam_H: float) -> float:
    """||G Hw||_F, the gradient by the unseen columns: its square is tr(G B G), in P, P P'P, P B and tr B."""
    xp = array_namespace(P)
    flat = xp.reshape(PB, (-1,))
    once, twice = (float(xp.reshape(x, (-1,)) @ flat) for x in (P, gram_P))
    square = lam_H**2 * trace + 2 * lam_H / N * max(once, 0.0) + max(twice, 0.0) / N**2
    return math.sqrt(square) if math.isfinite(square) else math.inf


def collapse(
    class_means: np.ndarray, counts: np.ndarray, S: np.ndarray | None, factor: np.ndarray | None
) -> dict[str, float]:
    """nc1 and nc1_ratio as `ufm.metrics.nc1` defines them, from the within-class covariance S instead of all samples.

    class_means: d x K. factor: any d x k matrix with factor factor' = N S, which keeps all digits of a small S; then S
    is not needed.
    """
    K, N, eps = counts.size, float(counts.sum()), float(np.finfo(float).eps)
    pi = counts / N
    between = (class_means - (class_means @ pi)[:, None]) * np.sqrt(pi)
    covariance = np.asarray(S)
    spread = float(np.sum(factor**2)) / N if factor is not None else max(float(np.trace(covariance)), 0.0)
    resolution = 8 * eps * max(float(np.abs(class_means).max()), math.sqrt(spread)) * class_means.shape[0] ** 0.5
    over_zero = math.inf if spread > resolution**2 else math.nan
    U, s, _ = np.linalg.svd(between, full_matrices=False)
    keep = s > max(resolution, max(between.shape) * eps * float(s[0]))
    if not np.any(keep):
        return {"nc1": over_zero, "nc1_ratio": over_zero}
    U = U[:, keep]
    along = np.sum((U.T @ factor) ** 2, axis=1) / N if factor is not None else np.sum((covariance @ U) * U, axis=0)
    return {"nc1": float(np.sum(np.maximum(along, 0.0) / s[keep] ** 2)) / K, "nc1_ratio": spread / float(np.sum(s**2))}
