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


def rank_above_rounding(A: np.ndarray, precision: float, least: float = 0.0) -> int:
    """Number of singular values of A above max(precision, max(shape) eps) ||A||_F, eps that of double precision.

    precision: relative spacing of the numbers that A was made of, 1.2e-7 for single precision: rounding every entry to
    it moves no singular value further than that. least: a lower bound on the least one, where it is known.
    """
    noise = max(precision, max(A.shape) * float(np.finfo(np.float64).eps)) * float(np.linalg.norm(A))
    if least > noise:
        return min(A.shape)
    return int(np.sum(np.linalg.svd(A, compute_uv=False) > noise))
