"""Constraints: what is certified agrees with an independent solver, what is not says so, and files can say it again."""

import math
from typing import Any, cast

import numpy as np
import pytest
import tomli_w
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ufm import encodings, losses
from ufm.constraints import (
    FeatureMetric,
    FixedClassifier,
    HardMargin,
    Near,
    NonNegative,
    NormBudget,
    available,
    from_dict,
    to_dict,
)
from ufm.errors import ProblemError
from ufm.optimum import OptimumStatus, minority_collapse_threshold, solve
from ufm.optimum.constrained.fixed_classifier import _dual_bound
from ufm.optimum.constrained.near import _dual_bound as near_bound
from ufm.problem import Problem, classes, gradient, objective, samples

ONE_HOT = classes(encodings.one_hot(3), [5, 3, 2])
LAM_B = [0.0, 0.2, math.inf]


FRAME = encodings.simplex(3).codes.T @ np.random.default_rng(1).standard_normal((2, 2))
METRIC = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.7]])


# The referee


def refereed(constraint, loss, lam_b=math.inf, targets=ONE_HOT, weights=(0.1, 0.02)):
    return Problem(targets, lam_W=weights[0], lam_H=weights[1], lam_b=lam_b, loss=loss, constraint=constraint)


REFEREED = {
    **{
        f"fixed classifier {loss} {lam_b}": refereed(FixedClassifier(FRAME), loss, lam_b)
        for loss in ("mse", "cross_entropy")
        for lam_b in LAM_B
    },
    **{f"near {lam_b}": refereed(Near(np.sin(np.arange(40.0)).reshape(4, 10), 6.0), "mse", lam_b) for lam_b in LAM_B},
    **{
        f"non-negative {loss} {lam_b}": refereed(NonNegative(), loss, lam_b)
        for loss in ("mse", "cross_entropy")
        for lam_b in LAM_B
    },
    **{f"feature metric {lam_b}": refereed(FeatureMetric(METRIC), "mse", lam_b) for lam_b in LAM_B},
    "norm budget": refereed(NormBudget(1.0, 2.0), "cross_entropy", weights=(0, 0)),
    "hard margin": refereed(HardMargin(), "cross_entropy", weights=(1, 1)),
}


@pytest.mark.parametrize("name", REFEREED)
def test_cvxpy_agrees_under_every_constraint(name):
    pytest.importorskip("cvxpy")
    problem = REFEREED[name]
    ours, theirs = solve(problem), solve(problem, method="cvxpy")
    assert ours.status is OptimumStatus.CERTIFIED
    assert theirs.status in (OptimumStatus.CERTIFIED, OptimumStatus.OPEN_GAP)
    assert theirs.method.startswith("cvxpy")
    assert theirs.value == pytest.approx(ours.value, abs=1e-7)
    assert theirs.value >= ours.value - 1e-9  # a point of the problem, valued anew ...
    assert theirs.lower_bound <= ours.value + 1e-9  # ... and a bound from its own dual
    assert theirs.gap <= 2e-5  # first order in the error of its logits
    scs = solve(problem, method="cvxpy:SCS")
    assert scs.method.startswith("cvxpy:scs")
    assert -1e-9 <= scs.value - ours.value <= 1e-7
    assert scs.lower_bound <= ours.value + 1e-9
    assert scs.gap <= 1e-6
    if not isinstance(problem.constraint, NormBudget | HardMargin):
        at_it = objective(problem, theirs.W[0], theirs.H, bias_of(problem, theirs.b))
        assert float(at_it) == pytest.approx(theirs.value, rel=1e-12)


def test_cvxpy_refuses_what_no_convex_program_states():
    pytest.importorskip("cvxpy")
    near = Near(np.random.default_rng(3).standard_normal((4, 10)), 0.7)
    with pytest.raises(ProblemError, match=r"method = 'cvxpy': Near is convex only where .* constraint.beta = 0.7"):
        solve(refereed(near, "mse", weights=(0.02, 0.01)), method="cvxpy")
    with pytest.raises(ProblemError, match=r"lam_W = .* needs lam_W > 0"):
        solve(refereed(near, "mse", weights=(0, 0.01)), method="cvxpy")
    with pytest.raises(ProblemError, match="width = 2: the program of cvxpy is convex for width >= 3"):
        solve(refereed(NonNegative(), "mse").replace(width=2), method="cvxpy")


def bias_of(problem: Problem, b: Any) -> Any:
    return b if problem.has_bias else None


