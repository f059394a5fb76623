"""The matrix Riccati flow dQ = F Q - QQ'Q/(2N), F symmetric: QQ' at any time, without overflow or cancellation.

    QQ'(t) = e^{Ft} Q0 (1 + Q0' G Q0/N)^{-1} Q0' e^{Ft},   G(t) = int_0^t e^{2Fs} ds        [fukumizu1998; braun2022]

As it stands this loses all digits once e^{2ft} passes 1/eps for the largest eigenvalue f of F. In the eigenbasis of F,
rows of Q0 with f > 0 are taken from the fastest down, as long as each is independent of those before it; the inner
matrix, scaled by e^{-ft} on the rows taken, then tends to a finite one. A row not taken grows, but never faster than
the rows it depends on; if there is one, the flow ends at a saddle ("saddle-bound": A+ of performance.md is singular).
"""

from dataclasses import dataclass

import numpy as np


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

    def at(self, t: float) -> np.ndarray:
        """QQ'(t), q x q."""
        f, C, k, d = self.f, self.C, self.taken.size, self.C.shape[1]
        left = np.setdiff1d(np.arange(f.size), self.taken)
        free = np.linalg.svd(self.basis, full_matrices=True)[0][:, k:] if k < d else np.zeros((d, 0))
        J = np.linalg.inv(C[self.taken] @ self.basis)
        fast, slow = f[self.taken], f[left]
        # rows left over: X in terms of the rows taken; what grows faster than a row taken does not depend on it
        X = np.where(slow[:, None] > fast + _tie(f), 0.0, C[left] @ self.basis @ J)
        own = np.where(slow[:, None] > 0, 0.0, C[left] @ free)
        grown, shrunk = np.maximum(slow, 0)[:, None], np.minimum(slow, 0)[:, None]
        lag = np.exp(np.minimum(grown - fast, 0) * t)
        weight = np.sqrt(_scaled_gain(slow, t) / self.N)[:, None]
        tall = np.hstack([weight * X * lag, weight * own])
        fading = J * np.exp(-fast * t)
        inner = tall.T @ tall
        inner[:k, :k] += fading.T @ fading + np.diag(_scaled_gain(fast, t) / self.N)
        inner[k:, k:] += np.eye(d - k)
        rows = np.zeros((f.size, d))
        rows[self.taken, :k] = np.eye(k)
        rows[left] = np.exp(shrunk * t) * np.hstack([X * lag, own])
        half = np.linalg.solve(np.linalg.cholesky(inner), rows.T)
        return self.V @ (half.T @ half) @ self.V.T


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
    waiting = [i for i in range(f.size) if f[i] > 0]
    while waiting:
        group = [i for i in waiting if f[i] >= f[waiting[0]] - _tie(f)]
        rest = C[group] - (C[group] @ basis) @ basis.T
        rest -= (rest @ basis) @ basis.T
        lengths = np.linalg.norm(rest, axis=1)
        best = int(np.argmax(lengths))
        if lengths[best] <= size:
            waiting = [i for i in waiting if i not in group]
            continue
        basis = np.column_stack([basis, rest[best] / lengths[best]])
        taken.append(group[best])
        waiting.remove(group[best])
    return np.array(taken, dtype=int), basis
