"""Harmonic, geometric and arithmetic mean, in this order."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far the order is violated, if at all, on random, nearly equal and very unequal positive numbers."""
    worst = 0.0
    for _ in range(300):
        x = 10.0 ** (rng.uniform(-6, 6) + rng.uniform(-1, 1, rng.integers(1, 9)) * 10.0 ** rng.uniform(-9, 1))
        logs = np.log(x)
        arithmetic = float(np.log(np.mean(np.exp(logs - logs.max()))) + logs.max())
        harmonic = -float(np.log(np.mean(np.exp(logs.min() - logs))) - logs.min())
        geometric = float(np.mean(logs))
        worst = max(worst, harmonic - geometric, geometric - arithmetic)  # of logarithms: relative violations
    return worst


LEMMA = Lemma(
    name="inequality_of_means",
    statement="Of positive numbers the harmonic mean is at most the geometric one, and that at most the arithmetic "
    "one, with equality exactly where all are equal.",
    latex=r"n \left(\sum_i x_i^{-1}\right)^{-1} \le \left(\prod_i x_i\right)^{1/n} \le \frac1n \sum_i x_i",
    cite="hardy1952",
    locator="Theorems 9 and 16",
    attack=attack,
)
