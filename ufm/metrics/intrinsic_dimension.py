"""Intrinsic dimension of a cloud of features, from the distances to the two nearest neighbours."""

import numpy as np

from ufm.errors import MissingExtraError, UfmError


def two_nn(H: np.ndarray, discard: float = 0.1) -> float:
    """TwoNN: slope through the origin of -log(1 - F(mu)) against log mu, mu = r_2/r_1, F its empirical law [facco2017].

    H: d x N; r_1, r_2: distances of a sample to its two nearest neighbours. discard: share of largest mu left out, as
    in the paper. Samples that coincide count once (r_1 = 0 says nothing). Needs all pairs: there is no streaming form.
    The estimate is that of scikit-dimension (`skdim.id.TwoNN`, the extra `dimension`); the neighbours are found here,
    in double precision about the mean, because its own search above 25 dimensions squares the distance to the origin.
    """
    if not 0 <= discard < 1:
        raise UfmError(f"discard = {discard}: give a share in [0, 1).")
    try:
        from skdim.id import TwoNN
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-dimension", "dimension", "the intrinsic dimension (TwoNN)") from None
    r = nearest_two(H)
    logs = np.log(r[:, 1] / r[:, 0])
    if not np.any(np.sort(logs)[: int(r.shape[0] * (1 - discard))] > 0):
        raise UfmError("every sample has two nearest neighbours at one distance (a lattice); TwoNN has no answer.")
    share = max(discard, 1 / r.shape[0] - 1e-9)  # one at least: the largest has F = 1
    return float(TwoNN(discard_fraction=share, dist=True).fit(r).dimension_)


def nearest_two(H: np.ndarray) -> np.ndarray:
    """Distances of every distinct column of H (d x N) to its two nearest neighbours, the nearer first (N x 2)."""
    from scipy.spatial import KDTree

    points = np.unique(np.asarray(H, dtype=np.float64).T, axis=0)
    N = points.shape[0]
    if N < 10:
        raise UfmError(f"H has {N} distinct samples; TwoNN needs ten at least, and means something from hundreds on.")
    points -= points.mean(axis=0)
    return KDTree(points).query(points, k=3)[0][:, 1:]
