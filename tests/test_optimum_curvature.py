"""Second order under every constraint, against a Lagrangian differenced in a nullspace; cones; planted saddles."""

import math
import sys
from typing import Any

import numpy as np
import pytest

from ufm import encodings
from ufm.constraints import FeatureMetric, FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.optimum import Curvature, OptimumStatus, curvature, solve
from ufm.optimum.constrained.point import balance_of
from ufm.optimum.curvature import on_a_cone
from ufm.problem import Problem, classes, gradient, objective

SIZES = [5, 3, 2]
ONE_HOT = classes(encodings.one_hot(3), SIZES)
FRAME = encodings.simplex(3).codes.T @ np.random.default_rng(1).standard_normal((2, 2))
FEATURES = np.sin(np.arange(40.0)).reshape(4, 10)
LAM_B = [0.0, 0.2, math.inf]


def stated(constraint: Any, loss: str, lam_b: float = math.inf, weights=(0.1, 0.02), **more: Any) -> Problem:
    targets = more.pop("targets", ONE_HOT)
    return Problem(targets, lam_W=weights[0], lam_H=weights[1], lam_b=lam_b, loss=loss, constraint=constraint, **more)


def second_order(problem: Problem) -> Curvature:
    """Of the optimum, as its certificate says."""
    found = solve(problem).certificate.second_order
    assert isinstance(found, Curvature)
    return found


# The reference: multipliers by least squares, everything differenced, nothing of the package but the gradient


