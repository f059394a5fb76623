"""Weight balance: the weight of the feature penalty that W and H behave as if they had, in total and by direction.

At every critical point lam_W W'W = lam_H HH' (theory: section 2). So lam_W ||W||^2 / ||H||^2 is lam_H there, in total
and along every direction. Trained without a feature penalty, a network shows which one its weight decay amounts to.
"""

from dataclasses import dataclass

import numpy as np

from ufm.errors import UfmError


@dataclass(frozen=True, eq=False)
class DirectionBalance:
    """Per singular direction of W H, largest first: `lam_H`, its effective weight; `mean_share`; `singular_values`.

    lam_H is nan where the singular value is round-off. mean_share: squared cosine between the direction's sample side
    and the mean direction 1/sqrt(N): 1 for the direction of the mean, 0 for one that only the centred features have.
    """

    lam_H: np.ndarray
    mean_share: np.ndarray
    singular_values: np.ndarray

    def anisotropy(self, rank: int | None = None) -> float:
        """Largest over smallest effective weight among the first `rank` directions (all by default); 1: isotropic."""
        kept = self.lam_H[:rank]
        kept = kept[np.isfinite(kept)]
        return float(np.max(kept) / np.min(kept)) if kept.size else float("nan")


def two_weights(lam_H: np.ndarray, mean_share: np.ndarray, singular_values: np.ndarray) -> tuple[float, float]:
    """(lam_H of the direction nearest the mean, lam_H of all others together) from a `DirectionBalance`'s arrays.

    Together means lam_W sum ||W'v||^2 / sum ||u'H||^2 = sum s sqrt(lam) / sum s/sqrt(lam) over those directions.
    """
    known = np.isfinite(lam_H)
    lam, s = lam_H[known], singular_values[: lam_H.size][known]
    if lam.size < 2:
        return float("nan"), float("nan")
    mean = int(np.argmax(mean_share[known]))
    root, rest = np.sqrt(np.delete(lam, mean)), np.delete(s, mean)
    return float(lam[mean]), float((rest @ root) / (rest @ (1 / root)))


def effective_lam_H(W: np.ndarray, H: np.ndarray, lam_W: float) -> float:
    """lam_W ||W||_F^2 / ||H||_F^2 for W (m x d) and H over all samples (d x N)."""
    energy = float(np.sum(np.square(H, dtype=np.float64)))
    if energy == 0:
        raise UfmError("H is zero, so no weight of its penalty can be inferred; give lam_H.")
    return lam_W * float(np.sum(np.square(W, dtype=np.float64))) / energy


def direction_balance(W: np.ndarray, H: np.ndarray, lam_W: float) -> DirectionBalance:
    """lam_W ||W'v||^2 / ||u'H||^2 per singular vector v of W H = sum_i s_i v_i q_i', u = W'v/||W'v||.

    W: m x d; H: d x N, all samples. As u'H = s q'/||W'v||, it is lam_W ||W'v||^4 / s^2.
    """
    X = W.astype(np.float64) @ H.astype(np.float64)
    # Thin: the triangle of X' has the singular values and left vectors of X, and is m x m however many the samples.
    V, s, _ = np.linalg.svd(np.asarray(np.linalg.qr(X.T, mode="r")).T)
    V = V[:, : s.size]
    keep = s > max(X.shape) * float(np.finfo(float).eps) * np.max(s, initial=0.0)
    strength = np.sum((W.T @ V) ** 2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(keep, lam_W * (strength / s) ** 2, np.nan)
        share = np.where(keep, X.shape[1] * (V.T @ X.mean(axis=1) / s) ** 2, np.nan)
    return DirectionBalance(effective, np.minimum(share, 1.0), s)
