"""NC3, self-duality: the classifier against the features."""

import numpy as np

from ufm.errors import UfmError


def self_duality(W: np.ndarray, M: np.ndarray) -> float:
    """|| W/||W||_F - M'/||M||_F ||_F for a classifier W (K x d) and class means M (d x K) [papyan2020, NC3].

    Papyan's M are the globally centred means; with uncentred ones it is the duality of an orthogonal frame.
    """
    if W.shape != M.T.shape:
        raise UfmError(f"W is {W.shape} and the class means {M.shape}; NC3 needs one row of W per class.")
    a, b = np.linalg.norm(W), np.linalg.norm(M)
    return float(np.linalg.norm(W / a - M.T / b)) if a > 0 and b > 0 else float("nan")


def balance(W: np.ndarray, M: np.ndarray, counts: np.ndarray) -> float:
    """|| W'W/||W'W||_F - MDM'/||MDM'||_F ||_F, D = diag(n_k), for any encoding (W m x d, M d x K, counts K).

    Zero at every collapsed critical point, where lam_W W'W = lam_H HH' (theory: section 2). Taken in the span of W'
    and M, so that nothing is d x d.
    """
    m, largest = W.shape[0], (float(np.max(np.abs(W))), float(np.max(np.abs(M))))
    if min(largest) == 0:
        return float("nan")
    W, M = W / largest[0], M / largest[1]  # lengths do not matter, and fourth powers of small ones underflow
    R = np.asarray(np.linalg.qr(np.hstack([W.T, M * np.sqrt(counts)]), mode="r"))
    A, B = R[:, :m] @ R[:, :m].T, R[:, m:] @ R[:, m:].T
    return float(np.linalg.norm(A / np.linalg.norm(A) - B / np.linalg.norm(B)))
