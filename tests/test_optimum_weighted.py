"""The rescaled squared loss: stated cleanly, and its optimum certified, by formula where sizes are equal."""

import math
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError
from ufm.losses import loss, rescaled_mse
from ufm.optimum import OptimumStatus, solve
from ufm.optimum.weighted.program import WeightedProgram
from ufm.problem import Problem, classes, gradient, objective

LAM_B = [0.0, 1e-3, 0.3, math.inf]


def problem_of(K: int, counts: Any, k: float, M: float, lam_b: float, strength: float = 0.1, **more: Any) -> Problem:
    """lam_W and lam_H apart, their mean a share of where the largest direction dies."""
    targets = classes(encodings.one_hot(K), counts)
    c = strength * max(k, 1.0) * M * float(np.sqrt(targets.counts.max())) / targets.N
    return Problem(targets, lam_W=3 * c, lam_H=c / 3, lam_b=lam_b, loss=rescaled_mse(k, M), **more)


def test_the_loss_is_the_papers_and_its_slope_the_derivative():
    k, M = 3.0, 5.0
    rng = np.random.default_rng(0)
    Z, T = rng.standard_normal((4, 6)), np.eye(4)[:, rng.integers(0, 4, 6)]
    found, y = loss(rescaled_mse(k, M)), T.argmax(axis=0)
    for i in range(6):
        z, others = Z[:, i], np.arange(4) != y[i]
        assert found.value(Z, T)[i] == pytest.approx((k * (z[y[i]] - M) ** 2 + np.sum(z[others] ** 2)) / 2)
    step, D = 1e-6, rng.standard_normal(Z.shape)
    numeric = (found.value(Z + step * D, T) - found.value(Z - step * D, T)).sum() / (2 * step)
    assert np.sum(found.slope(Z, T) * D) == pytest.approx(numeric, rel=1e-8)


def test_objective_and_gradient_on_another_backend():
    torch = pytest.importorskip("torch")
    problem, rng = problem_of(3, [5, 2, 1], 4.0, 2.0, 0.3), np.random.default_rng(1)
    W, H, b = rng.standard_normal((3, 3)), rng.standard_normal((3, 8)), rng.standard_normal(3)
    W_t, H_t, b_t = (torch.tensor(a, requires_grad=True) for a in (W, H, b))
    value = cast(Any, objective(problem, W_t, H_t, b_t))
    value.backward()
    ours = gradient(problem, W, H, b)
    assert value.item() == pytest.approx(float(objective(problem, W, H, b)), rel=1e-14)
    for derivative, other in ((ours.W[0], W_t), (ours.H, H_t), (ours.b, b_t)):
        assert np.allclose(derivative, cast(Any, other.grad).numpy(), atol=1e-13)


def test_the_loss_survives_a_file(tmp_path):
    problem = problem_of(3, [5, 2, 1], 4.0, 2.0, 0.3)
    problem.to_toml(tmp_path / "problem.toml")
    again = Problem.from_toml(tmp_path / "problem.toml")
    assert again.loss == problem.loss
    assert again.fingerprint == problem.fingerprint != problem.replace(loss=rescaled_mse(4, 3)).fingerprint


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rescaled_mse(0, 1), "loss.k = 0: give"),
        (lambda: rescaled_mse(1, math.inf), "loss.M = inf"),
        (lambda: rescaled_mse(cast(Any, "1"), 1), "loss.k = '1'"),
        (lambda: Problem(classes(np.eye(2), 1), lam_W=1, lam_H=1, loss="rescaled_mse"), r"rescaled_mse\(k, M\)"),
        (lambda: Problem(classes(np.ones((2, 2)), 1), lam_W=1, lam_H=1, loss=rescaled_mse(1, 1)), "one-hot"),
        (lambda: Problem.from_dict({**problem_of(2, 1, 1, 1, 0.0).to_dict(), "loss": {"name": "mse"}}), "loss"),
        (
            lambda: Problem.from_dict({**problem_of(2, 1, 1, 1, 0.0).to_dict(), "loss": {"name": "rescaled_mse"}}),
            "loss.k = None: this field is required",
        ),
        (lambda: solve(problem_of(2, 1, 1, 1, 0.0), "newton"), "proximal gradient"),
        (lambda: solve(problem_of(2, [1, 2], 1, 1, 0.0), "closed form"), "equal sizes"),
        (lambda: solve(problem_of(2, 1, 1, 1, 0.0).replace(lam_W=(1, 1)), "cvxpy"), "auto, search"),
    ],
)
def test_errors_name_the_field_and_the_fix(make, words):
    with pytest.raises(ProblemError, match=words):
        make()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_optimum_is_certified_and_no_other_point_or_dual_crosses_it(seed):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 7))
    counts = np.maximum(1, 10 ** rng.uniform(0, 3, K)).astype(int)
    k, M = 10 ** rng.uniform(-1, 1.3), 10 ** rng.uniform(-1, 1.3)
    problem = problem_of(K, counts, k, M, LAM_B[seed % 4], 10 ** rng.uniform(-2, 0.2))
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.certificate.relative_gap <= 1e-9
    assert optimum.certificate.stationarity <= 1e-7
    assert optimum.certificate.balance <= 1e-10
    b = optimum.b if problem.has_bias else None
    assert float(objective(problem, optimum.W[0], optimum.H, b)) == pytest.approx(optimum.value, rel=1e-11)
    program, scale = WeightedProgram.of(problem), max(1.0, optimum.value)
    for size in (1e-3, 1.0):
        W = optimum.W[0] + size * rng.standard_normal(optimum.W[0].shape)
        other = None if b is None else b + size * rng.standard_normal(K)
        assert float(objective(problem, W, optimum.H, other)) >= optimum.lower_bound - 1e-12 * scale
        assert optimum.certificate.dual is not None
        E = optimum.certificate.dual + size * rng.standard_normal((K, K))
        assert program.bound(E)[0] <= optimum.value + 1e-12 * scale


