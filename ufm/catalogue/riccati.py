"""The matrix Riccati flow dQ = F Q - QQ'Q/(2N), F symmetric: QQ' at any time, without overflow or cancellation.

    QQ'(t) = e^{Ft} Q0 (1 + Q0' G Q0/N)^{-1} Q0' e^{Ft},   G(t) = int_0^t e^{2Fs} ds        [fukumizu1998; braun2022]

As it stands this loses all digits once e^{2ft} passes 1/eps for the largest eigenvalue f of F. In the eigenbasis of F,
rows of Q0 with f > 0 are taken from the fastest down, as long as each is independent of those before it; the inner
matrix, scaled by e^{-ft} on the rows taken, then tends to a finite one. A row not taken grows, but never faster than
the rows it depends on; if there is one, the flow ends at a saddle ("saddle-bound": A+ of performance.md is singular).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import qr
from scipy.linalg.blas import dtrsm  # pyright: ignore[reportAttributeAccessIssue]: made by f2py


@dataclass(frozen=True, eq=False)
class Riccati:
    """The flow from Q0 (q x d): eigenvalues f (q, descending) and eigenvectors V of F, C = V'Q0, and the rows taken.

    basis: orthonormal columns (d x k) that span the rows taken, in their order.
    """

    N: int
    f: np.ndarray
    V: np.ndarray
    C: np.ndarray
    taken: np.ndarray
    basis: np.ndarray

    @staticmethod
    def of(F: np.ndarray, Q0: np.ndarray, N: int) -> "Riccati":
        """The flow of this F (q x q, symmetric) from this start."""
        f, V = np.linalg.eigh(F)
        f, V = np.where(np.abs(f) <= _tie(f), 0.0, f)[::-1], V[:, ::-1]
        C = V.T @ Q0
        taken, basis = _fastest_rows(C, f)
        return Riccati(N, f, V, C, taken, basis)

    @property
    def saddle_bound(self) -> bool:
        """Whether the start misses a growing direction, so that the exact flow ends at a saddle."""
        return self.taken.size < int(np.sum(self.f > 0))

    @cached_property
    def _left(self) -> np.ndarray:
        """The rows not taken."""
        return np.setdiff1d(np.arange(self.f.size), self.taken)

    @cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvectors, as rows, of the rows taken and of those left."""
        return self.V[:, self.taken].T.copy(), self.V[:, self._left].T.copy()

    @cached_property
    def _fixed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What no time changes: J, by which the rows taken give the basis; X, what rows left are of them; and the rest.

        What grows faster than a row taken does not depend on it.
        """
        C, basis, k = self.C, self.basis, self.taken.size
        slow, fast = self.f[self._left][:, None], self.f[self.taken]
        free = np.linalg.svd(basis, full_matrices=True)[0][:, k:] if k < C.shape[1] else basis[:, :0]
        J = np.linalg.inv(C[self.taken] @ basis)
        X = np.where(slow > fast + _tie(self.f), 0.0, C[self._left] @ basis @ J)
        return J, X, np.where(slow > 0, 0.0, C[self._left] @ free)

    def at(self, t: float) -> np.ndarray:
        """QQ'(t), q x q."""
        f, k, (J, X, own) = self.f, self.taken.size, self._fixed
        fast, slow = f[self.taken], f[self._left]
        fade, grows = np.exp(-fast * t), slow > 0
        lag = X * fade
        lag[grows] = X[grows] * np.exp(np.minimum(slow[grows, None] - fast, 0) * t)
        tall = np.hstack([lag, own])
        weighted = np.sqrt(_scaled_gain(slow, t) / self.N)[:, None] * tall
        fading = J * fade
        inner = weighted.T @ weighted
        inner[:k, :k] += fading.T @ fading
        diagonal = np.einsum("ii->i", inner)
        diagonal[:k] += _scaled_gain(fast, t) / self.N
        diagonal[k:] += 1.0
        rows = (np.exp(np.minimum(slow, 0) * t)[:, None] * tall).T @ self._axes[1]
        rows[:k] += self._axes[0]
        half = dtrsm(1.0, np.linalg.cholesky(inner).T, rows.T, side=1, overwrite_b=True)  # L^-1 rows, transposed
        return half @ half.T


def _tie(f: np.ndarray) -> float:
    return 1e-12 * float(np.max(np.abs(f)))


def _scaled_gain(f: np.ndarray, t: float) -> np.ndarray:
    """int_0^t e^{2fs} ds, times e^{-2ft} where f > 0: (1 - e^{-2|f|t})/(2|f|), t where f = 0."""
    size = np.abs(f)
    return np.where(size * t < 1e-300, t, -np.expm1(-2 * size * t) / np.where(size > 0, 2 * size, 1.0))


def _fastest_rows(C: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Independent rows with f > 0, fastest first (of equal f the farthest from those before), and their basis."""
    basis, taken = np.zeros((C.shape[1], 0)), []
    size = 64 * float(np.finfo(float).eps) * float(np.max(np.linalg.norm(C, axis=1), initial=0.0))
    growing = np.flatnonzero(f > 0)
    while growing.size:
        tied = f[growing] >= f[growing[0]] - _tie(f)
        group, growing = growing[tied], growing[~tied]
        rest = C[group] - (C[group] @ basis) @ basis.T
        rest -= (rest @ basis) @ basis.T
        Q, R, order = map(np.asarray, qr(rest.T, mode="economic", pivoting=True))
        kept = int(np.sum(np.abs(np.diagonal(R)) > size))
        new = Q[:, :kept] - basis @ (basis.T @ Q[:, :kept])
        basis = np.hstack([basis, np.linalg.qr(new)[0]])
        taken.extend(group[order[:kept]].tolist())
    return np.array(taken, dtype=int), basis
