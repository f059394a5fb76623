"""Mode strengths: how far W H has come along each singular direction of the targets."""

from typing import NamedTuple

import numpy as np


class Axes(NamedTuple):
    """Singular vectors of the targets over all samples, each target column counted so often as it occurs."""

    left: np.ndarray  # m x r
    right: np.ndarray  # r x columns


def target_axes(columns: np.ndarray, multiplicity: np.ndarray) -> Axes:
    """U and V' of columns diag(sqrt(multiplicity)) = U diag(sigma) V', sigma descending (m x columns)."""
    U, _, Vt = np.linalg.svd(columns * np.sqrt(multiplicity), full_matrices=False)
    return Axes(U, Vt)


def mode_strengths(product: np.ndarray, H: np.ndarray, multiplicity: np.ndarray, axes: Axes) -> np.ndarray:
    """u_i' W H v_i (r) over all samples: W m x d, H d x columns (class means, or samples), each counted so many times.

    In aligned balanced flows these are the singular values of W H, each on a logistic course of its own (theory:
    section 6). Where singular values of the targets coincide, the axes are those of the SVD, one choice of many.
    """
    return np.einsum("mi,mk,ik->i", axes.left, product @ (H * np.sqrt(multiplicity)), axes.right)