class Numerical:
    """The least curvature of the Lagrangian on the null space of active constraints, what is flat left out.

    Variables are W, the features of all samples, and b. Constraints are functions of them whose values are >= 0.
    """

    def __init__(self, problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray) -> None:
        self.problem, self.cut = problem, (W.size, W.size + H.size)
        self.m, self.d = W.shape
        self.x = np.concatenate([W.ravel(), H.ravel(), *([b] if problem.has_bias else [])])

    def factors(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        W, H, b = np.split(x, self.cut)
        return W.reshape(self.m, self.d), H.reshape(self.d, -1), b if self.problem.has_bias else None

    def slope(self, x: np.ndarray) -> np.ndarray:
        W, H, b = self.factors(x)
        if isinstance(self.problem.constraint, HardMargin):  # only the penalties are minimised
            parts = [float(self.problem.lam_W[0]) * W, float(self.problem.lam_H) * H]
        else:
            g = gradient(self.problem, W, H, b)
            parts = [g.W[0], g.H, *([g.b] if self.problem.has_bias else [])]
        return np.concatenate([part.ravel() for part in parts])

    def constraints(self, x: np.ndarray) -> np.ndarray:
        W, H, _ = self.factors(x)
        constraint, labels = self.problem.constraint, ONE_HOT.labels()
        if isinstance(constraint, NonNegative):
            return H.ravel()
        if isinstance(constraint, NormBudget):
            spent = np.sum(H**2 / np.array(SIZES)[labels])
            return np.array([3 * constraint.E_W - np.sum(W**2), 3 * constraint.E_H - spent])
        if isinstance(constraint, HardMargin):
            Z = W @ H
            return np.concatenate([np.delete(Z[y, i] - Z[:, i] - 1, y) for i, y in enumerate(labels)])
        return np.concatenate([(W - constraint.W).ravel()]) if isinstance(constraint, FixedClassifier) else np.zeros(0)

    def least(self) -> float:
        x, unit = self.x, np.eye(self.x.size)
        slope, active = self.slope(x), self.constraints(x) <= 1e-8
        hessian = np.array([(self.slope(x + 1e-5 * e) - self.slope(x - 1e-5 * e)) / 2e-5 for e in unit])
        if np.any(active):

            def held(at: np.ndarray) -> np.ndarray:
                return self.constraints(at)[active]

            normals = np.array([(held(x + 1e-3 * e) - held(x - 1e-3 * e)) / 2e-3 for e in unit])  # they are quadratic
            beta = np.linalg.lstsq(normals, slope, rcond=None)[0]
            assert np.allclose(normals @ beta, slope, atol=1e-7)
            values = np.array([[held(x + e + f) - held(x + e) - held(x + f) + held(x) for f in unit] for e in unit])
            U, s, _ = np.linalg.svd(normals)
            basis = U[:, int(np.sum(s > 1e-9)) :]
            hessian = basis.T @ (hessian - values @ beta) @ basis
        found = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        return float(found[np.abs(found) > 1e-7 * found[-1]][0])


CASES = {
    **{
        f"fixed {loss} {lam_b}": stated(FixedClassifier(FRAME), loss, lam_b)
        for loss in ("mse", "cross_entropy")
        for lam_b in LAM_B
    },
    **{f"near {lam_b}": stated(Near(FEATURES, 6.0), "mse", lam_b) for lam_b in LAM_B},
    "non-negative mse": stated(NonNegative(), "mse", 0.2),
    "non-negative cross-entropy": stated(NonNegative(), "cross_entropy", 0.2),
    "non-negative, no bias": stated(NonNegative(), "cross_entropy"),
    "non-negative, narrow": stated(NonNegative(), "mse", 0.2, width=2),
    "budgets": stated(NormBudget(1.0, 2.0), "cross_entropy", weights=(0, 0)),
    "margins": stated(HardMargin(), "cross_entropy", weights=(0.3, 0.2)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_least_curvature_is_the_differenced_lagrangians(name):
    problem = CASES[name]
    optimum = solve(problem)
    W, H, b = optimum.W[0], optimum.H, optimum.b
    H = H if H.shape[1] == problem.N else H[:, ONE_HOT.labels()]
    expected = Numerical(problem, W, H, b).least()
    for features in (optimum.H, H):  # class means and samples are one point
        found = curvature(problem, (W,), features, b)
        assert found.holds
        assert found.exact
        assert found.direction is None
        assert found.least == pytest.approx(expected, rel=1e-5)
    assert optimum.certificate.curvature == pytest.approx(expected, rel=1e-5)
    assert str(optimum.certificate.second_order).startswith("positive: curvature least")
    balance = optimum.certificate.balance
    assert math.isnan(balance) if isinstance(problem.constraint, FixedClassifier) else balance <= 1e-11
    if not isinstance(problem.constraint, NonNegative | Near):
        assert optimum.certificate.unique  # the problem is convex in the product, and this minimum is strict


@pytest.mark.parametrize("name", CASES)
def test_lanczos_says_the_same_under_a_constraint(name, monkeypatch):
    problem = CASES[name]
    optimum = solve(problem)
    whole = curvature(problem, optimum.W, optimum.H, optimum.b)
    module = sys.modules["ufm.optimum.curvature"]
    monkeypatch.setattr(module, "_DENSE", 0)  # the function has the module's name
    for batch in (2**22, 0):  # an orthonormal basis of what is taken out, and conjugate gradients
        monkeypatch.setattr(module, "_BATCH", batch)
        lanczos = curvature(problem, optimum.W, optimum.H, optimum.b)
        assert lanczos.least == pytest.approx(whole.least, rel=1e-6)
        assert lanczos.orbit_dimension == whole.orbit_dimension
        assert lanczos.holds


@pytest.mark.parametrize("lam_b", LAM_B)
def test_the_metric_of_the_sizes_curves_as_the_usual_penalty(lam_b):
    """M = diag(1/n_k) is no constraint; another M is differenced in G, H = G M^(1/2)."""
    plain = Problem(classes(encodings.one_hot(3), 1), lam_W=0.1, lam_H=0.02, lam_b=lam_b)
    expected = second_order(plain)
    same = second_order(plain.replace(constraint=FeatureMetric(np.eye(3))))
    assert same.holds
    assert same.least == pytest.approx(expected.least, rel=1e-4)
    assert same.orbit_dimension == expected.orbit_dimension
    M = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.7]])
    problem = stated(FeatureMetric(M), "mse", lam_b)
    optimum = solve(problem)
    values, vectors = np.linalg.eigh(M)
    R = (vectors * np.sqrt(values)) @ vectors.T
    cut = (optimum.W[0].size, optimum.W[0].size + optimum.H.size)

    def slope(x: np.ndarray) -> np.ndarray:
        W, G, b = np.split(x, cut)
        g = gradient(problem, W.reshape(3, 3), G.reshape(3, 3) @ R, b if problem.has_bias else None)
        return np.concatenate([g.W[0].ravel(), (g.H @ R).ravel(), g.b if problem.has_bias else b])

    parts = [optimum.W[0].ravel(), np.linalg.solve(R, optimum.H.T).T.ravel(), optimum.b[: 3 * problem.has_bias]]
    x = np.concatenate(parts)
    hessian = np.array([(slope(x + 1e-5 * e) - slope(x - 1e-5 * e)) / 2e-5 for e in np.eye(x.size)])
    found = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    second = curvature(problem, optimum.W, optimum.H, optimum.b)
    assert second.holds
    assert optimum.certificate.balance <= 1e-11
    assert second.least == pytest.approx(found[np.abs(found) > 1e-6 * found[-1]][0], rel=1e-4)


