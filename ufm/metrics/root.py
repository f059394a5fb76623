"""A covariance by one factorisation Sigma = R'R, shared by every metric that divides by it or asks for its spectrum."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

_CLEAR = 1e6  # condition below which no direction is negligible for any metric


@dataclass(frozen=True, eq=False)
class Root:
    """R (j x d, j <= d unless small) with Sigma = R'R; an inverse where Sigma is far from singular, else the SVD."""

    R: np.ndarray

    @staticmethod
    def of(columns: np.ndarray) -> "Root":
        """The root of columns @ columns' (d x any): their triangle where there are more columns than rows."""
        long = columns.shape[1] > columns.shape[0]
        return Root(np.asarray(np.linalg.qr(columns.T, mode="r")) if long else columns.T)

    @cached_property
    def inverse(self) -> np.ndarray | None:
        """R^-1 for a square R with ||R||_F ||R^-1||_F < 1e6, which bounds its condition; None otherwise."""
        from scipy.linalg import get_lapack_funcs

        rows, columns = self.R.shape
        if rows != columns or np.any(np.tril(self.R, -1)) or not np.all(np.diag(self.R)):
            return None
        (invert,) = get_lapack_funcs(("trtri",), (self.R,))
        found, failed = invert(self.R)
        condition = np.linalg.norm(self.R) * np.linalg.norm(found)
        return found if not failed and condition < _CLEAR else None

    @cached_property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """U (d x r) and s (r) with Sigma = U diag(s^2) U', descending."""
        _, s, Vt = np.linalg.svd(self.R, full_matrices=False)
        return Vt.T, s

    def whitened(self, B: np.ndarray, negligible: float) -> np.ndarray:
        """Any X with X'X = B' Sigma^+ B, without directions of Sigma below `negligible` times the strongest (d x k)."""
        if self.inverse is not None and negligible * _CLEAR <= 1:
            return self.inverse.T @ B
        U, s = self.axes
        keep = s > negligible * np.max(s, initial=0.0)
        return (U[:, keep].T @ B) / s[keep, None]

    def divided(self, C: np.ndarray, lam: float, least: float) -> np.ndarray:
        """C (Sigma + lam I)^+ for C (k x d), without directions whose root is at most `least`."""
        if lam == 0 and self.inverse is not None and 1 / np.linalg.norm(self.inverse) > least:
            return (C @ self.inverse) @ self.inverse.T
        U, s = self.axes
        keep = s > least
        return (C @ U[:, keep]) / (s[keep] ** 2 + lam) @ U[:, keep].T


def row_basis(W: np.ndarray, negligible: float) -> np.ndarray:
    """Orthonormal rows (r x d) that span those of W (m x d), without directions `negligible` times the strongest."""
    if W.shape[0] <= W.shape[1] and negligible * _CLEAR <= 1:
        Q, R = np.linalg.qr(W.T)
        if Root(R).inverse is not None:
            return Q.T
    _, s, Vt = np.linalg.svd(W, full_matrices=False)
    return Vt[s > negligible * np.max(s, initial=0.0)]


def whitener(B: np.ndarray, null: np.ndarray, least: float) -> np.ndarray:
    """G (r x d) with G'G = (B B')^+ for B (d x K) that takes the vector `null` (K) to 0; r its rank.

    Directions whose singular value is at most `least`, or round-off of the largest, do not count.
    """
    least = max(least, max(B.shape) * float(np.finfo(float).eps) * float(np.linalg.norm(B)))
    if B.shape[0] >= B.shape[1] > 1:
        v = null / np.linalg.norm(null)
        v = v + np.where(np.arange(v.size) == 0, np.copysign(1.0, v), 0.0)  # reflects null to the first axis
        Q, R = np.linalg.qr((B - np.outer(B @ v, 2 * v / (v @ v)))[:, 1:])
        inverse = Root(R).inverse
        if inverse is not None and 1 / np.linalg.norm(inverse) > least:
            return inverse @ Q.T
    U, s, _ = np.linalg.svd(B, full_matrices=False)
    keep = s > least
    return (U[:, keep] / s[keep]).T


def largest_singular_value(A: np.ndarray) -> float:
    """||A||_2 by Lanczos on A'A where A is large, which loses no digits of the largest; 0 for A = 0."""
    if min(A.shape) < 200:
        return float(np.max(np.linalg.svd(A, compute_uv=False), initial=0.0))
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    scale = float(np.linalg.norm(A))
    if scale == 0:
        return 0.0
    thin = (A if A.shape[0] >= A.shape[1] else A.T) / scale
    operator = LinearOperator((thin.shape[1],) * 2, matvec=lambda x: thin.T @ (thin @ x), dtype=thin.dtype)  # pyright: ignore
    start = np.random.default_rng(0).standard_normal(thin.shape[1])
    try:
        found: Any = eigsh(operator, k=1, v0=start, tol=0, return_eigenvectors=False)
    except ArpackNoConvergence:
        return float(np.linalg.norm(A, 2))
    return float(np.sqrt(found[0])) * scale