# Fixed classifier


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_a_fixed_classifier_is_certified(seed):
    rng = np.random.default_rng(seed)
    m, K, d = rng.integers(2, 6, 3)
    loss = ("mse", "cross_entropy")[seed % 2]
    codes = rng.dirichlet(np.ones(m), K).T if loss == "cross_entropy" else rng.standard_normal((m, K))
    problem = Problem(
        classes(codes, rng.integers(1, 30, K)),
        lam_W=0.01,
        lam_H=10 ** rng.uniform(-3, 0),
        lam_b=float(rng.choice([*LAM_B, 1e-3])),
        loss=loss,
        constraint=FixedClassifier(rng.standard_normal((m, d))),
    )
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert abs(optimum.gap) <= 1e-10 * max(1, optimum.value)
    assert optimum.certificate.stationarity <= 1e-10
    for size in (1e-3, 1.0):  # a convex problem: no other point is below, and no other point's dual above
        H = optimum.H + size * rng.standard_normal(optimum.H.shape)
        b = optimum.b + size * rng.standard_normal(m) * problem.has_bias
        assert float(objective(problem, optimum.W[0], H, bias_of(problem, b))) >= optimum.value
        assert _dual_bound(problem, optimum.W[0], H, b)[0] <= optimum.value + 1e-12 * max(1, optimum.value)


def test_a_fixed_classifier_without_feature_penalty():
    W = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    problem = Problem(ONE_HOT, lam_W=0.0, lam_H=0.0, constraint=FixedClassifier(W))
    for lam_b in LAM_B:
        assert abs(solve(problem.replace(lam_b=lam_b)).gap) <= 1e-12
    with pytest.raises(ProblemError, match="lam_H"):
        solve(problem.replace(loss="cross_entropy"))


# Feature metric


@pytest.mark.parametrize("lam_b", [*LAM_B, 1e-3])
def test_the_metric_of_the_sizes_is_the_usual_penalty(lam_b):
    plain = Problem(ONE_HOT, lam_W=0.1, lam_H=0.02, lam_b=lam_b)
    optimum = solve(plain.replace(constraint=FeatureMetric(np.diag(1 / ONE_HOT.counts))))
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.value == pytest.approx(solve(plain).value, rel=1e-12)
    np.testing.assert_allclose(optimum.gram, solve(plain).gram, atol=1e-9)


@pytest.mark.parametrize("lam_b", [1e-3, 0.01, 0.1, math.inf])
def test_two_weights_one_for_the_mean_direction_have_a_closed_form(lam_b):
    """s_i = sqrt(n)(1 - t_i/rho), t_i = K sqrt(n lam_W lam_i), the mean lost up to lam_b* = t_0/(1 - t_0)."""
    K, n, lam_W, mean, centred = 5, 40, 2e-2, 4e-5, 3e-4
    metric = FeatureMetric.mean_apart([n] * K, mean / centred)
    optimum = solve(
        Problem(classes(encodings.one_hot(K), n), lam_W=lam_W, lam_H=centred, lam_b=lam_b, constraint=metric)
    )
    t_0, t = (K * math.sqrt(n * lam_W * lam) for lam in (mean, centred))
    s = math.sqrt(n) * (1 - t)
    s_0 = math.sqrt(n) * max(0.0, 1 - t_0 * (1 if math.isinf(lam_b) else (1 + lam_b) / lam_b))
    assert (s_0 == 0) == (lam_b <= t_0 / (1 - t_0))
    np.testing.assert_allclose(np.sort(optimum.singular_values)[1:-1], s, rtol=1e-6)
    assert optimum.singular_values.sum() == pytest.approx((K - 1) * s + s_0, rel=1e-8)
    g_0, g = s_0 / math.sqrt(mean), s / math.sqrt(centred)
    assert optimum.cosines[0, 1] == pytest.approx((g_0 - g) / (g_0 + (K - 1) * g), abs=1e-6)


def test_two_weights_are_two_penalties_at_any_sizes():
    H, n = np.random.default_rng(0).standard_normal((4, 3)), ONE_HOT.counts
    problem = Problem(ONE_HOT, lam_W=0.1, lam_H=0.3, constraint=FeatureMetric.mean_apart(n, 5.0))
    mean = H @ n / n.sum()
    penalty = 0.3 * float(np.sum(n * (H - mean[:, None]) ** 2)) + 1.5 * n.sum() * float(mean @ mean)
    found = float(objective(problem, np.zeros((3, 4)), H)) - float(objective(problem, np.zeros((3, 4)), 0 * H))
    assert found == pytest.approx(penalty / 2, rel=1e-12)