# Saddles


def descends(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray | None, least: float) -> None:
    """The escape direction leads to feasible points that are lower, by its curvature's share."""
    found = curvature(problem, (W,), H, b)
    assert found.holds is False
    assert "no minimum" in str(found)
    assert found.direction is not None
    assert found.least == pytest.approx(least, rel=1e-9)
    there, t = float(objective(problem, W, H, b)), 1e-2
    W, H = W + t * found.direction.W[0], H + t * found.direction.H
    if isinstance(problem.constraint, NormBudget):
        K = problem.K
        W = W * math.sqrt(K * problem.constraint.E_W / np.sum(W**2))
        H = H * math.sqrt(K * problem.constraint.E_H / np.sum(H**2))
    if isinstance(problem.constraint, NonNegative):
        assert np.all(H >= 0)
    lower = float(objective(problem, W, H, None if b is None else b + t * found.direction.b))
    assert lower - there == pytest.approx(t**2 / 2 * least, rel=0.05)


def test_zero_factors_are_a_saddle_of_non_negative_features():
    """All features dead: least of lam_W x^2 + lam_H y^2 - 2 sigma xy, sigma = sqrt(n_1)/N the longest image."""
    problem = stated(NonNegative(), "mse", width=4)
    sigma = math.sqrt(5) / 10
    least = float(np.linalg.eigvalsh([[0.1, -sigma], [-sigma, 0.02]])[0])
    descends(problem, np.zeros((3, 4)), np.zeros((4, 3)), None, least)
    shrunk = stated(NonNegative(), "mse", weights=(1.0, 1.0), width=4)
    zero = curvature(shrunk, (np.zeros((3, 4)),), np.zeros((4, 3)))
    assert zero.holds
    assert zero.least == pytest.approx(1 - sigma, rel=1e-8)


def test_a_feature_on_the_smaller_class_is_a_saddle():
    """Width 1, critical on class 2 alone: class 1 may grow, at zero slope, and growing lowers the objective."""
    targets = classes(encodings.one_hot(2), [40, 10])
    problem = stated(NonNegative(), "mse", weights=(0.01, 0.01), targets=targets, width=1)
    s = math.sqrt(10) - 50 * 0.01
    W, H = np.array([[0.0], [math.sqrt(s)]]), np.array([[0.0, math.sqrt(s / 10)]])
    found = curvature(problem, (W,), H)
    assert found.holds is False
    assert "1 more entry only growing" in found.over
    descends(problem, W, H, None, found.least)
    own, cross = 0.01 + s / 50, math.sqrt(40) / 50
    assert found.least == pytest.approx(np.linalg.eigvalsh([[own, -cross], [-cross, own]])[0])
    assert second_order(problem).holds


