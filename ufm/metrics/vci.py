"""Variability collapse index: how little of the total variability a linear probe on the features would leave."""

import numpy as np

from ufm.metrics.split import Split


def vci(split: Split) -> float:
    """1 - tr(Sigma_T^+ Sigma_B)/rank(Sigma_B), between 0 (collapsed) and 1; both weighted by samples [xu2023].

    Unmoved by any invertible linear map of the features. With thin decompositions Sigma_T = U S^2 U', Sigma_B = B B' it
    is 1 - ||S^-1 U'B||_F^2/rank(B). nan where the class means coincide.
    """
    N = split.N
    B = split.deviations * np.sqrt(split.counts / N)
    sizes = np.linalg.svd(B, compute_uv=False)
    eps = float(np.finfo(float).eps)
    rank = int(np.sum(sizes > max(split.resolution, max(B.shape) * eps * sizes[0])))
    if rank == 0:
        return float("nan")
    T = split.centred() / np.sqrt(N)
    if split.d < N:  # the triangle of T' has the same left factors, and d columns for N
        T = np.asarray(np.linalg.qr(T.T, mode="r")).T
    U, s, _ = np.linalg.svd(T, full_matrices=False)
    keep = s > max(split.resolution / np.sqrt(N), max(split.d, N) * eps * s[0])
    explained = float(np.sum(((U[:, keep].T @ B) / s[keep, None]) ** 2))
    return min(1.0, max(0.0, 1 - explained / rank))
