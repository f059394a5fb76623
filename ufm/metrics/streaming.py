"""Class moments of features that pass by in batches, once, and the metrics that need nothing else.

Means and scatter are updated about their own centres (chan1983), so a common offset costs no digits, and two
accumulators merge into the one that saw both halves. What remembers d x d numbers, not d x N, cannot say everything:
NC4, accuracies and margins need a second pass over the samples (`ufm.metrics.decisions`), and TwoNN, NECO, the
class-weighted trace form of NC1, the numerical rank and the parts of the loss all samples at once, the last two because
weak directions are lost in a matrix of squares (`ufm.measure` has them all).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.arrays import to_numpy
from ufm.errors import UfmError
from ufm.metrics.means import of_duality, of_means, of_means_and_classifier
from ufm.metrics.pairs import squared_distances
from ufm.metrics.rank import stable_rank
from ufm.metrics.root import Root
from ufm.metrics.spectrum import spectrum_of_samples
from ufm.metrics.split import demand_range, resolution, without_roundoff
from ufm.metrics.state import labelled
from ufm.metrics.vci import collapse_index
from ufm.record import Record


@dataclass(frozen=True, eq=False)
class Moments:
    """What was seen so far; `add` and `merge` return new ones, so that a state may be kept, pickled and sent.

    kinds: labels seen, sorted (K); counts: n_k (K); means: hbar_k (d x K); scatter: sum of (h - hbar_k)(h - hbar_k)'
    over all samples (d x d); spread: its trace by class (K); norm_sum: sum of ||h||; scale: largest |entry|.
    """

    kinds: np.ndarray
    counts: np.ndarray
    means: np.ndarray
    scatter: np.ndarray
    spread: np.ndarray
    norm_sum: float
    scale: float

    @staticmethod
    def empty(d: int) -> "Moments":
        """Nothing seen yet, in d dimensions."""
        return Moments(np.zeros(0, int), np.zeros(0), np.zeros((d, 0)), np.zeros((d, d)), np.zeros(0), 0.0, 0.0)

    @property
    def d(self) -> int:
        """Feature width."""
        return self.means.shape[0]

    @property
    def N(self) -> int:
        """Samples seen."""
        return int(self.counts.sum())

    def add(self, H: Any, labels: Any) -> "Moments":
        """These moments with one more batch: H d x B, labels B, of any backend."""
        return self.merge(_of_batch(to_numpy(H), np.asarray(to_numpy(labels)), self.d))

    def merge(self, other: "Moments") -> "Moments":
        """What one accumulator would hold that had seen both."""
        if other.d != self.d:
            raise UfmError(f"features of width {self.d} and {other.d} do not merge.")
        if not self.N or not other.N:
            return self if not other.N else other
        kinds = np.union1d(self.kinds, other.kinds)
        a, b = self._among(kinds), other._among(kinds)
        counts = a.counts + b.counts
        delta = b.means - a.means
        shared = a.counts * b.counts / counts  # 0 where only one of them has seen the class
        return Moments(
            kinds,
            counts,
            a.means + delta * (b.counts / counts),
            a.scatter + b.scatter + (delta * shared) @ delta.T,
            a.spread + b.spread + shared * np.sum(delta**2, axis=0),
            a.norm_sum + b.norm_sum,
            max(a.scale, b.scale),
        )

    def _among(self, kinds: np.ndarray) -> "Moments":
        """The same with a column for each of `kinds`, zero for those not seen."""
        at = np.searchsorted(kinds, self.kinds)
        counts, means, spread = np.zeros(kinds.size), np.zeros((self.d, kinds.size)), np.zeros(kinds.size)
        counts[at], means[:, at], spread[at] = self.counts, self.means, self.spread
        return Moments(kinds, counts, means, self.scatter, spread, self.norm_sum, self.scale)

    def record(self, W: Any = None, b: Any = None, codes: Any = None) -> Record:
        """The metrics that moments determine, equal to those of `ufm.measure` on all samples at once.

        W: m x d; b: m, None for zero; codes: m x K, one column per label in sorted order, one-hot by default (then m is
        K). Raises UfmError where fewer than two classes were seen.
        """
        if self.kinds.size < 2:
            raise UfmError(f"labels seen so far: {self.kinds.tolist()}; class metrics need two classes.")
        hbar, least = self.means @ (self.counts / self.N), resolution(self.scale, self.d)
        means, deviations = without_roundoff(self.means, least), without_roundoff(self.means - hbar[:, None], least)
        within = _root(self.scatter / self.N)
        # [B, root of the within part] is a root of their sum as good as the samples; squaring would not be.
        total = Root.of(np.hstack([deviations * np.sqrt(self.counts / self.N), within]))
        values = of_means(means, deviations) | self._variability(deviations, total)
        values["feature_norm"] = self.norm_sum / self.N
        values["stable_rank"] = stable_rank(np.vstack([total.R, hbar]))
        if W is not None:
            given = self.classifier_given(W, b, codes)
            values |= of_means_and_classifier(means, deviations, self.counts, *given)
            values |= of_duality(means, deviations, given[0]) if given[0].shape[0] == self.kinds.size else {}
            values |= spectrum_of_samples(given[0], hbar, total.R, self.N, given[2].shape)
        plain = np.array_equal(self.kinds, np.arange(self.kinds.size))
        return Record.of("measured", labelled(values), coords=None if plain else {"class": self.kinds})

    def _variability(self, deviations: np.ndarray, total: Root) -> dict[str, Any]:
        """NC1 in its forms, CDNV and VCI; formulas and limits as in nc1.py, cdnv.py, vci.py."""
        K, variances, pi = self.kinds.size, self.spread / self.counts, self.counts / self.N
        eps, least = float(np.finfo(float).eps), resolution(self.scale, self.d)
        B = deviations * np.sqrt(pi)
        U, s, _ = np.linalg.svd(B, full_matrices=False)
        keep = s > max(least, max(B.shape) * eps * s[0])
        over_zero = float("inf") if np.sum(self.spread) > self.N * least**2 else float("nan")
        if not np.any(keep):
            ones = np.full(K, over_zero)
            return {
                "nc1": over_zero,
                "nc1_ratio": over_zero,
                "nc1_per_class": ones,
                "cdnv": float("inf"),
                "vci": np.nan,
            }
        inside = np.einsum("ij,ij->j", U[:, keep], self.scatter @ U[:, keep]) / self.N
        between = float(np.sum(B**2))
        values: dict[str, Any] = {
            "nc1": float(np.sum(np.maximum(inside, 0) / s[keep] ** 2)) / K,
            "nc1_ratio": float(variances @ pi) / between,
            "nc1_per_class": variances / between,
            "vci": collapse_index(B, int(np.sum(keep)), total),
        }
        if np.ptp(self.counts):
            alike = deviations - deviations.mean(axis=1, keepdims=True)
            values["nc1_ratio_class_weighted"] = float(np.mean(variances)) / float(np.sum(alike**2) / K)
        distances = squared_distances(deviations)
        first, second = np.triu_indices(K, 1)
        apart = np.all(distances > least**2)
        values["cdnv"] = float(np.mean((variances[first] + variances[second]) / (2 * distances))) if apart else np.inf
        return values

    def classifier_given(self, W: Any, b: Any, codes: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """W (m x d), b (m) and codes (m x K) in double precision, checked against the moments and each other."""
        K, W = self.kinds.size, np.asarray(to_numpy(W), dtype=np.float64)
        C = np.eye(K) if codes is None else np.asarray(to_numpy(codes), dtype=np.float64)
        if W.ndim != 2 or W.shape[1] != self.d or C.shape != (W.shape[0], K):
            raise UfmError(f"W is {W.shape}, the codes {C.shape}; give W as m x {self.d} and codes as m x {K}.")
        offset = np.zeros(W.shape[0]) if b is None else np.asarray(to_numpy(b), dtype=np.float64).reshape(-1)
        if offset.shape != (W.shape[0],):
            raise UfmError(f"b has {offset.size} entries; give {W.shape[0]}, one per row of W.")
        return W, offset, C


def _of_batch(H: np.ndarray, labels: np.ndarray, d: int) -> Moments:
    """Moments of one batch, about its own class means."""
    if H.ndim != 2 or H.shape[0] != d or labels.shape != (H.shape[1],):
        raise UfmError(f"a batch has H {H.shape} and labels {labels.shape}; give d x B with d = {d}, and B labels.")
    if not labels.size:
        return Moments.empty(d)
    kinds, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(index, kind="stable")
    within = H[:, order].astype(np.float64)
    scale = float(np.max(np.abs(within)))
    demand_range(scale, "a batch has")
    norm_sum = float(np.sum(np.linalg.norm(within, axis=0)))
    starts = np.cumsum(counts) - counts
    means = np.zeros((d, kinds.size))
    for _ in range(2):  # the second pass takes away what the first one's rounding left
        correction = np.add.reduceat(within, starts, axis=1) / counts
        means += correction
        within -= np.repeat(correction, counts, axis=1)
    spread = np.add.reduceat(np.sum(within**2, axis=0), starts)
    return Moments(kinds, counts.astype(float), means, within @ within.T, spread, norm_sum, scale)


def _root(S: np.ndarray) -> np.ndarray:
    """R with R R' = S for a positive semidefinite S."""
    values, vectors = np.linalg.eigh((S + S.T) / 2)
    return vectors * np.sqrt(np.maximum(values, 0))
