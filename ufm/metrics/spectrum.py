"""Singular values of the logits W H over all samples, split into the centred part and the mean direction."""

from typing import Any

import numpy as np


def singular_values(X: np.ndarray, count: int) -> np.ndarray:
    """The `count` largest singular values of X, descending, padded with zeros where X has fewer."""
    s = np.linalg.svd(X, compute_uv=False)[:count]
    return np.concatenate([s, np.zeros(count - s.size)])


def spectrum_of_samples(
    W: np.ndarray, mean: np.ndarray, R: np.ndarray, N: int, shape: tuple[int, int]
) -> dict[str, Any]:
    """`spectrum` of W H for N samples with this mean and the covariance R'R (R: j x d), which determine H H'.

    So nothing is as long as the samples are many. W: m x d; shape: (m, K) of the codes.
    """
    C, mu = np.sqrt(N) * (W @ R.T), np.sqrt(N) * (W @ mean)
    return {
        "singular_values": singular_values(np.hstack([C, mu[:, None]]), min(shape)),
        "singular_values_centred": singular_values(C, max(1, min(shape[0], shape[1] - 1))),
        "singular_value_mean": np.linalg.norm(mu),
    }


def spectrum(
    W: np.ndarray, mean: np.ndarray, centred: np.ndarray, weight: np.ndarray, shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Singular values of X = W H D^{1/2}, where H = mean 1' + centred (d x j), D = diag(weight), centred @ weight = 0.

    shape: (m, K) of the codes, or (m, N) of the targets. Descending, as many as these can have: `singular_values` of X,
    min(m, K); `singular_values_centred` of W centred D^{1/2}, min(m, K - 1), since centring takes one rank away.
    `singular_value_mean`: sqrt(sum weight) ||W mean||, the length of the mean direction.
    """
    root = np.sqrt(weight)
    C, mu = W @ centred * root, W @ mean
    return {
        "singular_values": singular_values(C + np.outer(mu, root), min(shape)),
        "singular_values_centred": singular_values(C, max(1, min(shape[0], shape[1] - 1))),
        "singular_value_mean": np.sqrt(np.sum(weight)) * np.linalg.norm(mu),
    }