@pytest.mark.parametrize("lam_b", LAM_B)
@pytest.mark.parametrize("strength", [0.01, 0.1, 0.3, 0.6, 0.9, 2.0])
@pytest.mark.parametrize(("k", "M"), [(1.0, 1.0), (5.0, 10.0), (0.2, 3.0)])
def test_equal_sizes_have_a_formula(k, M, strength, lam_b):
    problem = problem_of(5, 7, k, M, lam_b, strength)
    optimum, iterated = solve(problem), solve(problem, "proximal gradient")
    assert optimum.method == "closed form"
    assert optimum.certificate.relative_gap <= 1e-12
    assert np.allclose(optimum.logits, iterated.logits, atol=1e-6 * M)
    assert iterated.value == pytest.approx(optimum.value, rel=1e-10)


@pytest.mark.parametrize("lam_b", LAM_B)
def test_unit_parameters_are_the_squared_loss(lam_b):
    problem = problem_of(4, [9, 5, 2, 1], 1.0, 1.0, lam_b)
    ours, squared = solve(problem), solve(problem.replace(loss="mse"))
    assert ours.value == pytest.approx(squared.value, rel=1e-11)
    assert np.allclose(ours.logits, squared.logits, atol=1e-6)


@pytest.mark.parametrize("lam_b", LAM_B)
def test_cvxpy_agrees(lam_b):
    pytest.importorskip("cvxpy")
    problem = problem_of(4, [9, 5, 2, 1], 5.0, 3.0, lam_b)
    ours, theirs = solve(problem), solve(problem, "cvxpy")
    assert ours.value == pytest.approx(theirs.value, rel=1e-7)
    assert theirs.lower_bound <= ours.value + 1e-9


def test_limits_width_and_grids_say_what_they_are():
    problem = problem_of(4, [9, 5, 2, 1], 5.0, 3.0, 0.3)
    for lam_b in LAM_B:
        zero = solve(problem.replace(lam_W=0.0, lam_b=lam_b))
        assert zero.status is OptimumStatus.NOT_ATTAINED
        assert abs(zero.value) <= 1e-12
        assert solve(problem.replace(lam_W=0.0, lam_H=0.0, lam_b=lam_b)).status is OptimumStatus.CERTIFIED
    narrow = solve(problem.replace(width=2))
    assert narrow.status is OptimumStatus.BEST_KNOWN
    assert narrow.certificate.rank == 2
    assert narrow.certificate.stationarity <= 1e-5
    assert solve(problem).value < narrow.value
    optima = solve(problem, over={"lam_b": LAM_B})
    assert optima[2].value == solve(problem).value
    assert optima.gap.max() <= 1e-9
    assert np.all(np.diff(optima.value) >= 0)


def test_methods_are_those_of_the_problem():
    deep = Problem(classes(encodings.one_hot(3), 5), lam_W=(0.01, 0.01), lam_H=0.01, lam_b=0.2)
    assert solve(deep, "metastable").value >= solve(deep).value
    for method in ("search", "metastable"):
        assert solve(deep, method, over={"lam_H": [0.01, 0.02]})[0].value == solve(deep, method).value
    with pytest.raises(ProblemError, match="search, branch and bound, metastable"):
        solve(deep, "newton", over={"lam_H": [0.01]})
    for kind in ("mse", "cross_entropy"):
        with pytest.raises(ProblemError, match="closed form, newton, groups, cvxpy"):
            solve(deep.replace(lam_W=0.01, loss=kind), "search")
    with pytest.raises(ProblemError, match="choose one of auto, search"):
        solve(deep.replace(loss="cross_entropy"), "groups")
