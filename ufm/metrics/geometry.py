"""NC2, the geometry of the class means: Gram matrices, cosines, norms, and distances to the frames of the theory."""

import numpy as np

from ufm.errors import UfmError


def gram(M: np.ndarray) -> np.ndarray:
    """M'M of the columns of M (d x K -> K x K)."""
    return M.T @ M


def cosines(M: np.ndarray) -> np.ndarray:
    """Cosine between columns k and l of M (d x K -> K x K, 1 on the diagonal); nan beside a zero column."""
    norms = np.linalg.norm(M, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = M / norms
    result = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(result, np.where(norms > 0, 1.0, np.nan))
    return result


def squared_distances(M: np.ndarray) -> np.ndarray:
    """||m_k - m_l||^2 of the columns of M (d x K -> K x K), to round-off of their squared norms."""
    G = gram(M)
    squares = np.diag(G)
    return np.maximum(0.0, squares[:, None] + squares[None, :] - 2 * G)


def mean_cosine(cosine_matrix: np.ndarray) -> float:
    """Mean off-diagonal entry of a cosine matrix (K x K)."""
    return float(np.mean(off_diagonal(cosine_matrix)))


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """The K(K-1) off-diagonal entries of a K x K matrix, row after row."""
    K = matrix.shape[0]
    return matrix[~np.eye(K, dtype=bool)]


def equinorm(M: np.ndarray) -> float:
    """Standard deviation over mean of the column norms of M (d x K) [papyan2020, NC2]; 0 for equal norms."""
    norms = np.linalg.norm(M, axis=0)
    return float(np.std(norms) / np.mean(norms)) if np.any(norms > 0) else float("nan")


def equiangle(M: np.ndarray) -> float:
    """Standard deviation of the off-diagonal cosines of the columns of M (d x K) [papyan2020, NC2]."""
    return float(np.std(off_diagonal(cosines(M))))


def maxangle(M: np.ndarray) -> float:
    """Mean over pairs of |cos + 1/(K-1)| for the columns of M (d x K) [papyan2020, NC2]: 0 at maximal angles."""
    return float(np.mean(np.abs(off_diagonal(cosines(M)) + 1 / (M.shape[1] - 1))))


def simplex_gram(K: int) -> np.ndarray:
    """I - 11'/K, the Gram matrix of a simplex ETF up to scale (K x K)."""
    return np.eye(K) - 1 / K


def frame_distance(G: np.ndarray, target: np.ndarray) -> float:
    """|| G/||G||_F - T/||T||_F ||_F for a Gram matrix G and a predicted one T (K x K); 0 iff proportional.

    With T = I - 11'/K the distance to a simplex ETF (of WW' or of W Hbar in [zhu2021], NC2 and NC3), with T = I to an
    orthogonal frame.
    """
    if G.shape != target.shape:
        raise UfmError(f"the Gram matrix is {G.shape}, the one it is compared with {target.shape}.")
    largest = float(np.max(np.abs(G), initial=0.0))
    if not largest > 0:
        return float("nan")
    G = G / largest  # so that no square underflows: entries of G are squares themselves
    return float(np.linalg.norm(G / np.linalg.norm(G) - target / np.linalg.norm(target)))


def role_spread(H: np.ndarray, codes: np.ndarray) -> float:
    """Largest distance of a column of H (d x K) to the mean of those with its code (m x K), over the largest norm.

    Classes (or samples) with equal codes play one role; feature collapse gives them one feature [2305.16162].
    """
    _, first, role = np.unique(codes, axis=1, return_index=True, return_inverse=True)
    sums = np.zeros((H.shape[0], first.size))
    np.add.at(sums.T, np.ravel(role), H.T)
    means = sums / np.bincount(np.ravel(role))
    largest = float(np.max(np.linalg.norm(H, axis=0)))
    spread = float(np.max(np.linalg.norm(H - means[:, np.ravel(role)], axis=0)))
    return spread / largest if largest > 0 else 0.0
