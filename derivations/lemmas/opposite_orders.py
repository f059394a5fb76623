"""Of two sequences in opposite orders the products have a sum that is at most that of the means: Chebyshev."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far sum a b exceeds sum a sum b / size, for a falling and b rising: random, nearly constant, badly scaled."""
    worst = 0.0
    for _ in range(300):
        size = int(rng.integers(1, 9))
        a, b = rng.standard_normal((2, size)) * 10.0 ** rng.uniform(-3, 3, (2, 1))
        if rng.integers(3) == 0:  # the equality case, perturbed
            b = b[0] + 10.0 ** rng.uniform(-9, -2) * b
        a, b = np.sort(a)[::-1], np.sort(b)
        scale = float(np.linalg.norm(a) * np.linalg.norm(b))
        worst = max(worst, (float(a @ b) - float(a.sum() * b.sum()) / size) / max(scale, np.finfo(float).tiny))
    return worst


LEMMA = Lemma(
    name="opposite_orders",
    statement="If a_k falls and b_k rises, the mean of a_k b_k is at most the product of the means.",
    latex=r"\sum_{k \le q} a_k b_k \le \tfrac1q \sum_{k \le q} a_k \sum_{k \le q} b_k",
    cite="hardy1952",
    locator="Theorem 43",
    attack=attack,
)
