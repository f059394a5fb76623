"""Generalised neural collapse where K may exceed d + 1: uniform directions, uniform duality, one-vs-rest distance."""

import numpy as np
from scipy.optimize import nnls

from ufm.errors import UfmError
from ufm.metrics.pairs import squared_distances


def hyperspherical_uniformity(M: np.ndarray) -> dict[str, float]:
    """`uniformity_mean`, `uniformity_variance`: over pairs k < l, of log(1/||m_k - m_l||), m_k the unit columns of M.

    M: centred class means or rows of W, as columns (d x K). Source: wu2024, GNC2. The mean is smallest for directions
    spread evenly, the variance 0 for a simplex ETF. inf and nan where two directions coincide; nan beside a zero
    column.
    """
    norms = np.linalg.norm(M, axis=0)
    if not np.all(norms > 0):
        return {"uniformity_mean": float("nan"), "uniformity_variance": float("nan")}
    apart = np.sqrt(squared_distances(M / norms))
    if np.min(apart) <= 8 * float(np.finfo(float).eps):
        return {"uniformity_mean": float("inf"), "uniformity_variance": float("nan")}
    kernel = -np.log(apart)
    return {"uniformity_mean": float(np.mean(kernel)), "uniformity_variance": float(np.var(kernel))}


def uniform_duality(W: np.ndarray, M: np.ndarray) -> dict[str, float]:
    """`duality_cosine_mean`, `duality_cosine_spread`: mean and standard deviation over k of cos(w_k, m_k).

    W: one row a class (K x d); M: centred class means (d x K). Source: wu2024, GNC3. The mean is 1 where each row
    points along its class mean, the spread 0 where the classes are alike. nan beside a zero vector.
    """
    if W.shape != M.T.shape:
        raise UfmError(f"W is {W.shape} and the class means {M.shape}; duality needs one row of W per class.")
    norms = np.linalg.norm(W, axis=1) * np.linalg.norm(M, axis=0)
    if not np.all(norms > 0):
        return {"duality_cosine_mean": float("nan"), "duality_cosine_spread": float("nan")}
    cosine = np.clip(np.sum(W * M.T, axis=1) / norms, -1.0, 1.0)
    return {"duality_cosine_mean": float(np.mean(cosine)), "duality_cosine_spread": float(np.std(cosine))}


def one_vs_rest_distances(V: np.ndarray) -> np.ndarray:
    """dist(v_k, conv{v_l : l != k}) for the columns of V (d x K -> K) [jiang2023, the softmax code's margin].

    The nearest point of a hull to the origin, min ||A y|| over the simplex, is one non-negative least-squares problem,
    min ||A x||^2 + (1'x - 1)^2 over x >= 0, with y = x/1'x: at a given y the best length of x leaves a value that grows
    with ||A y||, namely ||A y||^2/(1 + ||A y||^2).
    """
    d, K = V.shape
    if K < 2:
        raise UfmError(f"V is {V.shape}; a distance to the rest needs two columns.")
    found = np.zeros(K)
    for k in range(K):
        A = np.delete(V, k, axis=1) - V[:, [k]]
        size = float(np.max(np.linalg.norm(A, axis=0)))
        if size == 0:
            continue
        x, _ = nnls(np.vstack([A / size, np.ones(K - 1)]), np.append(np.zeros(d), 1.0))
        found[k] = float(np.linalg.norm(A @ (x / np.sum(x))))
    return found


def one_vs_rest(V: np.ndarray, of: str) -> dict[str, np.ndarray | float]:
    """`one_vs_rest_<of>` (K) and the least of them, `one_vs_rest_margin_<of>`, for the unit columns of V (d x K).

    The second is what a softmax code makes largest [jiang2023]. nan beside a zero column, which has no direction.
    """
    norms = np.linalg.norm(V, axis=0)
    if not np.all(norms > 0):
        return {f"one_vs_rest_{of}": np.full(V.shape[1], np.nan), f"one_vs_rest_margin_{of}": float("nan")}
    unit = V / norms
    if unit.shape[0] > unit.shape[1]:  # distances are the same in the span of the columns
        unit = np.asarray(np.linalg.qr(unit, mode="r"))
    found = one_vs_rest_distances(unit)
    return {f"one_vs_rest_{of}": found, f"one_vs_rest_margin_{of}": float(np.min(found))}


def margins(Z: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """z_k - max_{l != k} z_l at the true class k of each sample: Z m x N, truth N rows of Z -> N.

    Positive where arg max is right; for unit weights [jiang2023]'s sample margin.
    """
    index = np.arange(Z.shape[1])
    others = Z.copy()
    others[truth, index] = -np.inf
    return Z[truth, index] - np.max(others, axis=0)