def test_features_of_a_layer_below_cost_what_that_layer_costs():
    """min lam/2 ||A||^2 + lam_o/2 ||o||^2 over A P + o 1' = H is the penalty in the metric P'P + lam/lam_o 11'."""
    rng = np.random.default_rng(4)
    P, H, lam, lam_o = rng.standard_normal((6, 3)), rng.standard_normal((4, 3)), 0.3, 0.2
    metric = FeatureMetric(P.T @ P + lam / lam_o)
    wide = np.vstack([P, np.full((1, 3), math.sqrt(lam / lam_o))])
    least = lam / 2 * float(np.sum((H @ np.linalg.pinv(wide)) ** 2))
    problem = Problem(ONE_HOT, lam_W=0.1, lam_H=lam, constraint=metric)
    W = np.zeros((3, 4))
    assert float(objective(problem, W, H)) - float(objective(problem, W, 0 * H)) == pytest.approx(least, rel=1e-12)
    with pytest.raises(ProblemError, match="weighs class means"):
        objective(problem, W, np.zeros((4, 10)))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_no_point_lies_below_the_optimum_in_a_metric(seed):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 6))
    P = rng.standard_normal((K + 2, K))
    problem = Problem(
        classes(encodings.one_hot(K), rng.integers(1, 30, K)),
        lam_W=0.01,
        lam_H=10 ** rng.uniform(-3, 0),
        lam_b=float(rng.choice([*LAM_B, 1e-3])),
        constraint=FeatureMetric(P.T @ P),
    )
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.certificate.stationarity <= 1e-6
    slope = gradient(problem, optimum.W[0], optimum.H, bias_of(problem, optimum.b))
    H = optimum.H + 1e-6 * (step := rng.standard_normal(optimum.H.shape))
    moved = float(objective(problem, optimum.W[0], H, bias_of(problem, optimum.b)))
    back = float(objective(problem, optimum.W[0], optimum.H - 1e-6 * step, bias_of(problem, optimum.b)))
    assert (moved - back) / 2e-6 == pytest.approx(float(np.sum(slope.H * step)), abs=1e-7)
    for size in (1e-3, 1.0):
        H = optimum.H + size * rng.standard_normal(optimum.H.shape)
        W = optimum.W[0] + size * rng.standard_normal(optimum.W[0].shape)
        assert float(objective(problem, W, H, bias_of(problem, optimum.b))) >= optimum.value - 1e-12


# Near


@pytest.mark.parametrize("lam_b", LAM_B)
def test_features_near_given_ones_are_a_critical_point_that_descents_do_not_beat(lam_b):
    from scipy.optimize import minimize

    rng = np.random.default_rng(3)
    H0 = rng.standard_normal((4, 10))
    problem = Problem(ONE_HOT, lam_W=0.02, lam_H=0.01, lam_b=lam_b, constraint=Near(H0, 0.7))
    optimum = solve(problem)
    assert optimum.certificate.stationarity <= 1e-10
    assert optimum.lower_bound <= optimum.value
    W, H, b = optimum.W[0], optimum.H, optimum.b
    assert float(objective(problem, W, H, bias_of(problem, b))) == pytest.approx(optimum.value)
    within = H[:, :5] - H[:, :5].mean(axis=1, keepdims=True)  # theory: section 7
    within_0 = H0[:, :5] - H0[:, :5].mean(axis=1, keepdims=True)
    assert np.allclose(within, 0.7 * np.linalg.solve(W.T @ W + (10 * 0.01 + 0.7) * np.eye(4), within_0), atol=1e-12)

    def fun(x):
        W, H, b = x[:12].reshape(3, 4), x[12:52].reshape(4, 10), x[52:] * problem.has_bias
        slope = gradient(problem, W, H, bias_of(problem, b))
        value = float(objective(problem, W, H, bias_of(problem, b)))
        return value, np.concatenate([slope.W[0].ravel(), slope.H.ravel(), slope.b])

    for _ in range(5):
        end = minimize(fun, rng.standard_normal(55), jac=True, method="L-BFGS-B", options={"maxiter": 3000})
        assert end.fun >= optimum.value - 1e-9


@pytest.mark.parametrize("seed", range(9))
def test_features_near_given_ones_are_certified_where_the_residual_is_small(seed):
    """||E||_op^2 <= lam_W (lam_H + beta/N) proves a critical point; elsewhere the dual still bounds it from below."""
    rng = np.random.default_rng(seed)
    near = Near(rng.standard_normal((4, 10)) * 10 ** rng.uniform(-1, 0.5), 10 ** rng.uniform(-2, 1.5))
    lam_W, lam_b = 10 ** rng.uniform(-2.5, -0.5), LAM_B[seed % 3]
    problem = Problem(ONE_HOT, lam_W=lam_W, lam_H=0.01, lam_b=lam_b, constraint=near)
    optimum, Y = solve(problem), ONE_HOT.matrix()
    E = (Y - optimum.W[0] @ optimum.H - optimum.b[:, None]) / 10
    small = np.linalg.norm(E, 2) ** 2 <= lam_W * (0.01 + near.beta / 10)
    assert optimum.status is (OptimumStatus.CERTIFIED if small else OptimumStatus.BEST_KNOWN)
    for _ in range(20):  # any point bounds every other
        W, H = rng.standard_normal((3, 4)) * 10 ** rng.uniform(-2, 0), near.H0 + rng.standard_normal((4, 10))
        b = rng.standard_normal(3) * problem.has_bias
        assert near_bound(problem, near, Y, W, H, b)[0] <= optimum.value + 1e-12
        assert float(objective(problem, W, H, bias_of(problem, b))) >= optimum.lower_bound


