"""The two factors W and H against each other: how they share the energy, and whether they share their directions."""

import numpy as np

from ufm.metrics.root import row_basis

_NEGLIGIBLE = 1e-6  # directions of W below this share of its norm are the round-off of a flow at rest


def energy_ratio(W: np.ndarray, class_means: np.ndarray, counts: np.ndarray) -> float:
    """||H||^2/||W||^2 for H with n_k columns equal to hbar_k: lam_W/lam_H at every critical point; nan for W = 0."""
    energy = np.sum(W**2)
    return float(np.sum(counts * np.sum(class_means**2, axis=0)) / energy) if energy > 0 else float("nan")


def outside_rows(W: np.ndarray, class_means: np.ndarray) -> float:
    """Largest distance of a column of Hbar (d x K) to the row space of W (m x d): 0 where the features lie in it."""
    rows = row_basis(W, _NEGLIGIBLE)
    return float(np.max(np.linalg.norm(class_means - rows.T @ (rows @ class_means), axis=0)))
