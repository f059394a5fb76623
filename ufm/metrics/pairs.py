"""Distances between all pairs of columns through one matrix product, without its loss of digits for close pairs."""

import numpy as np

_CLOSE = 1e-4  # below this share of the two squared lengths the product has lost four digits


def squared_distances(M: np.ndarray) -> np.ndarray:
    """||m_k - m_l||^2 over pairs k < l of the columns of M (d x K -> K(K-1)/2), row after row.

    ||m_k||^2 + ||m_l||^2 - 2 m_k'm_l, and the difference itself where little is left of that.
    """
    first, second = np.triu_indices(M.shape[1], 1)
    G = M.T @ M
    lengths = np.diag(G)
    sums = lengths[first] + lengths[second]
    found = sums - 2 * G[first, second]
    close = np.flatnonzero(found < _CLOSE * sums)
    step = max(1, (1 << 22) // max(1, M.shape[0]))
    for start in range(0, close.size, step):
        some = close[start : start + step]
        found[some] = np.sum((M[:, first[some]] - M[:, second[some]]) ** 2, axis=0)
    return found
