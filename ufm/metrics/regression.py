"""Neural regression collapse: features and classifier in the space of the targets, at the last layer and at any one."""

import numpy as np
from scipy.optimize import minimize_scalar

from ufm.errors import UfmError
from ufm.metrics.detection import principal_directions


def nrc1(H: np.ndarray, m: int) -> float:
    """(1/N) sum_i ||x_i - P P'x_i||^2, x_i = (h_i - hbar)/||h_i - hbar||, P: m leading principal directions of H.

    H: d x N. Source: andriopoulos2024, NRC1. Between 0 (features in an m-dimensional space) and 1; samples at the mean
    are left out.
    """
    _, P = principal_directions(H, m)
    return _outside(H, P)


def nrc2(H: np.ndarray, W: np.ndarray) -> float:
    """(1/N) sum_i ||x_i - P x_i||^2, x_i as in `nrc1`, P the projection on the rows of W (m x d) [andriopoulos2024]."""
    _, s, Vt = np.linalg.svd(np.asarray(W, dtype=np.float64), full_matrices=False)
    rows = Vt[s > max(W.shape) * float(np.finfo(float).eps) * np.max(s, initial=0.0)].T
    return _outside(H, rows)


def nrc3(W: np.ndarray, Y: np.ndarray) -> tuple[float, float]:
    """min over g of ||WW'/||WW'||_F - (Sigma^1/2 - g I)/||Sigma^1/2 - g I||_F||_F, and the g that attains it.

    Sigma = (Y - ybar 1')(Y - ybar 1')'/N (m x m), 0 <= g < lambda_min(Sigma)^1/2: the paper's g is gamma^1/2. Source:
    andriopoulos2024, NRC3. nan for W = 0 or constant targets.
    """
    centred = Y - np.mean(Y, axis=1, keepdims=True)
    U, s, _ = np.linalg.svd(centred / np.sqrt(Y.shape[1]), full_matrices=False)
    gram = U.T @ (W @ W.T) @ U  # in the basis where Sigma^1/2 is diagonal
    size = float(np.linalg.norm(W @ W.T))
    if size == 0 or s[0] == 0:
        return float("nan"), float("nan")
    outside = max(0.0, 1 - float(np.sum((gram / size) ** 2)))  # of WW', where Y has fewer samples than rows

    def distance(g: float) -> float:
        wanted = s - g
        norm = float(np.linalg.norm(wanted))
        return float(np.hypot(np.linalg.norm(gram / size - np.diag(wanted / norm)), np.sqrt(outside)))

    top = float(s[-1]) * (1 - 1e-9)
    if top <= 0 or Y.shape[0] == 1:
        return distance(0.0), 0.0
    inner = minimize_scalar(distance, bounds=(0.0, top), method="bounded", options={"xatol": 1e-12 * float(s[0])})
    return min((distance(g), float(g)) for g in (0.0, float(inner.x), top))


def residual_covariance(H: np.ndarray, W: np.ndarray, b: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/N) R R', R = Y - W H - b 1' (m x m); H: d x N, Y: m x N.

    At the optimum with a free bias the targets' own covariance with every eigenvalue cut off at c = N lam_W lam_H:
    c I, white, where no direction is lost. Source: andriopoulos2024, corollary on the residual.
    """
    R = np.asarray(Y, dtype=np.float64) - np.asarray(W, dtype=np.float64) @ H - b[:, None]
    return R @ R.T / Y.shape[1]


def deep_nrc1(H: np.ndarray, t: int) -> float:
    """1 - tr(U'Sigma U)/tr(Sigma), U the top t directions of H's covariance Sigma (H: d x N) [rangamani2026, NRC1]."""
    s = _centred_singular_values(H)
    total = float(np.sum(s**2))
    return float(np.sum(s[t:] ** 2)) / total if total > 0 else float("nan")


def linear_cka(H: np.ndarray, Y: np.ndarray) -> float:
    """||Yc Hc'||_F^2 / (||Hc Hc'||_F ||Yc Yc'||_F) of centred H (d x N), Y (t x N) [rangamani2026, NRC2].

    Between 0 and 1; unmoved by rotations and scale of either. nan where one of them is constant.
    """
    Hc, Yc = _centred(H), _centred(Y)
    a = np.sqrt(np.sum(_centred_singular_values(H) ** 4))
    b = np.sqrt(np.sum(_centred_singular_values(Y) ** 4))
    return min(1.0, float(np.sum((Yc @ Hc.T) ** 2) / (a * b))) if a > 0 and b > 0 else float("nan")


def subspace_cosine(H: np.ndarray, W: np.ndarray, t: int) -> float:
    """Mean cosine of the principal angles between the top t directions of H's covariance and W's top t inputs.

    H: d x N; W: the layer on top, out x d, its right singular vectors. Source: rangamani2026, NRC3. 1: the layer reads
    just what the features hold.
    """
    if W.shape[1] != H.shape[0] or not 1 <= t <= min(*W.shape, *H.shape):
        raise UfmError(f"t = {t} with W {W.shape} and H {H.shape}: W needs H's width, and t at most every size.")
    _, U = principal_directions(H, t)
    V = np.linalg.svd(W, full_matrices=False)[2][:t].T
    return float(np.mean(np.minimum(np.linalg.svd(U.T @ V, compute_uv=False), 1.0)))


def probe_loss(H: np.ndarray, Y: np.ndarray) -> float:
    """(1/N) ||Y H^+ H - Y||_F^2: what the best linear read-out of H (d x N) leaves of Y (t x N) [rangamani2026, NRC4].

    As printed, without a bias: append a row of ones to H for one. To be held against the network's own mean square.
    """
    H, Y = np.asarray(H, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    _, s, Qt = np.linalg.svd(H, full_matrices=False)
    rows = Qt[s > max(H.shape) * float(np.finfo(float).eps) * np.max(s, initial=0.0)]
    return float(np.sum((Y - (Y @ rows.T) @ rows) ** 2)) / Y.shape[1]


def layer_collapse(H: np.ndarray, Y: np.ndarray, W: np.ndarray | None = None, t: int | None = None) -> dict[str, float]:
    """The four deep measures of one layer: `deep_nrc1`, `deep_nrc2` (CKA), `deep_nrc3` (with W), `deep_nrc4`.

    H: d x N; Y: targets, t x N; W: the layer on top, out x d; t: dimension of the targets, or their known rank.
    """
    top = Y.shape[0] if t is None else t
    found = {"deep_nrc1": deep_nrc1(H, top), "deep_nrc2": linear_cka(H, Y), "deep_nrc4": probe_loss(H, Y)}
    return found if W is None else found | {"deep_nrc3": subspace_cosine(H, W, top)}


def _centred(A: np.ndarray) -> np.ndarray:
    return A - np.mean(A, axis=1, dtype=np.float64, keepdims=True)


def _centred_singular_values(A: np.ndarray) -> np.ndarray:
    """Of the centred A (d x N), descending; through the triangle of a long matrix."""
    C = _centred(A)
    long = C.T if C.shape[1] > C.shape[0] else C
    return np.linalg.svd(np.asarray(np.linalg.qr(long, mode="r")), compute_uv=False)


def _outside(H: np.ndarray, P: np.ndarray) -> float:
    """Mean squared part outside the columns of P (orthonormal) of the unit centred columns of H."""
    C = _centred(H)
    norms = np.linalg.norm(C, axis=0)
    X = C[:, norms > 0] / norms[norms > 0]
    return float(np.sum((X - P @ (P.T @ X)) ** 2)) / X.shape[1] if X.size else float("nan")
