"""Variability collapse index: how little of the total variability a linear probe on the features would leave."""

import numpy as np

from ufm.metrics.root import Root
from ufm.metrics.split import Split

_NEGLIGIBLE = 1e-6  # directions below this share of the strongest are round-off of features in single precision


def vci(split: Split) -> float:
    """1 - tr(Sigma_T^+ Sigma_B)/rank(Sigma_B), between 0 (collapsed) and 1; both weighted by samples [xu2023].

    Unmoved by invertible linear maps of the features, as long as no direction becomes weaker than 1e-6 of the
    strongest: below that lies round-off of single precision, which counts as rank nowhere. nan where the class means
    coincide.
    """
    return collapse_index(split.deviations * np.sqrt(split.counts / split.N), split.whitener.shape[0], split.total)


def collapse_index(B: np.ndarray, rank: int, total: Root) -> float:
    """The index from roots Sigma_B = B B' and Sigma_T = R'R = U S^2 U': 1 - ||S^-1 U'B||_F^2/rank(B).

    B: d x K, of this rank.
    """
    if rank == 0:
        return float("nan")
    explained = float(np.sum(total.whitened(B, _NEGLIGIBLE) ** 2))
    return min(1.0, max(0.0, 1 - explained / rank))
