"""The nuclear norm is the least energy of a factorisation."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far half the energy of random, badly scaled and low-rank factors falls below the nuclear norm, if at all."""
    worst = 0.0
    for _ in range(200):
        m, d, r = rng.integers(1, 7, size=3)
        W, H = rng.standard_normal((m, d)), rng.standard_normal((d, r))
        kind = rng.integers(5)
        if kind == 1:
            W *= 10.0 ** rng.uniform(-6, 6)
        elif kind == 2:
            W, H = W[:, :1] @ W[:1], H[:, :1] @ H[:1]
        elif kind == 3:  # the equality case, perturbed
            U, s, Vt = np.linalg.svd(W @ H, full_matrices=False)
            noise = 10.0 ** rng.uniform(-9, -1)
            W = U * np.sqrt(s) + noise * rng.standard_normal(U.shape)
            H = np.sqrt(s)[:, None] * Vt + noise * rng.standard_normal(Vt.shape)
        elif kind == 4:
            H = W.T @ rng.standard_normal((m, r)) * 10.0 ** rng.uniform(-3, 3)
        energy = (np.sum(W**2) + np.sum(H**2)) / 2
        nuclear = np.linalg.svd(W @ H, compute_uv=False).sum()
        worst = max(worst, (nuclear - energy) / max(energy, np.finfo(float).tiny))
    return float(worst)


LEMMA = Lemma(
    name="nuclear_norm",
    statement="Half the sum of the squared norms of W and H is at least the nuclear norm of W H, with equality "
    "for balanced factors "
    "(W'W = H H'); every X has such factors of any width that is at least its rank.",
    latex=r"\min_{W H = X} \tfrac12 \left(\lVert W \rVert^2 + \lVert H \rVert^2\right) = \lVert X \rVert_*",
    cite="srebro2004",
    locator="Lemma 1",
    attack=attack,
)
