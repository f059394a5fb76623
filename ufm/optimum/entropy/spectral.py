"""Projection on the operator-norm ball in the singular basis of a matrix, and its generalised derivative.

Vectors of the Newton system live in rotated coordinates: B = U' D V, and, where the matrix is wider than tall, the part
of U' D outside the rows of V as well.
"""

from functools import cached_property

import numpy as np


def svd(A: np.ndarray, *, full: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, s, V' by divide and conquer, or by the slower QR sweep where that does not converge."""
    try:
        return np.linalg.svd(A, full_matrices=full)
    except np.linalg.LinAlgError:
        from scipy.linalg import svd as sweep

        return sweep(A, full_matrices=full, lapack_driver="gesvd")


def divided_differences(a: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Of min(a, radius) between all pairs of singular values: of the same sign, and of opposite signs."""
    f = np.minimum(a, radius)
    same = np.divide(f[:, None] - f, a[:, None] - a, out=np.zeros((a.size, a.size)), where=a[:, None] != a)
    inside = a < radius
    same[inside[:, None] & inside] = 1.0
    same[~inside[:, None] & ~inside] = 0.0
    total = a[:, None] + a
    return same, np.divide(f[:, None] + f, total, out=np.ones_like(same), where=total > 0)


class Ball:
    """The projection of A (m x K) on {||.||_op <= radius}: min(a, radius) for every singular value a."""

    def __init__(self, A: np.ndarray, radius: float) -> None:
        self.radius = radius
        m, K = A.shape
        self.U, a, Vt = svd(A, full=m > K)  # U is square in either case
        self.V = Vt.T
        self.a = a
        self.clipped = np.minimum(a, radius)
        self._wide = m < K

    @cached_property
    def projection(self) -> np.ndarray:
        """The point of the ball nearest to A (m x K)."""
        q = self.a.size
        return (self.U[:, :q] * self.clipped) @ self.V[:, :q].T

    def envelope(self) -> float:
        """sum_i huber(a_i): half the squared distance saved by shrinking, whose gradient is the projection."""
        return float(np.sum(self.clipped * (self.a - self.clipped / 2)))

    def shrunk(self, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(U, s, V) of (A - projection)/scale, s > 0."""
        kept = int(np.sum(self.a > self.radius))
        return self.U[:, :kept], (self.a[:kept] - self.radius) / scale, self.V[:, :kept]

    def rotate(self, D: np.ndarray) -> np.ndarray:
        """Coordinates of D (m x K): B, with the rest beside it where the matrix is wide."""
        left = self.U.T @ D
        B = left @ self.V
        return np.concatenate([B, left - B @ self.V.T], axis=1) if self._wide else B

    def rotate_back(self, C: np.ndarray) -> np.ndarray:
        """The inverse of `rotate`."""
        q = self.V.shape[1]
        inside = C[:, :q] @ self.V.T
        return self.U @ (inside + C[:, q:] if self._wide else inside)

    @cached_property
    def _rates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Divided differences of the clipping: of two values with the same sign, with opposite ones, and with zero."""
        a, f = self.a, self.clipped
        zero = np.divide(f, a, out=np.ones_like(f), where=a > 0)
        return *divided_differences(a, self.radius), zero

    def derivative(self, C: np.ndarray) -> np.ndarray:
        """The generalised derivative of the projection applied to rotated coordinates C."""
        same, cross, zero = self._rates
        q = self.a.size
        out = np.empty_like(C)
        B = C[:q, :q]
        out[:q, :q] = ((same + cross) * B + (same - cross) * B.T) / 2
        if C.shape[0] > q:
            out[q:] = C[q:] * zero
        if C.shape[1] > q:
            out[:, q:] = C[:, q:] * zero[:, None]
        return out

    def solve_diagonal(self, h: np.ndarray, sigma: float, C: np.ndarray) -> np.ndarray:
        """(diag h + sigma derivative)^{-1} C, with h averaged over each pair (ij, ji) that the derivative mixes."""
        same, cross, zero = self._rates
        q = self.a.size
        out = np.empty_like(C)
        mean = (h[:q, :q] + h[:q, :q].T) / 2
        B, Bt = C[:q, :q], C[:q, :q].T
        out[:q, :q] = ((B + Bt) / (mean + sigma * same) + (B - Bt) / (mean + sigma * cross)) / 2
        if C.shape[0] > q:
            out[q:] = C[q:] / (h[q:] + sigma * zero)
        if C.shape[1] > q:
            outside = C[:, q:] / (h[:, q:] + sigma * zero[:, None])
            out[:, q:] = outside - (outside @ self.V) @ self.V.T  # stay outside the rows of V
        return out

    def diagonal(self, weights: np.ndarray, P: np.ndarray) -> np.ndarray:
        """Diagonal of D -> (P*D - P (p_k'd_k)) weights in rotated coordinates; P, weights as in `Point.curve`."""
        left = ((self.U**2).T @ P - (self.U.T @ P) ** 2) * weights
        inside = left @ self.V**2
        return np.concatenate([inside, left], axis=1) if self._wide else inside
