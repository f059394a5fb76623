"""The right-hand side of p = 2 and the squared loss for NumPy: few calls, no temporaries; one flow or a stack.

With Z = [W; H'] (rows b left aside), E = W H' + b q' - A and c = -1/N the slope of Z is one product F Z of the block
matrix
    F = [[-lam_W, c E], [c E', -lam_H]],      where B = 0,
    F = [[c W W' - lam_W, (A - b q')/N], [c E', -lam_H]] and dW += W e^(-2lt) D0/N,      where `Law` knows B,
and db = bias_rate (b* - b). One small flow is bound by the number of calls, and takes it whole; large ones and stacks,
bound by operations, leave out the blocks that are multiples of one. A stack of small flows takes it whole as well.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.flow.within import Law

if TYPE_CHECKING:
    from ufm.flow.field import Field

BLOCK = 2**16  # numbers in a block of rows that stays in the cache: 512 KiB
WHOLE, WHOLE_IN_STACK = 1.2e5, 1e4  # multiplications by zero a flow that cost no more than the calls they save


class Kernel:
    """A call gives dy/dt as `Field` does, into `out` where it is given; b is replaced in y where `settle` is given."""

    def __init__(self, field: "Field") -> None:
        (m, d), (r, _) = field.shapes
        lead, N, (A, q) = field.decay.shape[:-1], field.N, field.targets
        self.m, self.d, self.rows, self.bias, self.end = m, d, m + r, field.m, field.seen
        self.law = field.within if isinstance(field.within, Law) else None
        self.rate, self.per_sample = field.bias_rate, 1.0 / N
        self.At, self.q_column = np.ascontiguousarray(np.swapaxes(A, -1, -2)), np.swapaxes(np.atleast_2d(q), -1, -2)
        self.whole = (m * m + r * r) * d <= (WHOLE_IN_STACK if lead else WHOLE)
        first, kind = (field.m, field.classifier.stop), field.decay.dtype
        self.lam_W, self.lam_H = (field.decay[..., at, None, None] for at in first)
        self.decay = field.decay[..., self.bias : self.end] if lead else None  # as wide as the state: for stacks
        alone = self.law is not None and not lead and not self.whole
        self.parts = diagonal_and_mean(A, q) if alone else None  # of the targets: their product is none then
        wide = m if self.parts is not None else m + r
        self.F = np.zeros((*lead, m + r if self.whole else m, wide), dtype=kind)
        if self.whole:
            self.F[..., m:, m:] = -self.lam_H * np.eye(r)
            self.eye = self.lam_W * np.eye(m)
            self.F[..., :m, :m] = -self.eye
        together = self.law is not None and (self.whole or bool(lead))  # [W W'; H W'] as one product
        self.products = np.empty((*lead, m + r if together else r, m), dtype=kind)
        self.Et, self.outer = (np.empty((*lead, r, m), dtype=kind) for _ in range(2))
        if not lead and not self.whole:  # along the rows of F
            self.products, self.Et, self.outer = (np.empty((m, r), dtype=kind).T for _ in range(3))
        self.together, self.block = together, max(1, BLOCK // d)
        self.scaled = np.empty((*lead, (m + r) * d) if lead else (self.block, d), dtype=kind)
        if self.bias:
            rate = self.rate if isinstance(self.rate, float) else self.rate[..., None]
            self.to_rest = q / (N * rate)

    def __call__(
        self, y: np.ndarray, t: Any, settle: Callable[[Any], Any] | None = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        """dy/dt at (y, t)."""
        out = np.empty_like(y) if out is None else out
        m, lead, Et = self.m, y.shape[:-1], self.Et
        Z = y[..., self.bias : self.end].reshape((*lead, self.rows, self.d))
        dZ = out[..., self.bias : self.end].reshape((*lead, self.rows, self.d))
        W = Z[..., :m, :]
        np.matmul(Z if self.together else Z[..., m:, :], np.swapaxes(W, -1, -2), out=self.products)
        HW = self.products[..., m:, :] if self.together else self.products
        np.subtract(self.At, HW, out=Et)  # minus E', still without its bias
        if self.bias:
            self._move_bias(y, out, settle)
        if self.whole:
            lower = np.multiply(Et, self.per_sample, out=self.F[..., m:, :m])
        else:
            lower = np.multiply(Et, self.per_sample, out=Et)
        upper = lower
        if self.parts is not None:
            self._in_parts_of_targets(lower, y, Z, dZ)
            self._decay(y, out, t)
            return out
        if self.law is not None:
            gram = self.products[..., :m, :] if self.together else W @ np.swapaxes(W, -1, -2)
            gram = np.multiply(gram, -self.per_sample, out=self.F[..., :m, :m])
            HW *= self.per_sample
            upper = np.add(HW, lower, out=HW)
            if self.whole:
                gram -= self.eye
        if self.whole:
            self.F[..., :m, m:] = np.swapaxes(upper, -1, -2)
            np.matmul(self.F, Z, out=dZ)
        else:
            self._in_parts(lower, upper, Z, dZ)
        self._decay(y, out, t)
        return out

    def _move_bias(self, y: np.ndarray, out: np.ndarray, settle: Callable[[Any], Any] | None) -> None:
        """Put b into Et, and db/dt into out."""
        q, Et = self.to_rest, self.Et
        rest = np.matmul(q, Et) if q.ndim == 1 else np.matmul(q, Et)[..., 0, :]
        b = y[..., : self.bias]
        if settle is not None:
            b[...] = settle(rest)
        rest -= b
        np.multiply(rest, self.rate, out=out[..., : self.bias])
        np.multiply(self.q_column, b[..., None, :], out=self.outer)
        np.subtract(Et, self.outer, out=Et)

    def _in_parts(self, lower: np.ndarray, upper: np.ndarray, Z: np.ndarray, dZ: np.ndarray) -> None:
        """The same product without its decay."""
        m = self.m
        np.matmul(lower, Z[..., :m, :], out=dZ[..., m:, :])
        if self.law is None:
            np.matmul(np.swapaxes(upper, -1, -2), Z[..., m:, :], out=dZ[..., :m, :])
        else:
            self.F[..., m:] = np.swapaxes(upper, -1, -2)
            np.matmul(self.F, Z, out=dZ[..., :m, :])

    def _in_parts_of_targets(self, lower: np.ndarray, y: np.ndarray, Z: np.ndarray, dZ: np.ndarray) -> None:
        """The same where A = diag(a) + u q': (A - b q') H' is no product then."""
        m, (a, u) = self.m, self.parts  # pyright: ignore[reportGeneralTypeIssues]
        W, Ht, dW, gram = Z[:m], Z[m:], dZ[:m], self.F
        np.matmul(lower, W, out=dZ[m:])
        np.matmul(W, W.T, out=gram)
        gram *= -self.per_sample
        np.matmul(gram, W, out=dW)
        mean, shift = self.q_column[:, 0] @ Ht, (u - y[: self.bias] if self.bias else u) * self.per_sample
        for i in range(0, m, self.block):
            rows = slice(i, min(i + self.block, m))
            moved = np.multiply(Ht[rows], (a[rows] * self.per_sample)[:, None], out=self.scaled[: rows.stop - i])
            dW[rows] += moved
            dW[rows] += np.multiply(mean, shift[rows, None], out=moved)

    def _decay(self, y: np.ndarray, out: np.ndarray, t: Any) -> None:
        """Take lam_W W and lam_H H' away, and give what the law says of D0: dW += W e^(-2lt) D0/N."""
        m, d, scale = self.m, self.d, None
        if self.law is not None:
            left = self.law.left(t)
            scale = self.law.eigenvalues * (
                (left if isinstance(left, float) else left[:, None, None]) * self.per_sample
            )
        if self.decay is not None:
            if not self.whole:
                slope = out[..., self.bias : self.end]
                slope -= np.multiply(y[..., self.bias : self.end], self.decay, out=self.scaled)
            if scale is not None:
                shape = (*y.shape[:-1], m, d)
                W = y[..., self.bias : self.bias + m * d].reshape(shape)
                dW = out[..., self.bias : self.bias + m * d].reshape(shape)
                dW += np.multiply(W, scale, out=self.scaled[..., : m * d].reshape(shape))
            return
        Z, dZ = (x[self.bias : self.end].reshape((self.rows, d)) for x in (y, out))
        if not self.whole:
            self._take(Z[m:], dZ[m:], self.lam_H)
        weight = 0.0 if self.whole else self.lam_W
        if scale is not None or not self.whole:
            self._take(Z[:m], dZ[:m], weight if scale is None else weight - scale)

    def _take(self, x: np.ndarray, slope: np.ndarray, weight: Any) -> None:
        """slope -= weight x, by blocks of rows that stay in the cache."""
        for i in range(0, x.shape[0], self.block):
            part = x[i : i + self.block]
            slope[i : i + self.block] -= np.multiply(part, weight, out=self.scaled[: part.shape[0]])


def diagonal_and_mean(A: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(a, u) with A = diag(a) + u q' exactly, or None."""
    m, r = A.shape
    if m != r or np.any(q == 0) or m < 3:
        return None
    u = A[range(m), [1, *[0] * (m - 1)]] / q[[1, *[0] * (m - 1)]]
    rest = A - u[:, None] * q
    a = np.diagonal(rest).copy()
    off = np.abs(rest - np.diag(a)).max()
    return (a, u) if off <= 4 * np.finfo(A.dtype).eps * np.abs(A).max() else None


def kernel_of(field: "Field") -> Kernel | None:
    """The kernel of a field, or None where there is none for it."""
    plain = field.held is None and field.cone is None and field.drive is None
    simple = len(field.shapes) == 2 and field.quadratic and (field.within is None or isinstance(field.within, Law))
    return Kernel(field) if plain and simple and isinstance(field.decay, np.ndarray) else None
