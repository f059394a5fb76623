"""Regression collapse: WW' against the root of the target covariance [andriopoulos2024, NRC3]."""

import numpy as np


def isotropic_shift(W: np.ndarray, columns: np.ndarray, counts: np.ndarray) -> float:
    """The x >= 0 that brings Sigma^{1/2} - x I closest to WW' (W m x d, target columns m x K of multiplicity counts).

    gamma = x^2 is the paper's; it is found by least squares in the m^2 entries, whose only unknown is x.
    """
    N = np.sum(counts)
    centred = (columns - (columns @ (counts / N))[:, None]) * np.sqrt(counts / N)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    unknown = np.eye(W.shape[0]).reshape(-1, 1)
    solution = np.linalg.lstsq(unknown, (root - W @ W.T).ravel(), rcond=None)[0]
    return float(max(0.0, solution[0]))
