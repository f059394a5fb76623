"""Norms of the features themselves."""

import numpy as np


def feature_norm(H: np.ndarray) -> float:
    """(1/N) sum_i ||h_i|| for the columns of H (d x N), accumulated in double precision [2604.00230, fn]."""
    return float(np.mean(np.sqrt(np.sum(np.square(H, dtype=np.float64), axis=0))))
