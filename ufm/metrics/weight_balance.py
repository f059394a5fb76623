"""Weight balance: the weight of the feature penalty that W and H behave as if they had, in total and by direction.

At every critical point lam_W W'W = lam_H HH' (theory: section 2). So lam_W ||W||^2 / ||H||^2 is lam_H there, in total
and along every direction. Trained without a feature penalty, a network shows which one its weight decay amounts to.
"""

from dataclasses import dataclass

import numpy as np

from ufm.errors import UfmError

_NO_MEAN = 1e-2  # of the strongest direction, below which the mean of the features counts as none
_FLAT = 1e-10  # of the largest eigenvalue, below which W has no direction


@dataclass(frozen=True, eq=False)
class DirectionBalance:
    """Per singular direction of W H, largest first: `lam_H`, its effective weight; `mean_share`; `singular_values`.

    lam_H is nan where the singular value is round-off. mean_share: squared cosine between the direction's sample side
    and the mean direction 1/sqrt(N): 1 for the direction of the mean, 0 for one that only the centred features have.
    Directions whose singular values are close mix, and their weights with them; `two_weights` keeps the mean apart.
    """

    lam_H: np.ndarray
    mean_share: np.ndarray
    singular_values: np.ndarray

    def anisotropy(self, rank: int | None = None) -> float:
        """Largest over smallest effective weight among the first `rank` directions (all by default); 1: isotropic."""
        kept = self.lam_H[:rank]
        kept = kept[np.isfinite(kept)]
        return float(np.max(kept) / np.min(kept)) if kept.size and np.min(kept) > 0 else float("nan")


def two_weights(
    classifier_gram: np.ndarray, mean: np.ndarray, centred: np.ndarray, N: int, lam_W: float
) -> tuple[float, float]:
    """(lam_0 on the mean of the features, lam_1 on centred ones), from lam_W W'W = lam_0 N hbar hbar' + lam_1 Hc Hc'.

    That balance holds at every critical point of the loss with the penalty lam_0 N/2 ||hbar||^2 + lam_1/2 ||Hc||^2,
    for any codes and sizes. Taken in the row space of W: its trace, and its entry along hbar, are two equations.
    classifier_gram: WW' (m x m); mean: W hbar (m); centred: W Hc, m x N, or any matrix with its outer product.
    The mean is taken apart first because singular vectors of W H mix it with what is centred as soon as their singular
    values are close. One below 1e-2 of the strongest direction is none: theory has it zero there, training not quite;
    lam_0 is nan then, as where it comes out negative, and both are where the row space holds only the mean's direction.
    """
    g, U = np.linalg.eigh(classifier_gram)
    kept = g > _FLAT * np.max(g, initial=0.0)
    g, to_rows = g[kept], U[:, kept].T / np.sqrt(g[kept])[:, None]
    y, Y = np.sqrt(N) * (to_rows @ mean), to_rows @ centred
    total, size, spread = lam_W * float(np.sum(g)), float(y @ y), float(np.sum(Y**2))
    strongest = max(float(np.linalg.norm(mean)) * np.sqrt(N), float(np.linalg.norm(centred, 2)))
    if np.sqrt(N) * float(np.linalg.norm(mean)) <= _NO_MEAN * strongest:
        return float("nan"), total / spread if spread > 0 else float("nan")
    along, cross = lam_W * float(g @ y**2) / size, float(np.sum((y @ Y) ** 2)) / size
    if spread - cross <= _FLAT * spread or g.size < 2:
        return float("nan"), float("nan")
    rest = (total - along) / (spread - cross)
    alone = (along - rest * cross) / size
    return alone if alone > 0 else float("nan"), rest


def of_balance(
    W: np.ndarray, H: np.ndarray, lam_W: float, rank: int | None = None, with_mean: bool = True
) -> dict[str, np.ndarray | float]:
    """Effective weights of H (d x N) under the linear layer W that it enters: in total, by direction, of mean and rest.

    `lam_H_effective`, `lam_H_by_direction` and `mean_share` (m), `lam_H_mean`, `lam_H_centred`, and `lam_H_anisotropy`:
    the largest over the smallest of the first `rank` directions (by default those above 1e-2 of the strongest: what
    theory sets to zero has no weight to compare), and, with_mean, of the two weights. nan where W or H is zero.
    """
    hbar = np.asarray(np.mean(H, axis=1, dtype=np.float64))
    found = direction_balance(W, H, lam_W)
    energy = float(np.sum(np.square(H, dtype=np.float64)))
    mean, centred = two_weights(W @ W.T, W @ hbar, W @ (H - hbar[:, None]), H.shape[1], lam_W)
    s = found.singular_values
    anisotropy = found.anisotropy(int(np.sum(s > _NO_MEAN * np.max(s, initial=0.0))) if rank is None else rank)
    if with_mean and np.isfinite(mean) and centred > 0:
        anisotropy = float(np.fmax(anisotropy, max(mean / centred, centred / mean)))
    return {
        "lam_H_effective": effective_lam_H(W, H, lam_W) if energy > 0 else float("nan"),
        "lam_H_by_direction": found.lam_H,
        "mean_share": found.mean_share,
        "lam_H_mean": mean,
        "lam_H_centred": centred,
        "lam_H_anisotropy": anisotropy,
    }


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