@pytest.mark.parametrize("seed", [1, 4, 5])
def test_features_near_given_ones_have_the_best_dual_bound(seed):
    """Where the residual is large a gap remains: the climb ends where a semidefinite program puts the best bound."""
    pytest.importorskip("cvxpy")
    from ufm.optimum.constrained import referee
    from ufm.optimum.constrained.near import _bound_along

    rng = np.random.default_rng(seed)
    near = Near(rng.standard_normal((4, 10)) * 10 ** rng.uniform(-1, 0.5), 10 ** rng.uniform(-2, 1.5))
    lam_W = 10 ** rng.uniform(-2.5, -0.5)
    problem = Problem(ONE_HOT, lam_W=lam_W, lam_H=0.01, lam_b=LAM_B[seed % 3], constraint=near)
    optimum, Y = solve(problem), ONE_HOT.matrix()
    best = _bound_along(problem, near, Y, referee.near(problem, near, "CLARABEL")[0])[0]
    on_the_ray = near_bound(problem, near, Y, optimum.W[0], optimum.H, optimum.b)[0]
    assert optimum.status is OptimumStatus.BEST_KNOWN
    assert on_the_ray < best - 0.05 * optimum.value
    assert optimum.lower_bound == pytest.approx(best, abs=1e-6 * optimum.value)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lam_b", LAM_B)
def test_a_classifier_that_costs_nothing_may_grow_near_given_features(lam_b, seed):
    """lam_W = 0: the best W may be large, or at infinity; its value is no difference of large numbers."""
    near = Near(np.random.default_rng(seed).standard_normal((4, 6)), 0.5)
    problem = Problem(classes(encodings.one_hot(3), 2), lam_W=0, lam_H=0.02, lam_b=lam_b, constraint=near)
    optimum = solve(problem)
    assert optimum.certificate.stationarity <= 1e-8
    assert optimum.value < 0.5 * float(objective(problem, np.zeros((3, 4)), np.zeros((4, 6))))


@pytest.mark.parametrize("lam_b", LAM_B)
def test_features_near_the_optimum_are_certified(lam_b):
    """tirer2023, corollary 2.2: an optimal H0 is its own answer."""
    free = Problem(ONE_HOT, lam_W=0.02, lam_H=0.01, lam_b=lam_b)
    H0 = solve(free).H[:, ONE_HOT.labels()]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    optimum = solve(free.replace(constraint=Near(turn @ H0, 0.5)))
    assert optimum.status is OptimumStatus.CERTIFIED
    assert np.allclose(optimum.H, turn @ H0, atol=1e-7)


# Non-negative features


