"""Bias collapse, and the two identities of every critical point of the squared loss that the bias takes part in."""

import math

import numpy as np


def bias_spread(b: np.ndarray) -> float:
    """Standard deviation of the entries of b (m): 0 where the bias has collapsed to one number."""
    return float(np.std(b))


def bias_invariant(W: np.ndarray, mean: np.ndarray, b: np.ndarray, ybar: np.ndarray, lam_b: float) -> float:
    """||(1 + lam_b) b - (ybar - W hbar)||, zero at every critical point; ||b|| for lam_b = inf (theory: section 3).

    W: m x d (with depth, the product of the layers), mean: hbar over samples (d), b and ybar: m.
    """
    if math.isinf(lam_b):
        return float(np.linalg.norm(b))
    return float(np.linalg.norm((1 + lam_b) * b - (ybar - W @ mean)))


def mean_invariant(W: np.ndarray, mean: np.ndarray, ybar: np.ndarray, lam_H: float, lam_b: float, N: int) -> float:
    """||N lam_H hbar - rho W'(ybar - W hbar)||, rho = lam_b/(1+lam_b): zero at every critical point."""
    rho = 1.0 if math.isinf(lam_b) else lam_b / (1 + lam_b)
    return float(np.linalg.norm(N * lam_H * mean - rho * (W.T @ (ybar - W @ mean))))
