"""Rank of a matrix as a number that noise does not move: stable rank, and numerical rank above a stated threshold."""

import numpy as np

from ufm.metrics.root import largest_singular_value


def stable_rank(A: np.ndarray) -> float:
    """||A||_F^2/||A||_2^2, between 1 and the rank [rudelson2007]; 0 for A = 0."""
    largest = largest_singular_value(A)
    return float(np.sum((A / largest) ** 2)) if largest > 0 else 0.0


def numerical_rank(A: np.ndarray, relative: float | None = None) -> int:
    """Number of singular values above `relative` times the largest; by default max(shape) eps, what round-off hides."""
    s = np.linalg.svd(A, compute_uv=False)
    threshold = max(A.shape) * float(np.finfo(np.float64).eps) if relative is None else relative
    return int(np.sum(s > threshold * s[0])) if s.size else 0
