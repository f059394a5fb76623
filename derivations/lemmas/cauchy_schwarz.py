"""The inner product of two matrices is at most the product of their norms."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far |tr A'B| exceeds ||A|| ||B||, if at all, on random, nearly parallel and badly scaled pairs."""
    worst = 0.0
    for _ in range(300):
        A, B = rng.standard_normal((2, *rng.integers(1, 7, size=2)))
        kind = rng.integers(3)
        if kind == 1:
            B = A * 10.0 ** rng.uniform(-6, 6) + 10.0 ** rng.uniform(-12, -1) * B
        elif kind == 2:
            A, B = A * 10.0 ** rng.uniform(-8, 8, A.shape), B * 10.0 ** rng.uniform(-8, 8, (1, B.shape[1]))
        bound = float(np.linalg.norm(A) * np.linalg.norm(B))
        worst = max(worst, (abs(float(np.sum(A * B))) - bound) / bound)
    return worst


LEMMA = Lemma(
    name="cauchy_schwarz",
    statement="The trace of A'B is at most the product of the Frobenius norms of A and B.",
    latex=r"\lvert \mathrm{tr}\, A^{T} B \rvert \le \lVert A \rVert\, \lVert B \rVert",
    cite="horn2013",
    locator="Theorem 5.1.4",
    attack=attack,
)
