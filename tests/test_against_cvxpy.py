"""The independent referee: two hundred random problems of each convex kind, solved by cvxpy as well (slow)."""

import math

import numpy as np
import pytest

from ufm import encodings
from ufm.constraints import FixedClassifier, HardMargin, NormBudget
from ufm.losses import rescaled_mse
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


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_rescaled_squared_loss(chunk):
    """One-hot labels, k and M over three orders of magnitude, sizes from 1 to 10^4, every kind of bias."""
    pytest.importorskip("cvxpy")
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        problem = draw_rescaled(seed)
        ours, theirs = solve(problem), solve(problem, method="cvxpy")
        scale = max(1.0, abs(ours.value))
        assert ours.status.is_global, (seed, ours)
        assert ours.certificate.relative_gap <= 1e-9, (seed, ours)
        assert abs(theirs.value - ours.value) <= ACCURACY["mse"] * scale, (seed, ours, theirs)
        assert ours.value <= theirs.value + 1e-9 * scale, (seed, ours, theirs)
        assert theirs.lower_bound <= ours.value + 1e-9 * scale, (seed, ours, theirs)


def draw_rescaled(seed):
    rng = np.random.default_rng([seed, 7])
    K = int(rng.integers(2, 6))
    codes = np.eye(K)[:, rng.integers(0, K, K)] if seed % 5 == 0 else np.eye(K)  # some classes share a label
    counts = np.maximum(1, 10 ** rng.uniform(0, rng.choice([0.5, 2, 4]), K)).astype(int)
    k, M = 10 ** rng.uniform(-1, 1.5), 10 ** rng.uniform(-1.5, 1)
    N = counts.sum()
    c = 10 ** rng.uniform(-3, 0.1) * max(k, 1) * M * math.sqrt(counts.max()) / N
    tilt = 10 ** rng.uniform(-3, 3)
    lam_b = [0.0, 10 ** rng.uniform(-3, 2), math.inf][seed % 3]
    return Problem(classes(codes, counts), lam_W=c * tilt, lam_H=c / tilt, lam_b=lam_b, loss=rescaled_mse(k, M))


# Constraints.


def draw_sizes(rng, largest=4.0):
    K = int(rng.integers(2, 6))
    return K, np.maximum(1, 10 ** rng.uniform(0, rng.choice([0.5, largest / 2, largest]), K)).astype(int)


def compare(seed, problem, accuracy):
    ours, theirs = solve(problem), solve(problem, method="cvxpy")
    scale = max(1.0, abs(ours.value))
    assert ours.status.is_global, (seed, ours)
    assert ours.lower_bound <= theirs.value + 1e-9 * scale, (seed, ours, theirs)
    assert abs(theirs.value - ours.value) <= accuracy * scale, (seed, ours, theirs)
    assert ours.value <= theirs.value + 1e-8 * scale, (seed, ours, theirs)  # theirs is a feasible point
    assert theirs.lower_bound <= ours.value + 1e-9 * scale, (seed, ours, theirs)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_fixed_classifier(loss, chunk):
    pytest.importorskip("cvxpy")
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = np.random.default_rng([seed, 11, len(loss)])
        K, counts = draw_sizes(rng)
        m, d = (int(n) for n in rng.integers(2, 6, 2))
        T = rng.dirichlet(np.full(m, 0.5), K).T if loss == "cross_entropy" else rng.standard_normal((m, K))
        W, lam_H = rng.standard_normal((m, d)), 10 ** rng.uniform(-2, 0) / counts.sum()
        lam_b = [0.0, 10 ** rng.uniform(-2, 1), math.inf][seed % 3]
        problem = Problem(
            classes(T, counts), lam_W=0.01, lam_H=lam_H, lam_b=lam_b, loss=loss, constraint=FixedClassifier(W)
        )
        compare(seed, problem, ACCURACY[loss])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_norm_budgets(chunk):
    """Their program has a budget for each factor (fang2021), ours the nuclear-norm ball that the two allow."""
    pytest.importorskip("cvxpy")
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = np.random.default_rng([seed, 13])
        K, counts = draw_sizes(rng, 3.0)
        budget = NormBudget(*(10 ** rng.uniform(-1, 0.7, 2)))
        problem = Problem(
            classes(encodings.one_hot(K), counts), lam_W=0, lam_H=0, loss="cross_entropy", constraint=budget
        )
        compare(seed, problem, ACCURACY["cross_entropy"])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_hard_margin(chunk):
    pytest.importorskip("cvxpy")
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = np.random.default_rng([seed, 17])
        K, counts = draw_sizes(rng)
        weight = math.sqrt(counts.max())
        problem = Problem(
            classes(encodings.one_hot(K), counts),
            lam_W=1 / weight,
            lam_H=1 / weight,
            loss="cross_entropy",
            constraint=HardMargin(),
        )
        compare(seed, problem, ACCURACY["mse"])
