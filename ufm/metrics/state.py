"""Observables of a collapsed state (W, Hbar, b): what every witness reports, under the same names."""

from collections.abc import Mapping

import numpy as np

from ufm.metrics.bias import bias_invariant, mean_invariant
from ufm.metrics.factors import energy_ratio, outside_rows
from ufm.metrics.geometry import cosines, gram, mean_cosine, role_spread, squared_distances
from ufm.metrics.isotropic_shift import isotropic_shift
from ufm.metrics.spectrum import spectrum

# Named dimensions of each observable, for records; what is not here is a number.
DIMS: dict[str, tuple[str, ...]] = {
    "nc1_per_class": ("class",),
    "gram": ("class", "other_class"),
    "cosines": ("class", "other_class"),
    "singular_values": ("direction",),
    "singular_values_centred": ("centred_direction",),
    "class_mean_norm": ("class",),
    "classifier_norm": ("target",),
    "classifier_gram": ("target", "other_target"),
    "classifier_distances_squared": ("target", "other_target"),
    "logits": ("target", "class"),
    "logit_directions": ("target", "class"),
    "bias": ("target",),
    "residual_covariance": ("target", "other_target"),
    "modes": ("direction",),
    "one_vs_rest_means": ("class",),
    "one_vs_rest_classifier": ("target",),
    "neco": ("sample",),
    "neco_outside": ("outside_sample",),
    "lam_H_by_direction": ("balance_direction",),
    "mean_share": ("balance_direction",),
    "factors_gram": ("factor_row", "other_factor_row"),
    "grams_difference": ("feature", "other_feature"),
}


def labelled(values: Mapping[str, np.ndarray | float]) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Values with the names of their dimensions, as `Record.of` takes them."""
    return {name: (DIMS.get(name, ()), np.asarray(value)) for name, value in values.items()}


def observables(
    W: np.ndarray,
    class_means: np.ndarray,
    b: np.ndarray | None,
    counts: np.ndarray,
    codes: np.ndarray,
    *,
    lam_H: float | None = None,
    lam_b: float | None = None,
) -> dict[str, np.ndarray]:
    """Observables of the state in which every sample sits on its class mean.

    W: m x d (with depth, the product of the layers); class_means: Hbar, d x K; b: m, or None for zero; counts: n_k (K);
    codes: C (m x K). With r = min(m, K), N = sum n_k, hbar = Hbar n/N:

    `gram`: Hbar'Hbar, `cosines`: their cosines (K x K), both uncentred; `cosine`: mean off-diagonal cosine;
    `class_mean_norm`: ||hbar_k|| (K); `classifier_norm`: row norms of W (m); `classifier_gram`: WW' (m x m);
    `classifier_distances_squared`: ||w_k - w_l||^2 of its rows (m x m);
    `logits`: W Hbar + b 1' (m x K), `logit_directions`: the same over its norm;
    `energy_ratio`: ||H||^2/||W||^2 over all samples; `outside_rows`: largest distance of a column of Hbar to the row
    space of W; `isotropic_shift`: the x >= 0 with WW' nearest to Sigma^{1/2} - x I;
    `singular_values`: of W H over all N samples, that is, of W Hbar diag(sqrt n_k) (r);
    `singular_values_centred`: of W (Hbar - hbar 1') diag(sqrt n_k) (min(m, K-1));
    `singular_value_mean`: sqrt(N) ||W hbar||;
    `role_spread`: largest distance of a column of Hbar to the mean of those with its code, over the largest norm;
    `bias` (m); `bias_gap`: ||b - ybar||; with lam_b `bias_invariant`, ||(1 + lam_b) b - (ybar - W hbar)||; with lam_H
    too `mean_invariant`, ||N lam_H hbar - rho W'(ybar - W hbar)||.
    """
    counts = np.asarray(counts, dtype=float)
    N = float(counts.sum())
    hbar, ybar = class_means @ (counts / N), codes @ (counts / N)
    b = np.zeros(W.shape[0]) if b is None else b
    values = geometry_of(W, class_means, b)
    values |= spectrum(W, hbar, class_means - hbar[:, None], counts, codes.shape)
    values |= {"bias_gap": np.linalg.norm(b - ybar), "role_spread": role_spread(class_means, codes)}
    values["energy_ratio"] = energy_ratio(W, class_means, counts)
    values["isotropic_shift"] = isotropic_shift(W, codes, counts)
    return {k: np.asarray(v) for k, v in (values | invariants(W, hbar, b, ybar, lam_H, lam_b, int(N))).items()}


def geometry_of(W: np.ndarray, class_means: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray | float]:
    """Gram matrices, cosines and norms of class means (d x K) and rows of W (m x d), logits, and b (m)."""
    angles = cosines(class_means)
    logits = W @ class_means + b[:, None]
    size = float(np.linalg.norm(logits))
    pairs = {"cosine": mean_cosine(angles)} if class_means.shape[1] > 1 else {}
    return pairs | {
        "gram": gram(class_means),
        "cosines": angles,
        "class_mean_norm": np.linalg.norm(class_means, axis=0),
        "classifier_norm": np.linalg.norm(W, axis=1),
        "classifier_gram": gram(W.T),
        "classifier_distances_squared": squared_distances(W.T),
        "logits": logits,
        "logit_directions": logits / size if size > 0 else logits,
        "outside_rows": outside_rows(W, class_means),
        "bias": b,
    }


def invariants(
    W: np.ndarray,
    hbar: np.ndarray,
    b: np.ndarray,
    ybar: np.ndarray,
    lam_H: float | None,
    lam_b: float | None,
    N: int,
) -> dict[str, float]:
    """The invariants whose weights are known."""
    if lam_b is None:
        return {}
    found = {"bias_invariant": bias_invariant(W, hbar, b, ybar, lam_b)}
    if lam_H is not None:
        found["mean_invariant"] = mean_invariant(W, hbar, ybar, lam_H, lam_b, N)
    return found