def test_merged_classes_are_a_saddle_of_the_layer_peeled_model():
    """Two and two classes share their factors: critical by symmetry, and parting them lowers the loss."""
    budget = NormBudget(1.0, 2.0)
    targets = classes(encodings.one_hot(4), 3)
    problem = stated(budget, "cross_entropy", weights=(0, 0), targets=targets)
    sign = np.array([1.0, 1, -1, -1])
    W, H = np.zeros((4, 4)), np.zeros((4, 4))
    W[:, 0], H[0] = sign, sign * math.sqrt(2)
    found = curvature(problem, (W,), H)
    descends(problem, W, H, None, found.least)
    zero = curvature(problem, (np.zeros((4, 4)),), np.zeros((4, 4)))
    assert zero.holds is False
    assert zero.least == pytest.approx(-1 / (4 * math.sqrt(3)), rel=1e-9)  # minus the norm of the slope
    assert "inside both budgets" in zero.over


def test_a_zero_classifier_is_a_saddle_near_features_that_say_nothing():
    """H0 orthogonal to the targets and their mean: W = 0 is critical; the pull of Y on H lowers the objective."""
    rng = np.random.default_rng(0)
    H0 = rng.standard_normal((3, 10))
    for k in range(3):
        H0[:, ONE_HOT.labels() == k] -= H0[:, ONE_HOT.labels() == k].mean(axis=1, keepdims=True)
    problem = stated(Near(H0, 0.1), "mse", weights=(0.01, 0.01))
    H = 0.01 * H0 / (0.01 + 0.01)
    found = curvature(problem, (np.zeros((3, 3)),), H)
    descends(problem, np.zeros((3, 3)), H, None, found.least)
    assert second_order(problem).holds


def test_a_fixed_classifier_has_no_saddle_and_unit_margins_no_other_critical_point():
    """Convex in H and b at any point; multipliers of full rank K - 1 are dual feasible where their signs are right."""
    rng = np.random.default_rng(2)
    fixed = stated(FixedClassifier(FRAME), "cross_entropy", 0.3)
    for _ in range(5):
        found = curvature(fixed, (FRAME,), 3 * rng.standard_normal((2, 3)), rng.standard_normal(3))
        assert found.least >= 0.02
    for counts in ([5, 3, 2], [1000, 1, 1], [7, 7, 7]):
        for width in (2, 3, 5):
            targets = classes(encodings.one_hot(3), counts)
            problem = stated(HardMargin(), "cross_entropy", weights=(0.3, 0.2), targets=targets, width=width)
            second = second_order(problem)
            assert second.holds
            assert second.least > 0.19
            assert "6 active margins" in str(second)


# Cones


@pytest.mark.parametrize("seed", range(12))
def test_forms_on_a_cone_are_decided(seed):
    """A form that is no less than its least eigenvalue, lifted by products of two constraints: positive on the cone."""
    rng = np.random.default_rng(seed)
    size, rows = int(rng.integers(3, 7)), int(rng.integers(1, 4))
    A = rng.standard_normal((rows, size))
    pairs = np.abs(rng.standard_normal((rows, rows)))
    root = rng.standard_normal((size, size))
    Q = root @ root.T / size + 3 * A.T @ ((pairs + pairs.T) - 2 * np.diag(np.diag(pairs))) @ A
    least, holds, x = on_a_cone(Q, A, 1e-12)
    assert x is None
    assert holds
    directions = rng.standard_normal((size, 20000))
    directions = directions[:, np.all(A @ directions >= 0, axis=0)]
    reached = np.sum(directions * (Q @ directions), axis=0) / np.sum(directions**2, axis=0)
    assert least <= reached.min() + 1e-12
    inside = directions[:, :1] / np.linalg.norm(directions[:, :1])
    spoilt = Q - 2 * float(np.linalg.eigvalsh(Q)[-1]) * inside @ inside.T
    _, holds, x = on_a_cone(spoilt, A, 1e-12)
    assert holds is False
    assert x is not None
    assert np.all(A @ x >= -1e-9)
    assert float(x @ spoilt @ x) < 0


