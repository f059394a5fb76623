"""Singular value decompositions of A - b u' for one problem and many b: taken anew, or all from that of A - ybar u'."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.lapack import dgesdd, dgesdd_lwork  # pyright: ignore[reportAttributeAccessIssue]: made by f2py

from ufm.optimum.squared.arrow import Arrow
from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution

_LARGE = 40  # rows and columns from which the arrow is cheaper than LAPACK, whose calls are cheaper than NumPy's
_WELL_CONDITIONED = 1e-2  # least ratio of squared singular values at which the Gram matrix costs no digits that count
_EXACT = 1e-13  # residual of a decomposition, relative to the matrix, that passes for round-off
_EPS = float(np.finfo(float).eps)


class Spectrum(NamedTuple):
    """A - b u' = U diag(sigma) V' (thin, sigma falling), v = V'u, and what its space makes V of."""

    U: np.ndarray
    sigma: np.ndarray
    v: np.ndarray
    right: Any


class DenseSpectra:
    """One SVD for each b, which is a vector of R^m as it stands."""

    def __init__(self, problem: ShrinkageProblem) -> None:
        self.problem, self.mean, self.svds = problem, problem.mean, 0
        self.complete = problem.A.shape[1] <= problem.A.shape[0]  # u lies in the span of V
        self._lwork = int(dgesdd_lwork(*problem.A.shape[::-1], full_matrices=0)[0])

    def at(self, b: np.ndarray) -> Spectrum:
        """The decomposition at b: one SVD."""
        self.svds += 1
        M = self.problem.A - b[:, None] * self.problem.u
        # LAPACK itself, on the transpose as M lies in memory: of ten rows NumPy's wrapper takes a third of the time.
        V, sigma, Ut, failed = dgesdd(M.T, full_matrices=0, lwork=self._lwork)
        U, Vt = Ut.T, V.T
        if failed:
            U, sigma, Vt = np.linalg.svd(M, full_matrices=False)
        return Spectrum(U, sigma, Vt @ self.problem.u, Vt)

    def bias(self, b: np.ndarray) -> np.ndarray:
        """The bias that b stands for (m)."""
        return b

    def solution(self, b: np.ndarray, found: Spectrum) -> ShrinkageSolution:
        """The best X at b."""
        threshold = self.problem.threshold
        E = (found.U * np.minimum(found.sigma, threshold)) @ found.right
        k = int(np.count_nonzero(found.sigma > threshold))
        return ShrinkageSolution(found.U[:, :k], found.sigma[:k] - threshold, found.right[:k].T, b, E)


class ArrowSpectra:
    """One SVD for all b, which are given by their coordinates in the columns of `left` (m x n): none has other parts.

    A - b u' = left [diag(d) | left'(ybar - b)] [right | u]', left and right orthonormal, right orthogonal to u: the
    gradient of the objective lies in the span of left as long as b does, and ybar does.
    """

    def __init__(self, problem: ShrinkageProblem) -> None:
        self.problem, self.svds, self.complete = problem, 1, False
        mean = problem.mean
        h = problem.u.copy()  # I - 2 hh'/h'h takes u to -+ the last unit vector; its other columns span the rest
        h[-1] += math.copysign(1.0, h[-1])
        fold = 2 / float(h @ h)
        B = problem.A[:, :-1] - (problem.A @ h * fold)[:, None] * h[:-1]
        U, d, W = _thin_svd(B)
        right = np.zeros((h.size, d.size))
        right[:-1] = W
        right -= h[:, None] * (fold * (h[:-1] @ W))
        rest = mean - U @ (U.T @ mean)
        if U.shape[0] > U.shape[1] and np.linalg.norm(rest) > math.sqrt(rest.size) * _EPS * np.linalg.norm(mean):
            rest -= U @ (U.T @ rest)
            U = np.column_stack([U, rest / np.linalg.norm(rest)])
            right = np.column_stack([right, np.zeros(h.size)])
            d = np.append(d, 0.0)
        self.mean, self.d = U.T @ mean, d
        unit = max(float(np.max(d, initial=0.0)), float(np.linalg.norm(mean)))
        self._left, self._right, self._arrow = U, right, Arrow(d, unit)

    def at(self, b: np.ndarray) -> Spectrum:
        """The decomposition at b (n x ...), in the coordinates of `left`."""
        found = self._arrow.spectrum(np.subtract(self.mean.reshape(-1, *(1,) * (b.ndim - 1)), b))
        return Spectrum(found.U, found.sigma, found.v, None)

    def right(self, U: np.ndarray, sigma: np.ndarray, v: np.ndarray) -> np.ndarray:
        """V in the coordinates of [right | u] for a stack of decompositions (n x n x B): B x n+1 x n."""
        upper = self._arrow.d[:, None, None] * U / (sigma / self._arrow.unit)
        return np.ascontiguousarray(np.moveaxis(np.concatenate([upper, v[None]]), 2, 0))

    def bias(self, b: np.ndarray) -> np.ndarray:
        """The bias that the coordinates b stand for (m)."""
        return self._left @ b

    def solution(self, b: np.ndarray, found: Spectrum) -> ShrinkageSolution | None:
        """The best X at b, or None where the decomposition does not give the matrix back to round-off."""
        problem, threshold = self.problem, self.problem.threshold
        b = self.bias(b)
        core = self.right(found.U[..., None], found.sigma[..., None], found.v[..., None])[0]
        U = self._left @ found.U
        V = self._right @ core[:-1]
        V += problem.u[:, None] * core[-1]
        if not self._given_back(b, U, found.sigma, V):
            return None
        E = (U * np.minimum(found.sigma, threshold)) @ V.T
        k = int(np.count_nonzero(found.sigma > threshold))
        return ShrinkageSolution(U[:, :k], found.sigma[:k] - threshold, V[:, :k], b, E)

    def _given_back(self, b: np.ndarray, U: np.ndarray, sigma: np.ndarray, V: np.ndarray) -> bool:
        """Whether U diag(sigma) V' is A - b u' to round-off, as four vectors in general position see it."""
        A, u = self.problem.A, self.problem.u
        probes = np.sin(np.outer(np.arange(1, u.size + 1) ** 2, (1.0, 2.0, 3.0, 5.0)))
        expected = A @ probes - b[:, None] * (u @ probes)
        missed = U @ (sigma[:, None] * (V.T @ probes)) - expected
        return bool(np.linalg.norm(missed) <= _EXACT * float(sigma[0]) * np.linalg.norm(probes))


def spectra(problem: ShrinkageProblem) -> DenseSpectra | ArrowSpectra:
    """The cheaper of the two."""
    return ArrowSpectra(problem) if min(problem.A.shape) >= _LARGE else DenseSpectra(problem)


def _thin_svd(B: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, d, V with B = U diag(d) V': by the smaller Gram matrix, faster, where no digit that counts is lost."""
    if 0 in B.shape:
        return np.zeros((B.shape[0], 0)), np.zeros(0), np.zeros((B.shape[1], 0))
    tall = B.shape[0] >= B.shape[1]
    square, basis = np.linalg.eigh(B.T @ B if tall else B @ B.T)
    if square[0] >= _WELL_CONDITIONED * square[-1] > 0:
        d, basis = np.sqrt(square[::-1]), np.ascontiguousarray(basis[:, ::-1])
        other = (B @ basis if tall else B.T @ basis) / d
        return (other, d, basis) if tall else (basis, d, other)
    U, d, Vt = np.linalg.svd(B, full_matrices=False)
    return U, d, Vt.T
