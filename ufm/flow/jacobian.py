"""The Jacobian of the flow as a dense matrix, for implicit methods on small reduced systems (p = 2, squared loss)."""

from collections.abc import Callable

import numpy as np

from ufm.flow.field import Field
from ufm.flow.within import Law


def jacobian(field: Field) -> Callable[[float, np.ndarray], np.ndarray] | None:
    """(t, y) -> d(dy/dt)/dy (size x size), exact; None where only differences are at hand (deep, entropy, S-mode)."""
    if len(field.shapes) != 2 or not field.quadratic or not (field.within is None or isinstance(field.within, Law)):
        return None
    law, N, (A, q), has_bias = field.within, field.N, field.targets, field.m > 0
    (m, d), (r, _) = field.shapes
    size, eye_m, eye_d = field.size, np.eye(m), np.eye(d)
    w = slice(field.m, field.m + m * d)
    h = slice(w.stop, size)

    def at(t: float, y: np.ndarray) -> np.ndarray:
        b, (W,), Ht = field.unpack(y)
        E = field.residual(W @ Ht.T, b)
        J = np.zeros((size, size))
        outer = np.einsum("ic,ka->iakc", W, Ht) / N  # dE = (dW H + W dH)/N
        cross = outer + np.einsum("ik,ac->iakc", E, eye_d)
        cross = cross.reshape(m * d, r * d)
        J[h, w] = cross.T
        J[h, h] = np.kron(np.eye(r), W.T @ W / N)
        if law is None:
            J[w, h] = cross
            J[w, w] = np.kron(eye_m, Ht.T @ Ht / N)
        else:
            drive = (b[:, None] * q if has_bias else 0.0) - A
            J[w, h] = np.kron(drive / N, eye_d)
            swap = np.einsum("ic,ja->iajc", W, W).reshape(m * d, m * d)
            known = W.T @ W - law.left(t) * np.diag(law.eigenvalues)
            J[w, w] = (np.kron(eye_m, known) + np.kron(W @ W.T, eye_d) + swap) / N
        if has_bias:
            J[w, : field.m] = np.kron(eye_m, (q @ Ht / N)[:, None])
            J[: field.m, w] = J[w, : field.m].T
            J[h, : field.m] = np.einsum("k,ja->kaj", q / N, W).reshape(r * d, m)
            J[: field.m, h] = J[h, : field.m].T
            J[: field.m, : field.m] = eye_m  # q'q = N
        J[np.diag_indices(size)] += field.decay
        return -J if field.held is None else -J * field.held[:, None]

    return at