def non_negative(seed, loss, largest=4):
    """Any codes and sizes, c from weak to nearly all-killing, every kind of bias."""
    rng = np.random.default_rng([seed, 23, len(loss)])
    m, K = (int(size) for size in rng.integers(2, largest + 1, 2))
    codes = rng.dirichlet(np.ones(m), K).T if loss == "cross_entropy" else rng.standard_normal((m, K))
    if seed % 3 == 0:
        codes = np.eye(K)
    counts = np.maximum(1, 10 ** rng.uniform(0, 3, K)).astype(int)
    c, tilt = 10 ** rng.uniform(-2, -0.3) / math.sqrt(counts.sum()), 10 ** rng.uniform(-2, 2)
    lam_b = [0.0, 10 ** rng.uniform(-2, 1), math.inf][seed % 4 % 3]
    targets = classes(codes, counts)
    return Problem(targets, lam_W=c * tilt, lam_H=c / tilt, lam_b=lam_b, loss=loss, constraint=NonNegative())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_non_negative_features_are_certified_where_the_width_is_free(loss, seed):
    problem = non_negative(seed, loss)
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert -1e-12 <= optimum.gap <= 1e-8 * max(1, optimum.value)
    assert np.all(optimum.H >= 0)
    assert optimum.certificate.stationarity <= 1e-6
    at_it = float(objective(problem, optimum.W[0], optimum.H, bias_of(problem, optimum.b)))
    assert at_it == pytest.approx(optimum.value, rel=1e-12)
    assert optimum.value >= solve(problem.replace(constraint=None)).value - 1e-12
    narrow = solve(problem.replace(width=1))
    assert narrow.W[0].shape[1] == 1
    assert narrow.value >= optimum.lower_bound - 1e-12
    assert narrow.lower_bound == pytest.approx(optimum.lower_bound, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_cvxpy_agrees_on_non_negative_features(loss, seed):
    """The doubly non-negative relaxation in a matrix of m + K rows: exact up to four columns, a bound beyond."""
    pytest.importorskip("cvxpy")
    problem = non_negative(seed, loss, largest=4 if seed < 30 else 7)
    ours, theirs = solve(problem), solve(problem, method="cvxpy")
    scale = max(1, ours.value)
    assert theirs.lower_bound <= ours.value + 1e-6 * scale
    assert ours.value <= theirs.value + 1e-9 * scale  # theirs is a feasible point
    if problem.targets.columns.shape[1] <= 4:
        assert theirs.lower_bound == pytest.approx(ours.value, abs=2e-5 * scale)
        assert theirs.value == pytest.approx(ours.value, abs=2e-5 * scale)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
@example(3096)  # margins of 11: 1 - p of a sure class must not be a difference
def test_the_formula_of_non_negative_features_is_certified(seed):
    """dang2024, theorem 1, at any sizes: its own residual is dual feasible."""
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 9))
    counts = np.maximum(1, 10 ** rng.uniform(0, rng.choice([1.0, 4.0]), K)).astype(int)
    c, tilt = 10 ** rng.uniform(-4, 0.2) / math.sqrt(counts.sum()), 10 ** rng.uniform(-2, 2)
    targets = classes(encodings.one_hot(K), counts)
    problem = Problem(targets, lam_W=c * tilt, lam_H=c / tilt, loss="cross_entropy", constraint=NonNegative())
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.method == "closed form"
    assert abs(optimum.gap) <= 1e-12 * max(1, optimum.value)
    assert optimum.certificate.stationarity <= 1e-13
    off = optimum.gram[~np.eye(K, dtype=bool)]
    assert np.all(off == 0)
    alive = problem.N * c / np.sqrt(counts) < math.sqrt((K - 1) / K)
    assert np.array_equal(np.diag(optimum.gram) > 0, alive)


def test_a_smaller_width_than_the_formula_needs_is_said():
    targets = classes(encodings.one_hot(4), [40, 20, 6, 1])
    problem = Problem(targets, lam_W=0.02, lam_H=0.01, loss="cross_entropy", constraint=NonNegative())
    optimum = solve(problem)
    assert optimum.gram[3, 3] == 0 < optimum.gram[2, 2]  # the smallest class is lost
    assert solve(problem.replace(width=3)).status is OptimumStatus.CERTIFIED  # three classes are alive
    narrow = solve(problem.replace(width=2))
    assert narrow.status is OptimumStatus.BEST_KNOWN
    assert narrow.lower_bound == pytest.approx(optimum.value, rel=1e-9)
    assert narrow.value > optimum.value + 1e-3


@pytest.mark.parametrize(("rows", "columns"), [(1, 4), (2, 3), (2, 9), (3, 6), (6, 4), (5, 11)])
def test_three_ways_to_the_longest_image_agree(rows, columns):
    """Supports, arcs and power steps from below, the doubly non-negative relaxation from above."""
    from ufm.optimum.constrained import cone

    rng = np.random.default_rng(rows)
    for _ in range(5):
        E = rng.standard_normal((rows, columns))
        exact, g = cone._by_supports(E, 0.0)
        assert np.all(g >= 0)
        assert np.linalg.norm(g) == pytest.approx(1, rel=1e-12)
        assert cone._by_power(E)[0] <= exact * (1 + 1e-12)
        if rows <= 2:
            assert cone._by_arcs(E)[0] == pytest.approx(exact, rel=1e-12)
        M = E.T @ E / np.sum(E**2)
        relaxed = min(cone._top(M + N) for N in cone._splitting(M))
        assert relaxed >= exact**2 / np.sum(E**2) * (1 - 1e-12)
        assert cone.longest_bound(E, None, 0.0) == pytest.approx(exact, rel=1e-9)
        assert np.linalg.norm(E, 2) >= exact * (1 - 1e-12)


def test_samples_take_non_negative_features_too():
    problem = Problem(
        samples(np.random.default_rng(0).standard_normal((2, 25))),
        lam_W=0.03,
        lam_H=0.02,
        lam_b=0.1,
        constraint=NonNegative(),
    )
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.value > 1.01 * solve(problem.replace(constraint=None)).value


# Norm budgets


