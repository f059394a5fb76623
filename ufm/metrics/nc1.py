"""NC1, within-class variability collapse: within-class scatter measured in units of the between-class scatter.

With class weights pi_k (n_k/N or 1/K), hbar = sum_k pi_k hbar_k:
Sigma_W = sum_k (pi_k/n_k) sum_i (h_ki - hbar_k)(h_ki - hbar_k)',  Sigma_B = sum_k pi_k (hbar_k - hbar)(hbar_k - hbar)'.
The two weightings agree for classes of equal size.
"""

import numpy as np

from ufm.metrics.split import Split


def nc1(split: Split, weighting: str = "samples") -> float:
    """Trace tr(Sigma_W Sigma_B^+)/K, never negative [papyan2020, eq. NC1; zhu2021].

    With the thin decomposition U S V' of the weighted centred class means (d x K): sum_i u_i' Sigma_W u_i / s_i^2 / K
    over the s_i above round-off. inf where all class means coincide but samples do not (the bare pseudo-inverse would
    give 0 there), nan where all samples coincide.
    """
    U, s = _between(split, weighting)
    if s.size == 0:
        return _over_zero(split)
    weights = split.class_weights(weighting) / split.counts
    power = np.sum(((U.T @ split.within) / s[:, None]) ** 2, axis=0)
    return float(split.sum_by_class(power) @ weights) / split.K


def nc1_ratio(split: Split, weighting: str = "samples") -> float:
    """Ratio of traces tr Sigma_W / tr Sigma_B [tirer2022, section 3; yaras2022], never negative.

    It sees the within-class parts outside the span of the class means, which the pseudo-inverse form does not.
    """
    _, s = _between(split, weighting)
    if s.size == 0:
        return _over_zero(split)
    return float(split.within_variances() @ split.class_weights(weighting)) / float(np.sum(s**2))


def nc1_per_class(split: Split) -> np.ndarray:
    """Per class tr Sigma_k / tr Sigma_B, Sigma_k the covariance of class k, Sigma_B weighted by samples (K)."""
    _, s = _between(split, "samples")
    if s.size == 0:
        return np.full(split.K, _over_zero(split))
    return split.within_variances() / np.sum(s**2)


def _between(split: Split, weighting: str) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors (d x r) and values (r) of (hbar_k - hbar) sqrt(pi_k), those above round-off."""
    pi = split.class_weights(weighting)
    M = (split.deviations - (split.deviations @ pi)[:, None]) * np.sqrt(pi)
    U, s, _ = np.linalg.svd(M, full_matrices=False)
    floor = max(split.resolution, max(M.shape) * float(np.finfo(float).eps) * float(s[0]))
    return U[:, s > floor], s[s > floor]


def _over_zero(split: Split) -> float:
    return float("inf") if np.any(np.abs(split.within) > split.resolution) else float("nan")
