"""Features split into class means and deviations: what every class metric starts from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ufm.errors import UfmError
from ufm.metrics.root import Root, whitener

_SMALLEST, _LARGEST = 1e-120, 1e120  # of entries whose sums of squares stay in double precision


@dataclass(frozen=True, eq=False)
class Split:
    """H = hbar 1' + (deviations of class means) + Hw, in double precision, columns sorted by class.

    order: columns of H class after class (N); counts: n_k (K); mean: hbar over samples (d); deviations: hbar_k - hbar
    (d x K); within: Hw (d x N, sorted); scale: the largest |entry| of H, which sets what round-off can hide.
    """

    order: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    deviations: np.ndarray
    within: np.ndarray
    scale: float

    @property
    def d(self) -> int:
        """Feature width."""
        return self.within.shape[0]

    @property
    def N(self) -> int:
        """Number of samples."""
        return self.within.shape[1]

    @property
    def K(self) -> int:
        """Number of classes present."""
        return self.counts.size

    @property
    def class_means(self) -> np.ndarray:
        """Hbar (d x K)."""
        return without_roundoff(self.mean[:, None] + self.deviations, self.resolution)

    @property
    def resolution(self) -> float:
        """The length below which the difference of two class means is round-off."""
        return resolution(self.scale, self.d)

    @cached_property
    def total(self) -> Root:
        """The root of Sigma_T, the covariance of all samples about hbar; factorised once for all metrics."""
        return Root.of(self.centred() / np.sqrt(self.N))

    @cached_property
    def whitener(self) -> np.ndarray:
        """G (r x d) with G'G = Sigma_B^+, Sigma_B of rank r weighted by samples; empty where class means coincide."""
        root = np.sqrt(self.class_weights())
        return whitener(self.deviations * root, root, self.resolution)

    def centred(self) -> np.ndarray:
        """H - hbar 1', columns sorted by class (d x N)."""
        return self.within + np.repeat(self.deviations, self.counts, axis=1)

    def class_weights(self, weighting: str = "samples") -> np.ndarray:
        """pi_k (K): n_k/N for "samples", 1/K for "classes"."""
        if weighting == "samples":
            return self.counts / self.N
        if weighting == "classes":
            return np.full(self.K, 1 / self.K)
        raise UfmError(f"weighting = {weighting!r}: choose 'samples' (n_k/N) or 'classes' (1/K).")

    def within_variances(self) -> np.ndarray:
        """(1/n_k) sum_i ||h_i - hbar_k||^2 (K)."""
        return self.sum_by_class(np.sum(self.within**2, axis=0)) / self.counts

    def sum_by_class(self, values: np.ndarray) -> np.ndarray:
        """Sums over the samples of each class along the last axis (... x N, sorted -> ... x K)."""
        return np.add.reduceat(values, np.cumsum(self.counts) - self.counts, axis=-1)


def split_classes(H: np.ndarray, labels: np.ndarray) -> Split:
    """Split H (d x N) by labels (N, of any kind that sorts): K classes in sorted order, absent ones left out."""
    kinds, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if H.ndim != 2 or index.shape != (H.shape[1],):
        raise UfmError(f"H is {H.shape} and labels {np.shape(labels)}; give H as d x N and one label per column.")
    if kinds.size < 2:
        raise UfmError(f"all {H.shape[1]} samples have the label {kinds.tolist()}; class metrics need two classes.")
    order = np.argsort(index, kind="stable")
    within = H[:, order].astype(np.float64)
    scale = float(np.max(np.abs(within), initial=0.0))
    demand_range(scale, "H has")
    mean = within.mean(axis=1)
    within -= mean[:, None]
    starts = np.cumsum(counts) - counts
    deviations = np.zeros((H.shape[0], kinds.size))
    for _ in range(2):  # the second pass takes away what the first one's rounding left
        correction = np.add.reduceat(within, starts, axis=1) / counts
        deviations += correction
        within -= np.repeat(correction, counts, axis=1)
    shift = deviations @ (counts / counts.sum())  # rounding of the mean: it belongs to hbar
    deviations = without_roundoff(deviations - shift[:, None], resolution(scale, H.shape[0]))
    return Split(order, counts, mean + shift, deviations, within, scale)


def resolution(scale: float, d: int) -> float:
    """The length of d numbers that is round-off of entries as large as `scale`, with a factor of 8 to spare."""
    return 8 * float(np.finfo(float).eps) * scale * d**0.5


def without_roundoff(columns: np.ndarray, least: float) -> np.ndarray:
    """The columns, those no longer than `least` exactly zero: they have no direction to speak of."""
    return np.where(np.linalg.norm(columns, axis=0) > least, columns, 0.0)


def demand_range(scale: float, what: str) -> None:
    """UfmError where the largest |entry| is not finite, or so far from 1 that squares leave double precision."""
    if not np.isfinite(scale):
        raise UfmError(f"{what} entries that are not finite; a diverged run has no geometry to measure.")
    if scale and not _SMALLEST < scale < _LARGEST:
        raise UfmError(f"{what} {scale:.3g} as its largest entry, squares of which leave double precision; rescale.")
