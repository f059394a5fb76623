"""The independent referee: two hundred random problems of each convex kind, solved by cvxpy as well (slow)."""

import math

import numpy as np
import pytest

from ufm import encodings
from ufm.optimum import solve
from ufm.problem import Problem, classes

pytestmark = [pytest.mark.slow]
CHUNKS, CHUNK = 10, 20
ACCURACY = {"mse": 1e-6, "cross_entropy": 1e-5}  # what the other solver reaches, relative to max(1, value)


def draw(seed, loss):
    """m != K, equal codes, sizes from 1 to 10^4, weights over six orders of magnitude, every kind of bias."""
    rng = np.random.default_rng([seed, len(loss)])
    m, K = (int(rng.integers(1, 6)), int(rng.integers(1, 6))) if loss == "mse" else (int(rng.integers(2, 6)),) * 2
    codes = rng.standard_normal((m, K)) if loss == "mse" else rng.dirichlet(np.full(m, 0.5), K).T
    if seed % 4 == 0 and loss != "mse":
        codes = encodings.one_hot(m).codes
    if seed % 5 == 0 and K > 1:
        codes = codes.copy()
        codes[:, 0] = codes[:, 1]
    counts = np.maximum(1, 10 ** rng.uniform(0, rng.choice([0.5, 2, 4]), K)).astype(int)
    size = np.linalg.norm(codes * np.sqrt(counts / counts.sum()), 2)
    c, tilt = 10 ** rng.uniform(-3, 0.1) * size / math.sqrt(counts.sum()), 10 ** rng.uniform(-3, 3)
    kinds = [0.0, 10 ** rng.uniform(-3, 2), math.inf]
    return Problem(classes(codes, counts), lam_W=c * tilt, lam_H=c / tilt, lam_b=float(kinds[seed % 3]), loss=loss)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_values_agree_and_never_lie_above_the_referees_upper_bound(loss, chunk):
    pytest.importorskip("cvxpy")
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        problem = draw(seed, loss)
        ours, theirs = solve(problem), solve(problem, method="cvxpy")
        scale = max(1.0, abs(ours.value))
        assert ours.status.is_global, (seed, ours)
        assert abs(theirs.value - ours.value) <= ACCURACY[loss] * scale, (seed, ours, theirs)
        assert ours.value <= theirs.value + 1e-9 * scale, (seed, ours, theirs)  # theirs is a feasible point
        assert theirs.lower_bound <= ours.value + 1e-9 * scale, (seed, ours, theirs)