@pytest.mark.parametrize("counts", [[5, 3, 2], [200, 200, 1, 1]])
def test_norm_budgets_are_certified_and_agree_with_the_relaxation(counts):
    """fang2021's program in a positive semidefinite matrix of twice the size."""
    pytest.importorskip("cvxpy")
    K, budget = len(counts), NormBudget(1.0, 2.0)
    problem = Problem(classes(encodings.one_hot(K), counts), lam_W=0, lam_H=0, loss="cross_entropy", constraint=budget)
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert abs(optimum.gap) <= 1e-8
    assert np.sum(optimum.W[0] ** 2) / K == pytest.approx(1.0, rel=1e-10)
    assert np.sum(optimum.H**2) / K == pytest.approx(2.0, rel=1e-10)
    assert float(objective(problem, optimum.W[0], optimum.H)) == pytest.approx(optimum.value, rel=1e-10)
    assert optimum.value == pytest.approx(solve(problem, method="cvxpy").value, abs=1e-6)


def layer_peeled(ratio, majority, minority, budget, unit=10**5):
    counts = [round(unit * ratio)] * majority + [unit] * minority
    K = majority + minority
    return Problem(classes(encodings.one_hot(K), counts), lam_W=0, lam_H=0, loss="cross_entropy", constraint=budget)


def minority_cosine(gram, majority):
    """Mean cosine between the minority classifiers, from the Gram matrix of all of them."""
    rows = gram[majority:, majority:]
    norm = np.sqrt(np.diag(rows))
    return float(np.mean((rows / np.outer(norm, norm))[~np.eye(norm.size, dtype=bool)]))


def test_minority_classifiers_collapse_beyond_a_threshold():
    R = minority_collapse_threshold(2, 2, 1.0, 2.0, largest=1e4)

    def cosine(ratio):
        W = solve(layer_peeled(ratio, 2, 2, NormBudget(1.0, 2.0))).W[0]
        return minority_cosine(W @ W.T, 2)

    assert cosine(1.001 * R) == pytest.approx(1, abs=1e-12)
    assert cosine(0.999 * R) < 1 - 1e-4
    with pytest.raises(ProblemError, match="at least 2"):
        minority_collapse_threshold(2, 1, 1.0, 1.0)


@pytest.mark.slow
def test_the_curve_of_fang2021_and_its_threshold():
    """K = 10, five majority classes, E_H = 5, E_W = 1: the mean minority cosine over R, against their own program.

    Their grid is R = 10^(0, 0.1, ..): the cosine reaches 1 between 10^1 and 10^1.1, at 12.19245.
    """
    pytest.importorskip("cvxpy")
    budget = NormBudget(E_W=1.0, E_H=5.0)
    R = minority_collapse_threshold(5, 5, 1.0, 5.0)
    assert pytest.approx(12.19245, abs=1e-5) == R
    assert 10**1.0 < R < 10**1.1
    for exponent in (0.0, 0.3, 0.7, 1.0, 1.1, 1.6):
        ratio = 10**exponent
        problem = layer_peeled(ratio, 5, 5, budget)
        ours, theirs = solve(problem), solve(problem, method="cvxpy")
        assert ours.value == pytest.approx(theirs.value, abs=1e-5)
        cosine = minority_cosine(ours.W[0] @ ours.W[0].T, 5)
        assert cosine == pytest.approx(minority_cosine(theirs.W[0] @ theirs.W[0].T, 5), abs=2e-3)
        assert (cosine > 1 - 1e-9) == (ratio > R)


# Margins


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_unit_margins_are_certified_for_all_sizes(seed):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 9))
    counts = np.maximum(1, 10 ** rng.uniform(0, 4, K)).astype(int)
    problem = Problem(
        classes(encodings.one_hot(K), counts), lam_W=0.01, lam_H=0.03, loss="cross_entropy", constraint=HardMargin()
    )
    optimum = solve(problem)
    assert optimum.lower_bound <= optimum.value
    assert optimum.certificate.stationarity <= 1e-12  # margins hold
    assert np.allclose(optimum.logits, np.eye(K) - 1 / K, atol=1e-12)
    penalties = 0.01 * np.sum(optimum.W[0] ** 2) + 0.03 * np.sum(counts * np.sum(optimum.H**2, axis=0))
    assert optimum.value == pytest.approx(penalties / 2, rel=1e-12)
    assert optimum.status is OptimumStatus.CERTIFIED  # the multipliers' signs hold at all sizes, not two only


@pytest.mark.parametrize("counts", [[5, 3, 2], [1000, 1000, 1, 1], [1, 1, 1]])
def test_cvxpy_agrees_on_margins(counts):
    pytest.importorskip("cvxpy")
    K = len(counts)
    problem = Problem(
        classes(encodings.one_hot(K), counts), lam_W=1, lam_H=1, loss="cross_entropy", constraint=HardMargin()
    )
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.value == pytest.approx(solve(problem, method="cvxpy").value, rel=1e-6)


