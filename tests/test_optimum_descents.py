"""Several layers, or the rescaled loss, with a sign or a fixed classifier: best descents and honest bounds."""

import math

import numpy as np
import pytest

from ufm import encodings
from ufm.constraints import FixedClassifier, NonNegative
from ufm.errors import ProblemError
from ufm.losses import rescaled_mse
from ufm.optimum import OptimumStatus, solve
from ufm.optimum.descent import descend
from ufm.problem import Problem, classes, objective

LOSSES = {"mse": "mse", "cross_entropy": "cross_entropy", "rescaled": rescaled_mse(3.0, 2.0)}
LAM_B = [0.0, 0.1, math.inf]


def deep(loss, *, lam_b=math.inf, counts=(3, 2, 1), layers=2, lam=0.02, **changes):
    targets = classes(encodings.one_hot(len(counts)), list(counts))
    return Problem(targets, loss=loss, lam_W=(lam,) * layers, lam_H=lam, lam_b=lam_b, **changes)


@pytest.mark.parametrize("lam_b", LAM_B)
@pytest.mark.parametrize("loss", LOSSES)
def test_deep_non_negative_features_are_a_critical_point_above_their_bound(loss, lam_b):
    problem = deep(LOSSES[loss], lam_b=lam_b, constraint=NonNegative())
    optimum = solve(problem)
    assert optimum.status in (OptimumStatus.SEARCHED, OptimumStatus.CERTIFIED)
    assert np.all(optimum.H >= 0)
    assert optimum.certificate.rank > 0
    assert optimum.certificate.stationarity <= 1e-10
    assert optimum.certificate.balance <= 1e-8
    assert optimum.lower_bound <= optimum.value
    at_it = float(objective(problem, optimum.W, optimum.H, optimum.b if problem.has_bias else None))
    assert at_it == pytest.approx(optimum.value, rel=1e-12)
    assert optimum.value >= solve(problem.replace(constraint=None)).lower_bound - 1e-15


def test_a_sign_costs_nothing_where_the_features_are_an_orthogonal_frame():
    """Balanced one-hot without a bias: the optimum without the sign has one feature a class."""
    problem = deep("mse", counts=(2, 2, 2), constraint=NonNegative())
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.value == pytest.approx(solve(problem.replace(constraint=None)).value, rel=1e-12)


@pytest.mark.parametrize("lam_b", LAM_B)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_rescaled_loss_with_unit_parameters_is_the_squared_loss(layers, lam_b):
    rescaled, squared = (
        solve(deep(loss, lam_b=lam_b, layers=layers, counts=(2, 2, 2))) for loss in (rescaled_mse(1, 1), "mse")
    )
    assert rescaled.status is OptimumStatus.CERTIFIED  # by the squared loss's own bound
    assert rescaled.value == pytest.approx(squared.value, rel=1e-9)
    for constraint in (NonNegative(), FixedClassifier(np.eye(3) - 0.3)):
        if layers == 1:
            rescaled, squared = (
                solve(deep(loss, lam_b=lam_b, layers=1, constraint=constraint)) for loss in (rescaled_mse(1, 1), "mse")
            )
            assert rescaled.value == pytest.approx(squared.value, rel=1e-9)


@pytest.mark.parametrize("lam_b", [0.0, 0.2, math.inf])
@pytest.mark.parametrize("k", [0.3, 3.0])
def test_the_deep_rescaled_loss_is_bounded_by_the_squared_one(k, lam_b):
    problem = deep(rescaled_mse(k, 2.0), counts=(4, 2, 1), lam_b=lam_b)
    optimum = solve(problem)
    # Without a bias the squared loss k|Z - MY|^2 is at its least for a diagonal Z, where it is the rescaled one.
    met = k < 1 and lam_b == math.inf
    assert optimum.status is (OptimumStatus.CERTIFIED if met else OptimumStatus.SEARCHED)
    assert optimum.certificate.stationarity <= 1e-10
    assert optimum.certificate.balance <= 1e-8
    assert 0 < optimum.lower_bound <= optimum.value
    whole = deep(rescaled_mse(k, 2.0), counts=(4, 2, 1), lam_b=lam_b, width=1)
    assert optimum.value <= solve(whole).value
    assert optimum.lower_bound <= solve(whole).lower_bound  # fewer points, a higher bound


def test_small_objectives_are_solved_and_judged_at_their_own_scale():
    """Of size 1e-8: no absolute tolerance may end the descent, or call the gap closed."""
    optimum = solve(deep(rescaled_mse(3.0, 1e-3), lam_b=0.1, lam=1e-6))
    assert optimum.certificate.rank == 3
    assert optimum.certificate.stationarity <= 1e-10
    assert optimum.certificate.balance <= 1e-8
    assert optimum.gap > 1e-3 * optimum.value
    assert optimum.status is OptimumStatus.SEARCHED


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "rescaled"])
@pytest.mark.parametrize("sign", [True, False])
def test_random_descents_do_not_beat_it(loss, sign):
    problem = deep(LOSSES[loss], lam_b=0.1, constraint=NonNegative() if sign else None)
    best, rng = solve(problem).value, np.random.default_rng(1)
    for _ in range(15):
        W, H = (rng.standard_normal((3, 3)), rng.standard_normal((3, 3))), rng.standard_normal((3, 3))
        end = descend(problem, W, np.abs(H) if sign else H, np.zeros(3))
        assert end.value >= best - 1e-9
        assert not sign or np.all(end.H >= 0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["sign", "fixed"])
def test_cvxpy_sides_with_the_rescaled_loss_under_a_constraint(kind, seed):
    pytest.importorskip("cvxpy")
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 5))
    constraint = NonNegative() if kind == "sign" else FixedClassifier(rng.standard_normal((K, K)))
    loss = rescaled_mse(10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-0.5, 0.7))
    problem = Problem(
        classes(encodings.one_hot(K), rng.integers(1, 6, K)),
        loss=loss,
        constraint=constraint,
        lam_W=0.05,
        lam_H=0.02,
        lam_b=LAM_B[seed % 3],
    )
    optimum, other = solve(problem), solve(problem, method="cvxpy")
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.value == pytest.approx(other.value, rel=1e-6)
    assert optimum.lower_bound <= other.value + 1e-9


def test_a_zero_weight_and_a_wrong_method():
    unpenalised = solve(deep("mse", constraint=NonNegative()).replace(lam_H=0.0))
    assert unpenalised.status is OptimumStatus.NOT_ATTAINED
    assert unpenalised.value == pytest.approx(0.0, abs=1e-12)
    assert np.all(unpenalised.H >= 0)
    with pytest.raises(ProblemError, match="width"):
        solve(deep("mse", constraint=NonNegative(), width=2).replace(lam_H=0.0))
    with pytest.raises(ProblemError, match="auto, search"):
        solve(deep(LOSSES["rescaled"]), method="newton")
    with pytest.raises(ProblemError, match="lam_H"):
        solve(deep(LOSSES["rescaled"], layers=1, constraint=FixedClassifier(np.eye(3))).replace(lam_H=0.0))
