"""The weighted arithmetic mean is at least the weighted geometric mean."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far the geometric mean exceeds the arithmetic one, if at all: spread, equal and vanishing numbers."""
    worst = 0.0
    for _ in range(200):
        size = int(rng.integers(2, 8))
        weights = rng.dirichlet(np.full(size, 10.0 ** rng.uniform(-1, 1)))
        numbers = 10.0 ** rng.uniform(-8, 8, size)
        kind = rng.integers(3)
        if kind == 1:  # the equality case, perturbed
            numbers = 1 + 10.0 ** rng.uniform(-9, -1) * rng.standard_normal(size)
            numbers = np.abs(numbers)
        elif kind == 2:
            numbers[0] = 0.0
        arithmetic = float(weights @ numbers)
        with np.errstate(divide="ignore"):
            logs = np.where(weights > 0, weights * np.log(numbers), 0.0)
        worst = max(worst, (float(np.exp(np.sum(logs))) - arithmetic) / max(arithmetic, np.finfo(float).tiny))
    return float(worst)


LEMMA = Lemma(
    name="weighted_means",
    statement="For non-negative numbers and positive weights that sum to one, the weighted geometric mean is at most "
    "the weighted arithmetic mean, with equality exactly where all numbers are equal.",
    latex=r"\prod_i a_i^{w_i} \le \sum_i w_i a_i",
    cite="hardy1952",
    locator="Theorem 9",
    attack=attack,
)
