"""The trace of a product is at most the product of the singular values, in order."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far |tr A'B| exceeds sum_i sigma_i(A) sigma_i(B), if at all, on random, low-rank and aligned pairs."""
    worst = 0.0
    for _ in range(200):
        m, r = rng.integers(1, 7, size=2)
        A, B = rng.standard_normal((m, r)), rng.standard_normal((m, r))
        kind = rng.integers(4)
        if kind == 1:
            A = A[:, :1] @ A[:1]
        elif kind == 2:
            A, B = A * 10.0 ** rng.uniform(-6, 6), B * 10.0 ** rng.uniform(-6, 6, size=(m, 1))
        elif kind == 3:  # the equality case: shared singular vectors
            U, s, Vt = np.linalg.svd(A, full_matrices=False)
            B = (U * np.sort(rng.exponential(size=s.size))[::-1]) @ Vt
        singular_values = [np.linalg.svd(M, compute_uv=False) for M in (A, B)]
        bound = float(np.sum(singular_values[0] * singular_values[1]))
        worst = max(worst, (abs(float(np.sum(A * B))) - bound) / max(bound, np.finfo(float).tiny))
    return float(worst)


LEMMA = Lemma(
    name="von_neumann",
    statement="The trace of A'B is at most the sum of the products of their singular values in descending order, "
    "with equality exactly where they share their singular vectors.",
    latex=r"\lvert \mathrm{tr}\, A^{T} B \rvert \le \sum_i \sigma_i(A)\, \sigma_i(B)",
    cite="horn2013",
    locator="Theorem 7.4.1.1",
    attack=attack,
)
