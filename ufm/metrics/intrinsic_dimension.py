"""Intrinsic dimension of a cloud of features, from the distances to the two nearest neighbours."""

import numpy as np

from ufm.errors import UfmError


def two_nn(H: np.ndarray, discard: float = 0.1) -> float:
    """TwoNN: slope through the origin of -log(1 - F(mu)) against log mu, mu = r_2/r_1, F its empirical law [facco2017].

    H: d x N; r_1, r_2: distances of a sample to its two nearest neighbours. discard: share of largest mu left out, as
    in the paper. Samples that coincide count once (r_1 = 0 says nothing). Needs all pairs: there is no streaming form.
    """
    from scipy.spatial import KDTree

    if not 0 <= discard < 1:
        raise UfmError(f"discard = {discard}: give a share in [0, 1).")
    points = np.unique(np.asarray(H, dtype=np.float64).T, axis=0)
    N = points.shape[0]
    if N < 10:
        raise UfmError(f"H has {N} distinct samples; TwoNN needs ten at least, and means something from hundreds on.")
    distances, _ = KDTree(points - points.mean(axis=0)).query(points - points.mean(axis=0), k=3)
    logs = np.sort(np.log(distances[:, 2] / distances[:, 1]))
    kept = min(N - 1, int(N * (1 - discard)))  # the last one has F = 1
    x, y = logs[:kept], -np.log1p(-np.arange(1, kept + 1) / N)
    if x @ x == 0:
        raise UfmError("every sample has two nearest neighbours at one distance (a lattice); TwoNN has no answer.")
    return float(x @ y / (x @ x))