def step(R, rho, K=4, smallest=50):
    """(R, rho)-STEP sizes (thrampoulidis2022): (1 - rho) K classes R times as large as the others."""
    large = round((1 - rho) * K)
    return [round(R * smallest)] * large + [smallest] * (K - large)


@pytest.mark.parametrize("R", [1, 10, 100])
@pytest.mark.parametrize("rho", [0.25, 0.5, 0.75])
def test_margins_are_the_sel_matrix_at_every_step_imbalance(R, rho):
    """thrampoulidis2022: WH = SEL = V L U' (columns by sample), W W' = V L V', H'H = U L U', whatever R and rho."""
    counts = step(R, rho)
    problem = Problem(
        classes(encodings.one_hot(4), counts), lam_W=1, lam_H=1, loss="cross_entropy", constraint=HardMargin()
    )
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    root = np.sqrt(counts)
    V, L, Ut = np.linalg.svd((np.eye(4) - 1 / 4) * root)  # the SEL matrix, equal columns of a class merged
    assert np.allclose(optimum.logits, np.eye(4) - 1 / 4, atol=1e-12)
    assert np.allclose(optimum.W[0] @ optimum.W[0].T, (V * L) @ V.T, atol=1e-10)
    assert np.allclose(optimum.gram * np.outer(root, root), (Ut.T * L) @ Ut, atol=1e-10)


@pytest.mark.parametrize("R", [1, 10, 100])
@pytest.mark.parametrize("rho", [0.25, 0.5])
def test_cross_entropy_tends_to_the_margins_as_its_weights_vanish(R, rho):
    """Z/||Z|| of the regularised optimum goes to the SEL matrix's; the distance falls as 1/log(1/lambda)."""
    counts = step(R, rho)
    problem = Problem(classes(encodings.one_hot(4), counts), lam_W=1, lam_H=1, loss="cross_entropy")
    margins = solve(problem.replace(constraint=HardMargin())).logits
    distances, ends = [], [1e-4, 1e-6, 1e-8, 1e-10]
    for c in ends:
        optimum = solve(problem.replace(lam_W=c, lam_H=c))
        assert optimum.status is OptimumStatus.CERTIFIED
        Z = optimum.logits / np.linalg.norm(optimum.logits)
        distances.append(float(np.linalg.norm(Z - margins / np.linalg.norm(margins))))
    if R == 1:
        assert max(distances) <= 1e-6  # a simplex at every weight
        return
    assert np.all(np.diff(distances) < 0)
    logs = np.log(1 / np.array(ends))
    rate = np.array(distances) * logs
    assert rate[-1] == pytest.approx(rate[-2], rel=0.15)  # distance log(1/lambda) settles


# Statements


