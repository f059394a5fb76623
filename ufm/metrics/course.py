"""Observables of a moving state (W, H) with all its samples: what laws of motion speak of beside the class means."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from ufm.metrics.nc1 import nc1_ratio
from ufm.metrics.split import Split, split_classes


def course(W: Sequence[np.ndarray], H: np.ndarray, labels: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Observables of layers W (last first), features H (d x N), labels 0..K-1 (N) and codes (m x K), K >= 2.

    `modes`: u_i' W H v_i along the singular directions of the targets, in their order, over all samples (min(m, K));
    `grams_difference`: W_1'W_1 - HH' (d x d) for the first layer W_1. `trace_within`, `trace_between`: of Sigma_W and
    Sigma_B; `nc1_ratio`: the one over the other. With one layer also `factors_gram`: QQ' for the rows Q of W and of the
    class means times sqrt(n_k), transposed (m + K square); `within_inside`, `within_outside`: norms of the parts of Hw
    inside and outside the row space of W; `strong_nc_gap`.
    """
    split = split_classes(H, labels)
    root = np.sqrt(split.counts)
    U, _, Vt = np.linalg.svd(codes * root, full_matrices=False)
    seen = {
        "modes": np.einsum("mi,mk,ik->i", U, reduce(np.matmul, W) @ (split.class_means * root), Vt),
        "grams_difference": W[-1].T @ W[-1] - H @ H.T,
        "trace_within": split.within_variances() @ (split.counts / split.N),
        "trace_between": np.sum(split.deviations**2 @ (split.counts / split.N)),
        "nc1_ratio": nc1_ratio(split),
    }
    return {name: np.asarray(value) for name, value in (seen | _of_one_layer(W, split)).items()}


def _of_one_layer(W: Sequence[np.ndarray], split: Split) -> dict[str, np.ndarray]:
    if len(W) > 1:
        return {}
    Q = np.vstack([W[0], (split.class_means * np.sqrt(split.counts)).T])
    _, s, Vt = np.linalg.svd(W[0], full_matrices=False)
    rows = Vt[s > max(W[0].shape) * float(np.finfo(float).eps) * s[0]]
    inside = rows @ split.within
    outside = split.within - rows.T @ inside
    return {
        "factors_gram": Q @ Q.T,
        "within_inside": np.asarray(np.linalg.norm(inside)),
        "within_outside": np.asarray(np.linalg.norm(outside)),
        "strong_nc_gap": strong_nc_gap(W[0], split),
    }


def strong_nc_gap(W: np.ndarray, split: Split) -> np.ndarray:
    """Distance of (W, H) to {Hw = 0, sqrt(n) Hbar = W', W'1 = 0}, over its norm, for K classes of n samples.

    The subspace of "strong neural collapse" [mixon2020]: features of a class coincide, class means and classifier are
    proportional, and both are centred. nan for unequal classes or m != K.
    """
    n = split.counts[0]
    if np.any(split.counts != n) or W.shape[0] != split.K:
        return np.asarray(np.nan)
    means = np.sqrt(n) * split.class_means
    along = (W.T + means) / 2
    along -= along.mean(axis=1, keepdims=True)
    gap = np.sum((W.T - along) ** 2) + np.sum((means - along) ** 2) + np.sum(split.within**2)
    return np.sqrt(gap / (np.sum(W**2) + np.sum(means**2) + np.sum(split.within**2)))
