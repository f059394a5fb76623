"""Variability collapse index: how little of the total variability a linear probe on the features would leave."""

import numpy as np

from ufm.metrics.split import Split

_NEGLIGIBLE = 1e-6  # directions below this share of the strongest are round-off of features in single precision


def vci(split: Split) -> float:
    """1 - tr(Sigma_T^+ Sigma_B)/rank(Sigma_B), between 0 (collapsed) and 1; both weighted by samples [xu2023].

    Unmoved by invertible linear maps of the features, as long as no direction becomes weaker than 1e-6 of the
    strongest: below that lies round-off of single precision, which counts as rank nowhere. nan where the class means
    coincide.
    """
    N = split.N
    T = split.centred() / np.sqrt(N)
    if split.d < N:  # the triangle of T' has the same left factors, and d columns for N
        T = np.asarray(np.linalg.qr(T.T, mode="r")).T
    return collapse_index(split.deviations * np.sqrt(split.counts / N), T, split.resolution)


def collapse_index(B: np.ndarray, T: np.ndarray, resolution: float) -> float:
    """The index from any roots Sigma_B = B B' and Sigma_T = T T' = U S^2 U': 1 - ||S^-1 U'B||_F^2/rank(B).

    B: d x K; T: d x any; resolution: the length of a round-off in B.
    """
    sizes = np.linalg.svd(B, compute_uv=False)
    rank = int(np.sum(sizes > max(resolution, max(B.shape) * float(np.finfo(float).eps) * sizes[0])))
    if rank == 0:
        return float("nan")
    U, s, _ = np.linalg.svd(T, full_matrices=False)
    keep = s > _NEGLIGIBLE * s[0]
    explained = float(np.sum(((U[:, keep].T @ B) / s[keep, None]) ** 2))
    return min(1.0, max(0.0, 1 - explained / rank))
