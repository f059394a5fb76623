"""The least energy of a product of p factors is p/2 times the sum of the singular values to the power 2/p."""

import itertools
from functools import reduce

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far the energy of random, badly scaled, low-rank and nearly balanced factors falls below, if at all."""
    worst = 0.0
    for _ in range(200):
        p = int(rng.integers(2, 6))
        sizes = rng.integers(1, 6, p + 1)
        factors = [rng.standard_normal((a, b)) for a, b in itertools.pairwise(sizes)]
        kind = rng.integers(4)
        if kind == 1:
            factors[0] = factors[0] * 10.0 ** rng.uniform(-4, 4)
        elif kind == 2:
            factors = [f[:, :1] @ f[:1] for f in factors]
        elif kind == 3:  # the equality case, perturbed
            s = rng.exponential(size=4) ** (1 / p)
            frames = [np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(p + 1)]
            noise = 10.0 ** rng.uniform(-9, -1)
            factors = [(a * s) @ b.T for a, b in itertools.pairwise(frames)]
            factors = [f + noise * rng.standard_normal((4, 4)) for f in factors]
        energy = sum(float(np.sum(f**2)) for f in factors) / 2
        s = np.linalg.svd(reduce(np.matmul, factors), compute_uv=False)
        s = s[s > 1e-14 * s[0]] if s[0] > 0 else s[:0]  # round-off in a low-rank product is no singular value
        least = p / 2 * float(np.sum(s ** (2 / p)))
        worst = max(worst, (least - energy) / max(energy, np.finfo(float).tiny))
    return float(worst)


LEMMA = Lemma(
    name="product_penalty",
    statement="For a product X of p factors, half the sum of their squared norms is at least p/2 times the sum of the "
    "singular values of X to the power 2/p, with equality for factors that share their singular vectors and have "
    "s_i(X)^{1/p} as their singular values; such factors exist for any widths of at least the rank of X. (The singular "
    "values of a product are log-majorised by the products of those of the factors; then Hölder's inequality.)",
    latex=r"\tfrac12 \sum_{l=1}^{p} \lVert F_l \rVert^2 \ge \tfrac p2 \sum_i s_i(F_1 \cdots F_p)^{2/p}",
    cite="horn1991",
    locator="chapter 3, singular values of products",
    attack=attack,
)
