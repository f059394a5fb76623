"""What weighing one direction down does to the singular values of a square matrix, in the sum of their powers."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far the sum of powers of s(X) falls below that of the altered s(X M), if at all."""
    worst = 0.0
    for _ in range(200):
        r, p, rho = int(rng.integers(1, 6)), int(rng.integers(2, 9)), 10.0 ** rng.uniform(-4, 0)
        X = rng.standard_normal((r, r)) * 10.0 ** rng.uniform(-2, 2, r)
        kind = rng.integers(3)
        if kind == 1:
            X = X[:, :1] @ X[:1]
        u = rng.standard_normal(r) * 10.0 ** rng.uniform(-1, 1, r)
        if kind == 2:  # the equality case, nearly: u along the least singular direction
            u = np.linalg.svd(X)[2][-1] + 10.0 ** rng.uniform(-9, -1) * rng.standard_normal(r)
        u /= np.linalg.norm(u)
        y = np.linalg.svd(X - (1 - np.sqrt(rho)) * np.outer(X @ u, u), compute_uv=False)
        y[-1] /= np.sqrt(rho)
        x = np.linalg.svd(X, compute_uv=False)
        floor = 1e-12 * x[0]  # round-off in a low-rank matrix is no singular value
        least, energy = (float(np.sum(z[z > floor / np.sqrt(rho)] ** (2 / p))) for z in (y, x))
        worst = max(worst, (least - energy) / max(energy, np.finfo(float).tiny))
    return float(worst)


LEMMA = Lemma(
    name="weighted_mean_product",
    statement="Let u be a unit vector and M = I - (1 - sqrt(rho)) u u' with 0 < rho <= 1. For a square matrix X with "
    "singular values x_i and X M with y_i, descending, sum x_i^a >= sum_{i<r} y_i^a + (y_r/sqrt(rho))^a for a > 0. "
    "(M is a contraction and I plus rank one, so x_1 >= y_1 >= x_2 >= .. >= y_r; and prod y = sqrt(rho) prod x. Hence "
    "every k of (y_1, .., y_{r-1}, y_r/sqrt(rho)) have a product of at most x_1 .. x_k, with equality for k = r: the "
    "logarithms are majorised, and e^{az} is convex.)",
    latex=r"\sum_{i \le r} x_i^{a} \ge \sum_{i < r} y_i^{a} + (y_r/\sqrt\rho)^{a}",
    cite="horn1991",
    locator="chapter 3, singular values of products",
    attack=attack,
)
