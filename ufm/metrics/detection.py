"""Out-of-distribution features against collapsed ones: NC5 and the NECO score. They need features of both kinds."""

import numpy as np

from ufm.errors import UfmError


def nc5(class_means: np.ndarray, outside: np.ndarray) -> float:
    """Mean over k of |<hbar_k, o>| / (||hbar_k|| ||o||), o the mean of out-of-distribution features [ammar2023, NC5].

    class_means: Hbar (d x K), uncentred; outside: d x N'. 0 where they are orthogonal; nan beside a zero vector.
    """
    if class_means.shape[0] != outside.shape[0]:
        raise UfmError(f"class means are {class_means.shape}, features outside {outside.shape}: d must agree.")
    o = np.mean(outside, axis=1, dtype=np.float64)
    norms = np.linalg.norm(class_means, axis=0) * np.linalg.norm(o)
    return float(np.mean(np.abs(o @ class_means) / norms)) if np.all(norms > 0) else float("nan")


def principal_directions(H: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d) of H (d x N) and its `count` leading principal directions, orthonormal columns (d x count)."""
    if not 1 <= count <= min(H.shape):
        raise UfmError(f"count = {count}: H is {H.shape}, so give 1 to {min(H.shape)} principal directions.")
    mean = np.asarray(np.mean(H, axis=1, dtype=np.float64))
    centred = H - mean[:, None]
    if H.shape[1] > H.shape[0]:
        centred = np.asarray(np.linalg.qr(centred.T, mode="r")).T
    return mean, np.linalg.svd(centred, full_matrices=False)[0][:, :count]


def neco(
    H: np.ndarray, train: np.ndarray, count: int, logits: np.ndarray | None = None, *, centred: bool = True
) -> np.ndarray:
    """||P'(h - hbar)|| / ||h - hbar|| for each column of H (d x N -> N), times its largest logit [ammar2023, NECO].

    P: the `count` leading principal directions of training features `train` (d x N'), hbar their mean; logits: m x N,
    or None to leave the factor out; centred=False: h itself for h - hbar. Near 1 inside the distribution, smaller
    outside; 0 at a zero denominator. Only the uncentred score is 0 at an o with NC5, P'o = 0 (`ammar2023:nc5_score`).
    """
    mean, P = principal_directions(train, count)
    if H.shape[0] != mean.size:
        raise UfmError(f"H is {H.shape}, the training features are {train.shape}: d must agree.")
    moved = H - mean[:, None] if centred else np.asarray(H, dtype=np.float64)
    factor = np.ones(H.shape[1]) if logits is None else np.max(logits, axis=0)
    return factor * share_inside(moved, P)


def share_inside(H: np.ndarray, P: np.ndarray) -> np.ndarray:
    """||P'h||/||h|| for each column of H (d x N -> N) and orthonormal columns P (d x k): 0 to 1; 0 for h = 0."""
    norms = np.sqrt(np.sum(np.square(H, dtype=np.float64), axis=0))
    return np.minimum(np.linalg.norm(P.T @ H, axis=0) / np.where(norms > 0, norms, 1.0), 1.0)


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Share of pairs in which the score inside (N) is above the one outside (N'), equal ones counted half.

    The area under the receiver operating characteristic: 1/2 for scores that say nothing, 1 for scores that tell all.
    """
    known = np.sort(outside)
    below = np.searchsorted(known, inside, "left") + np.searchsorted(known, inside, "right")
    return float(np.mean(below) / (2 * known.size))
