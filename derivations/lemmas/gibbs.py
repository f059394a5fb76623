"""Log-sum-exp lies above its tangents: Gibbs' variational principle."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far p'z + entropy(p) exceeds log sum exp z, if at all: random, sparse and nearly optimal p."""
    worst = 0.0
    for _ in range(300):
        z = rng.standard_normal(int(rng.integers(2, 9))) * 10.0 ** rng.uniform(-3, 2)
        top = float(z.max())
        log_sum = top + float(np.log(np.sum(np.exp(z - top))))
        p = rng.dirichlet(np.full(z.size, 10.0 ** rng.uniform(-2, 1)))
        if rng.integers(2):  # the equality case, perturbed
            p = np.exp(z - log_sum) * (1 + 10.0 ** rng.uniform(-9, -1) * rng.random(z.size))
            p = p / p.sum()
        positive = p > 0
        tangent = float(p @ z) - float(np.sum(p[positive] * np.log(p[positive])))
        worst = max(worst, (tangent - log_sum) / max(1.0, abs(log_sum), float(np.max(np.abs(z)))))
    return float(worst)


LEMMA = Lemma(
    name="gibbs",
    statement="For every z and all probabilities p, log sum exp z is at least p'z plus the entropy of p, with equality "
    "exactly where p is the softmax of z.",
    latex=r"\log \sum_j e^{z_j} \ge p'z - \sum_j p_j \log p_j",
    cite="boyd2004",
    locator="section 3.3, the conjugate of log-sum-exp",
    attack=attack,
)
