"""A convex function of a mean is at most the mean of the function."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far f(sum p x) exceeds sum p f(x), if at all: arcsine, cube and exponential; few, many and equal numbers."""
    worst = 0.0
    for _ in range(300):
        size = int(rng.integers(1, 9))
        weights = rng.dirichlet(np.full(size, 10.0 ** rng.uniform(-2, 1)))
        numbers = rng.random(size) ** rng.integers(1, 5)
        if rng.integers(3) == 0:  # the equality case, perturbed
            numbers = np.clip(rng.random() + 10.0 ** rng.uniform(-9, -2) * numbers, 0, 1)
        for convex in (np.arcsin, lambda x: x**3, np.exp):
            mean = float(weights @ convex(numbers))
            worst = max(worst, (float(convex(min(1.0, weights @ numbers))) - mean) / max(mean, np.finfo(float).tiny))
    return worst


LEMMA = Lemma(
    name="jensen",
    statement="For a convex f, numbers x_j and weights p_j >= 0 that sum to one, f(sum p_j x_j) is at most "
    "sum p_j f(x_j).",
    latex=r"f\Bigl(\sum_j p_j x_j\Bigr) \le \sum_j p_j f(x_j)",
    cite="boyd2004",
    locator="section 3.1.8",
    attack=attack,
)
