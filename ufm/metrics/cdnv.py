"""Class-distance normalised variance."""

import numpy as np

from ufm.metrics.pairs import squared_distances
from ufm.metrics.split import Split


def cdnv(split: Split) -> float:
    """Mean over pairs k < l of (v_k + v_l) / (2 ||hbar_k - hbar_l||^2), v_k = (1/n_k) sum_i ||h_ki - hbar_k||^2.

    Source: galanti2021. inf where two class means coincide (to round-off).
    """
    distances = squared_distances(split.deviations)
    variances = split.within_variances()
    first, second = np.triu_indices(split.K, 1)
    apart = distances > split.resolution**2
    if not np.all(apart):
        return float("inf")
    return float(np.mean((variances[first] + variances[second]) / (2 * distances)))