@pytest.mark.parametrize("name", CASES)
def test_a_point_out_of_balance_is_seen(name):
    """One feature twice as large in W and half as large in H: the same product, and balanced no more."""
    problem = CASES[name]
    optimum = solve(problem)
    scaled = np.where(np.arange(optimum.H.shape[0]) == 0, 2.0, 1.0)
    spoilt = balance_of(problem, optimum.W[0] * scaled, optimum.H / scaled[:, None])
    assert math.isnan(spoilt) if isinstance(problem.constraint, FixedClassifier) else spoilt > 0.1


def test_what_cannot_be_looked_at_is_said_in_words():
    targets = classes(encodings.one_hot(3), SIZES)
    unattained = solve(Problem(targets, lam_W=0.0, lam_H=0.1)).certificate
    assert unattained.curvature is None
    assert "the infimum is not attained" in str(unattained.second_order)
    large = solve(Problem(classes(encodings.one_hot(30), 3), lam_W=0.001, lam_H=0.001)).certificate
    assert large.curvature is None
    assert large.second_order == "not looked at for 1800 variables; ufm.optimum.curvature(problem, W, H, b) does"
    grouped = solve(Problem(targets, lam_W=0.1, lam_H=0.1), method="groups").certificate
    assert "told by groups" in str(grouped.second_order)
    assert solve(stated(HardMargin(), "cross_entropy", weights=(0, 1))).status is OptimumStatus.NOT_ATTAINED


def anything(kind: str, seed: int) -> Problem:
    """A random problem under a constraint: sizes over four decades, weights over three, widths below and above."""
    rng = np.random.default_rng([seed, len(kind)])
    K = int(rng.integers(2, 6))
    counts = np.maximum(1, 10 ** rng.uniform(0, 4, K)).astype(int)
    one_hot, spread = classes(encodings.one_hot(K), counts), 10 ** rng.uniform(-3, 0)
    if kind == "near":
        near = Near(rng.standard_normal((4, 10)) * 10 ** rng.uniform(-1, 0.5), 10 ** rng.uniform(-2, 1.5))
        return stated(near, "mse", LAM_B[seed % 3], (10 ** rng.uniform(-2.5, -0.5), 0.01))
    if kind == "margins":
        wide = {"targets": one_hot, "width": K - 1 + seed % 3}
        return stated(HardMargin(), "cross_entropy", weights=(0.01, spread), **wide)
    if kind == "budgets":
        budget = NormBudget(*10 ** rng.uniform(-1, 0.5, 2))
        few = classes(encodings.one_hot(K), np.minimum(counts, 300))
        return stated(budget, "cross_entropy", weights=(0, 0), targets=few, width=K + seed % 3)
    loss = ("mse", "cross_entropy")[seed % 2]
    m = int(rng.integers(2, 6))
    soft = classes(rng.dirichlet(np.ones(m), K).T, counts)
    if kind == "fixed":
        W = rng.standard_normal((m, int(rng.integers(1, 5))))
        return stated(FixedClassifier(W), loss, LAM_B[seed % 3], (0.01, spread), targets=soft)
    c = 10 ** rng.uniform(-2, -0.3) / math.sqrt(counts.sum())
    return stated(NonNegative(), loss, LAM_B[seed % 3], (c, c), targets=soft, width=(None, 1, 12)[seed // 3 % 3])


@pytest.mark.parametrize("kind", ["near", "margins", "budgets", "fixed", "non-negative"])
@pytest.mark.parametrize("first", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (4, 16, 28))])
def test_no_answer_under_a_constraint_is_a_saddle(kind, first):
    """Necessary at every minimum: proved ones pass it, and so do the descents' ends that no bound certifies."""
    for seed in range(first, first + (4 if first == 0 else 12)):
        problem = anything(kind, seed)
        assert second_order(problem).holds, f"seed {seed}: {problem!r}"
