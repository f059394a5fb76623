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


# Constraints: ufm states no cvxpy program for them, so each is stated here. The referee's point, made feasible, is an
# upper bound by its exact objective, computed here as well.


def draw_sizes(rng, largest=4.0):
    K = int(rng.integers(2, 6))
    return K, np.maximum(1, 10 ** rng.uniform(0, rng.choice([0.5, largest / 2, largest]), K)).astype(int)


def cross_entropy(Z, T):
    top = Z.max(axis=0)
    return T.sum(axis=0) * (top + np.log(np.exp(Z - top).sum(axis=0))) - np.sum(T * Z, axis=0)


def compare(seed, ours, claimed, upper, accuracy):
    scale = max(1.0, abs(ours.value))
    assert ours.status.is_global, (seed, ours)
    assert ours.lower_bound <= upper + 1e-9 * scale, (seed, ours, upper)
    assert abs(claimed - ours.value) <= accuracy * scale, (seed, ours, claimed)
    assert ours.value <= upper + 1e-8 * scale, (seed, ours, upper)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_fixed_classifier(loss, chunk):
    cp = pytest.importorskip("cvxpy")
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
        share, held = counts / counts.sum(), 0.005 * float(np.sum(W**2))
        H, b = cp.Variable((d, K)), cp.Variable(m)
        Z = W @ H + cp.reshape(b, (m, 1), order="C") @ np.ones((1, K))
        if loss == "mse":
            fit = cp.sum_squares((Z - T) @ np.diag(np.sqrt(share))) / 2
        else:
            fit = sum(share[k] * (T[:, k].sum() * cp.log_sum_exp(Z[:, k]) - T[:, k] @ Z[:, k]) for k in range(K))
        fit += lam_H / 2 * cp.sum_squares(H @ np.diag(np.sqrt(counts)))
        bias = 0 if math.isinf(lam_b) else lam_b / 2 * cp.sum_squares(b)
        held_b = [b == 0] if math.isinf(lam_b) else []
        if loss == "cross_entropy" and lam_b == 0:
            held_b = [cp.sum(b) == 0]  # a constant in every logit is free: without this the referee stalls
        stated = cp.Problem(cp.Minimize(fit + bias), held_b)
        claimed = float(stated.solve(solver="CLARABEL")) + held
        h, c = H.value, np.zeros(m) if math.isinf(lam_b) else b.value
        z = W @ h + c[:, None]
        columns = np.sum((z - T) ** 2, axis=0) / 2 if loss == "mse" else cross_entropy(z, T)
        upper = float(share @ columns) + lam_H / 2 * float(counts @ np.sum(h**2, axis=0)) + held
        upper += 0 if math.isinf(lam_b) else lam_b / 2 * float(c @ c)
        compare(seed, solve(problem), claimed, upper, ACCURACY[loss])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_norm_budgets(chunk):
    """The nuclear-norm ball that the budgets allow (fang2021)."""
    cp = pytest.importorskip("cvxpy")
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = np.random.default_rng([seed, 13])
        K, counts = draw_sizes(rng, 3.0)
        budget = NormBudget(*(10 ** rng.uniform(-1, 0.7, 2)))
        problem = Problem(
            classes(encodings.one_hot(K), counts), lam_W=0, lam_H=0, loss="cross_entropy", constraint=budget
        )
        radius, share, Z = K * math.sqrt(budget.E_W * budget.E_H), counts / counts.sum(), cp.Variable((K, K))
        fit = sum(share[k] * (cp.log_sum_exp(Z[:, k]) - Z[k, k]) for k in range(K))
        claimed = float(cp.Problem(cp.Minimize(fit), [cp.normNuc(Z) <= radius]).solve(solver="CLARABEL"))
        z = Z.value * min(1.0, radius / float(np.linalg.norm(Z.value, "nuc")))
        compare(seed, solve(problem), claimed, float(share @ cross_entropy(z, np.eye(K))), ACCURACY["cross_entropy"])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_hard_margin(chunk):
    cp = pytest.importorskip("cvxpy")
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = np.random.default_rng([seed, 17])
        K, counts = draw_sizes(rng)
        root, weight = np.sqrt(counts / counts.max()), math.sqrt(counts.max())
        problem = Problem(
            classes(encodings.one_hot(K), counts),
            lam_W=1 / weight,
            lam_H=1 / weight,
            loss="cross_entropy",
            constraint=HardMargin(),
        )
        Z = cp.Variable((K, K))
        held = [Z[k, k] - Z[j, k] >= 1 for k in range(K) for j in range(K) if j != k]
        claimed = float(cp.Problem(cp.Minimize(cp.normNuc(Z @ np.diag(root))), held).solve(solver="CLARABEL"))
        least = min(Z.value[k, k] - Z.value[j, k] for k in range(K) for j in range(K) if j != k)
        upper = float(np.linalg.norm(Z.value * root / min(1.0, least), "nuc"))
        compare(seed, solve(problem), claimed, upper, ACCURACY["mse"])
