"""The root of a symmetric M-matrix has no positive entry off its diagonal, and a negative one where that has one."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far entries off the root's diagonal exceed their bound, over its norm: sparse, singular, badly scaled."""
    worst = 0.0
    for _ in range(200):
        size = int(rng.integers(2, 9))
        weights = rng.exponential(size=(size, size)) * 10.0 ** rng.uniform(-3, 3, (size, size))
        weights = np.triu(weights * (rng.random((size, size)) < rng.uniform(0.3, 1.0)), 1)
        weights = weights + weights.T
        matrix = np.diag(weights.sum(axis=1)) - weights  # singular: the ones are in its kernel
        if rng.integers(2):
            matrix = matrix + np.diag(rng.exponential(size=size))
        values, vectors = np.linalg.eigh(matrix)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        bound = matrix / (2 * np.sqrt(max(values[-1], np.finfo(float).tiny)))
        size_of_root = float(np.linalg.norm(root))
        if size_of_root > 0:
            excess = root - bound
            worst = max(worst, float(np.max(excess - np.diag(np.diag(excess)))) / size_of_root)
    return worst if worst > 1e-7 else 0.0  # eigenvalues near zero lose half their digits in a root


LEMMA = Lemma(
    name="m_matrix_root",
    statement="The positive semidefinite root of a positive semidefinite matrix without positive entries off its "
    "diagonal has none either: with the largest eigenvalue s its entry is at most that of the matrix over 2 sqrt(s).",
    latex=r"A \succeq 0,\ A_{jk} \le 0 \Rightarrow (A^{1/2})_{jk} \le A_{jk}/(2\sqrt{s}) \le 0 \quad (j \ne k)",
    cite="alefeld1982",
    locator="section 3, existence of a root that is an M-matrix, and its series",
    attack=attack,
)
