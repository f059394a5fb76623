"""What moments do not determine: decisions sample by sample, on a second pass over the batches they came from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ufm.arrays import to_numpy
from ufm.errors import UfmError
from ufm.metrics import ncc
from ufm.metrics.streaming import Moments
from ufm.metrics.uniformity import margins


@dataclass(frozen=True, eq=False)
class Decisions:
    """Samples decided so far by the nearest class mean and by the classifier; `add` and `merge` return new ones.

    moments: of a first pass over the same samples; W: m x d and b: m, None without a classifier; codes: m x K, None
    where no logits are to be decided. The rest counts samples: all, those both decide alike, those each has right.
    """

    moments: Moments
    W: np.ndarray | None = None
    b: np.ndarray | None = None
    codes: np.ndarray | None = None
    N: int = 0
    alike: int = 0
    right: int = 0
    right_by_mean: int = 0
    margin_sum: float = 0.0
    margin_least: float = float("inf")

    @staticmethod
    def after(moments: Moments, W: Any = None, b: Any = None, codes: Any = None) -> "Decisions":
        """None yet. codes are one-hot by default, with as many rows as classes were seen."""
        if W is None:
            return Decisions(moments, codes=None if codes is None else np.asarray(to_numpy(codes), dtype=np.float64))
        return Decisions(moments, *moments.classifier_given(W, b, codes))

    def add(self, H: Any, labels: Any, logits: Any = None) -> "Decisions":
        """These with one more batch: H d x B, labels B; logits m x B in place of W H + b where there is no W."""
        H, kinds = np.asarray(to_numpy(H), dtype=np.float64), self.moments.kinds
        told = np.asarray(to_numpy(labels))
        at = np.minimum(np.searchsorted(kinds, told), kinds.size - 1)
        if told.ndim != 1 or H.shape != (self.moments.d, told.size) or not np.array_equal(kinds[at], told):
            raise UfmError("the second pass has samples or labels that the first did not have; run the same batches.")
        means = self.moments.means
        hbar = means @ (self.moments.counts / self.moments.N)
        role = np.arange(kinds.size) if self.codes is None else ncc.roles(self.codes)
        by_mean, truth = role[ncc.decisions(H - hbar[:, None], means - hbar[:, None])], role[at]
        found = replace(self, N=self.N + told.size, right_by_mean=self.right_by_mean + int(np.sum(by_mean == truth)))
        if self.codes is None:
            return found
        Z = self._logits(H, hbar) if self.W is not None else np.asarray(to_numpy(logits), dtype=np.float64)
        by_classifier = role[ncc.decisions(Z, self.codes)]
        found = replace(
            found,
            alike=self.alike + int(np.sum(by_classifier == by_mean)),
            right=self.right + int(np.sum(by_classifier == truth)),
        )
        if not ncc.decides_by_largest(self.codes):
            return found
        apart = margins(Z, np.argmax(self.codes, axis=0)[at])
        least = min(self.margin_least, float(np.min(apart)))
        return replace(found, margin_sum=self.margin_sum + float(np.sum(apart)), margin_least=least)

    def merge(self, other: "Decisions") -> "Decisions":
        """What one accumulator would hold that had seen both; each must have come after the same moments."""
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return replace(self, **counts, margin_least=min(self.margin_least, other.margin_least))

    def values(self) -> dict[str, float]:
        """`ncc_accuracy`, and with a classifier `nc4`, `accuracy` and, for one-hot codes, the margins.

        Raises UfmError where this pass saw more or fewer samples than the first.
        """
        if self.N != self.moments.N:
            fix = "run the same batches twice; their order does not matter"
            raise UfmError(f"the first pass had {self.moments.N} samples, the second {self.N}: {fix}.")
        found = {"ncc_accuracy": self.right_by_mean / self.N}
        if self.codes is None:
            return found
        found |= {"nc4": 1 - self.alike / self.N, "accuracy": self.right / self.N}
        if ncc.decides_by_largest(self.codes):
            found |= {"margin_least": self.margin_least, "margin_mean": self.margin_sum / self.N}
        return found

    def _logits(self, H: np.ndarray, hbar: np.ndarray) -> np.ndarray:
        """W h + b about the mean, so that a common offset costs no digits (m x B)."""
        W, b = np.asarray(self.W), np.asarray(self.b)
        return W @ (H - hbar[:, None]) + (W @ hbar + b)[:, None]


_COUNTS = ("N", "alike", "right", "right_by_mean", "margin_sum")
