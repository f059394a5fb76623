"""NC1, within-class variability collapse: within-class scatter measured in units of the between-class scatter.

With class weights pi_k (n_k/N or 1/K), hbar = sum_k pi_k hbar_k:
Sigma_W = sum_k (pi_k/n_k) sum_i (h_ki - hbar_k)(h_ki - hbar_k)',  Sigma_B = sum_k pi_k (hbar_k - hbar)(hbar_k - hbar)'.
The two weightings agree for classes of equal size.
"""

import numpy as np

from ufm.metrics.root import whitener
from ufm.metrics.split import Split


def nc1(split: Split, weighting: str = "samples") -> float:
    """Trace tr(Sigma_W Sigma_B^+)/K, never negative [papyan2020, NC1; zhu2021].

    With G'G = Sigma_B^+, without directions of round-off: the mean of ||G h||^2 over the columns h of Hw, over K. inf
    where all class means coincide but samples do not (the bare pseudo-inverse would give 0 there), nan where all
    samples coincide.
    """
    pi = split.class_weights(weighting)
    G = (
        split.whitener
        if weighting == "samples"
        else whitener(_between(split, weighting), np.sqrt(pi), split.resolution)
    )
    if not G.size:
        return _over_zero(split)
    power = np.sum((G @ split.within) ** 2, axis=0)
    return float(split.sum_by_class(power) @ (pi / split.counts)) / split.K


def nc1_ratio(split: Split, weighting: str = "samples") -> float:
    """Ratio of traces tr Sigma_W / tr Sigma_B, never negative.

    It sees the within-class parts outside the span of the class means, which the pseudo-inverse form does not. inf and
    nan as there.
    """
    scatter = _scatter(split, weighting)
    if scatter == 0:
        return _over_zero(split)
    return float(split.within_variances() @ split.class_weights(weighting)) / scatter


def nc1_per_class(split: Split) -> np.ndarray:
    """Per class tr Sigma_k / tr Sigma_B, Sigma_k the covariance of class k, Sigma_B weighted by samples (K)."""
    scatter = _scatter(split, "samples")
    if scatter == 0:
        return np.full(split.K, _over_zero(split))
    return split.within_variances() / scatter


def _between(split: Split, weighting: str) -> np.ndarray:
    """Columns (hbar_k - hbar) sqrt(pi_k), whose outer product is Sigma_B (d x K)."""
    pi = split.class_weights(weighting)
    return (split.deviations - (split.deviations @ pi)[:, None]) * np.sqrt(pi)


def _scatter(split: Split, weighting: str) -> float:
    """Trace of Sigma_B; exactly 0 where the class means coincide to round-off."""
    squares = np.sum(_between(split, weighting) ** 2, axis=0)
    return float(np.sum(squares)) if np.any(squares > split.resolution**2) else 0.0


def _over_zero(split: Split) -> float:
    return float("inf") if np.any(np.abs(split.within) > split.resolution) else float("nan")
