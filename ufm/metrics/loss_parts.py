"""The squared loss in three parts that each vanish with one part of neural collapse."""

import numpy as np

from ufm.errors import UfmError
from ufm.metrics.split import Split


def loss_parts(split: Split, W: np.ndarray, b: np.ndarray, codes: np.ndarray, lam: float = 0.0) -> dict[str, float]:
    """`loss_nc1` + `loss_nc23` + `loss_off_ls` = 1/(2N) ||W H + b 1' - Y||^2 + lam/2 ||W||^2, none negative [han2022].

    With W_LS the minimiser of that loss over W and b, c_k the codes (m x K), pi_k = n_k/N, D = W - W_LS:
    nc1 = 1/2 tr(W_LS (Sigma_W + lam I) W_LS'), nc23 = 1/2 sum_k pi_k ||W_LS (hbar_k - hbar) - (c_k - ybar)||^2,
    off_ls = 1/2 tr(D (Sigma_T + lam I) D') + 1/2 ||W hbar + b - ybar||^2. The bias is free of lam here; the paper,
    which appends 1 to h, has it penalised.
    """
    if W.shape != (codes.shape[0], split.d) or codes.shape[1] != split.K or b.shape != (W.shape[0],) or lam < 0:
        raise UfmError(f"W {W.shape}, b {b.shape}, codes {codes.shape}, lam {lam}: give m x d, m, m x K, lam >= 0.")
    pi, root = split.counts / split.N, np.sqrt(split.N)
    ybar = codes @ pi
    # Yc lies in the span of class indicators, so Yc Hc'/N needs the means only.
    cross = ((codes - ybar[:, None]) * pi) @ split.deviations.T
    R = split.total.R
    roundoff = max(split.d, split.N) * float(np.finfo(float).eps) * float(np.linalg.norm(R))
    W_ls = split.total.divided(cross, lam, max(split.resolution / root, roundoff))
    fit = W_ls @ split.deviations - (codes - ybar[:, None])
    D, offset = W - W_ls, W @ split.mean + b - ybar
    return {
        "loss_nc1": float(np.sum((W_ls @ split.within) ** 2) / split.N + lam * np.sum(W_ls**2)) / 2,
        "loss_nc23": float(np.sum(pi * fit**2)) / 2,
        "loss_off_ls": float(np.sum((D @ R.T) ** 2) + lam * np.sum(D**2) + np.sum(offset**2)) / 2,
    }