@pytest.mark.parametrize(
    ("constraint", "loss"),
    [
        (FixedClassifier(np.array([[1.0, 0], [0, 1], [1, 1]])), "mse"),
        (Near(np.ones((2, 10)), 0.5), "mse"),
        (NonNegative(), "mse"),
        (FeatureMetric(METRIC), "mse"),
        (NormBudget(1, 2), "cross_entropy"),
        (HardMargin(), "cross_entropy"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_constraints_survive_a_file(constraint, loss, tmp_path):
    problem = Problem(ONE_HOT, lam_W=0.1, lam_H=0.1, loss=loss, constraint=constraint)
    problem.to_toml(tmp_path / "problem.toml")
    again = Problem.from_toml(tmp_path / "problem.toml")
    assert again.to_dict() == problem.to_dict()
    assert again.fingerprint != problem.replace(constraint=None).fingerprint
    assert type(constraint).__name__ in repr(again)
    assert type(constraint) in available().values()


def test_one_word_says_a_loss_or_a_constraint_on_the_command_line_and_in_a_file(tmp_path):
    frame, features = np.array([[1.0, 0], [0, 1], [-1, -1]]), np.arange(20.0).reshape(2, 10)
    np.save(tmp_path / "frame.npy", frame)
    np.savetxt(tmp_path / "features.csv", features, delimiter=",")
    words = {
        "non-negative": NonNegative(),
        "hard_margin": HardMargin(),
        "norm_budget:E_W=1,E_H=5": NormBudget(1, 5),
        "fixed_classifier:W=1 0;0 1;-1 -1": FixedClassifier(frame),
        f"fixed_classifier:W={tmp_path / 'frame.npy'}": FixedClassifier(frame),
        f"near:H0={tmp_path / 'features.csv'},beta=0.5": Near(features, 0.5),
    }
    for word, meant in words.items():
        assert to_dict(from_dict(word)) == to_dict(meant)
        assert to_dict(from_dict(to_dict(meant))) == to_dict(meant)
    rescaled = Problem(ONE_HOT, lam_W=0.1, lam_H=0.1, loss=losses.rescaled_mse(5, 3), constraint=NonNegative())
    text = rescaled.to_dict() | {"loss": "rescaled_mse:k=5,M=3", "constraint": "non_negative"}
    (tmp_path / "problem.toml").write_text(tomli_w.dumps(text))
    assert Problem.from_toml(tmp_path / "problem.toml").fingerprint == rescaled.fingerprint


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: from_dict("norm_budget:E_W=1"), r"constraint.E_H = None: this field is required"),
        (
            lambda: from_dict("norm_budget:E_W=1,E_H=2,E=3"),
            r"constraint.E = 3.0: no such field; norm_budget has E_W, E_H",
        ),
        (lambda: from_dict("norm_budget:E_W"), "write 'E_W' as field=value"),
        (lambda: from_dict("norm_budget:E_W=one,E_H=2"), "constraint.E_W = 'one': give a number"),
        (lambda: from_dict("near:H0=nowhere.npy,beta=1"), "no such file"),
        (lambda: from_dict("fixed_classifier:W=1 0;1"), "equal lengths"),
        (lambda: from_dict("non_negative:x=1"), "has no fields"),
        (lambda: from_dict("relu"), "choose one of .*fixed_classifier"),
        (lambda: from_dict(3), "name:field=value"),
        (lambda: losses.from_dict("rescaled_mse:k=5"), "loss.M = None: this field is required"),
        (lambda: losses.from_dict("rescaled_mse"), "loss.k = None"),
        (lambda: losses.from_dict("rescaled_mse:k=-1,M=2"), "loss.k = -1.0: give a finite number > 0"),
        (lambda: losses.from_dict("mse:k=3"), "mse has no parameters"),
    ],
)
def test_errors_in_a_word_name_the_field_and_the_fix(make, words):
    with pytest.raises(ProblemError, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FixedClassifier(np.array([[math.nan]])), "constraint.W"),
        (lambda: Near(np.ones((1, 1)), -1), "constraint.beta = -1"),
        (lambda: NormBudget(0, 1), "constraint.E_W = 0"),
        (lambda: FeatureMetric(np.ones((2, 3))), r"constraint.M = \(2, 3\)"),
        (lambda: FeatureMetric(np.ones((2, 2))), "positive definite"),
        (lambda: FeatureMetric(np.array([[1, 0.1], [0, 1]])), "not symmetric"),
        (lambda: Problem(ONE_HOT, lam_W=1, lam_H=1, constraint=FeatureMetric(np.eye(2))), "it needs 3 rows"),
        (lambda: solve(refereed(FeatureMetric(METRIC), "mse").replace(width=2)), "width >= 3"),
        (lambda: solve(refereed(FeatureMetric(METRIC), "mse", weights=(0.1, 0))), "lam_H = 0"),
        (lambda: Problem(ONE_HOT, lam_W=1, lam_H=1, constraint=FixedClassifier(np.ones((1, 1)))), "m = 3 rows"),
        (lambda: Problem(ONE_HOT, lam_W=1, lam_H=1, constraint=Near(np.ones((1, 1)), 1)), "N = 10 columns"),
        (lambda: Problem(ONE_HOT, lam_W=1, lam_H=1, constraint=HardMargin()), "cross_entropy"),
        (lambda: Problem(ONE_HOT, lam_W=(1, 1), lam_H=1, constraint=NormBudget(1, 1)), "one layer"),
        (lambda: solve(Problem(ONE_HOT, lam_W=(1, 1), lam_H=1, constraint=NonNegative()), "cvxpy"), "auto, search"),
        (lambda: Problem(ONE_HOT, lam_W=1, lam_H=1, constraint=cast(Any, "relu")), "ufm.constraints"),
        (
            lambda: solve(Problem(ONE_HOT, lam_W=1, lam_H=1, constraint=NonNegative()), "newton"),
            "choose one of auto, cvxpy",
        ),
    ],
)
def test_errors_name_the_field_and_the_fix(make, words):
    with pytest.raises(ProblemError, match=words):
        make()


def test_regression_and_grids_take_constraints_too():
    Y = np.random.default_rng(0).standard_normal((2, 7))
    problem = Problem(samples(Y), lam_W=0.1, lam_H=0.1, lam_b=1.0, constraint=FixedClassifier(np.eye(2)))
    optima = solve(problem, over={"lam_b": [0.5, 1.0]})
    assert optima[1].value == solve(problem).value
    assert optima.gap.max() <= 1e-12
