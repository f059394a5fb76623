"""Deep cross-entropy: the best of many descents, held against deep neural collapse and a convex bound."""

import math

import numpy as np
import pytest

from ufm import encodings
from ufm.errors import ProblemError
from ufm.optimum import OptimumStatus, solve
from ufm.optimum.deep.descents import candidates, lower_bound
from ufm.problem import Problem, classes, objective


def deep(K, layers, lam=2e-3, n=1, **changes):
    fields = {"lam_W": (lam,) * layers, "lam_H": lam / n, "loss": "cross_entropy"}
    return Problem(classes(encodings.one_hot(K), n), **{**fields, **changes})


@pytest.mark.parametrize(
    ("K", "layers", "collapse_wins"), [(2, 2, True), (3, 2, True), (4, 2, True), (4, 3, False), (6, 2, False)]
)
def test_low_rank_beats_deep_neural_collapse_where_garrod2024_says(K, layers, collapse_wins):
    """K >= 4 with three layers, or K >= 6 with two: m 2^(2/(L+1)) < 2m - 1, K = 2m."""
    found = candidates(deep(K, layers))
    best, collapse = min(c.value for c in found), found[0].value
    assert found[0].name == "deep neural collapse"
    assert (collapse - best < 1e-9) == collapse_wins
    if not collapse_wins:
        assert collapse - best > 1e-3


@pytest.mark.parametrize("lam_b", [0.0, 0.1, math.inf])
def test_the_answer_is_a_balanced_critical_point_above_its_bound(lam_b):
    problem = deep(4, 3, lam_b=lam_b)
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.SEARCHED
    assert optimum.certificate.balance <= 1e-8
    assert optimum.certificate.stationarity <= 1e-10
    assert 0 < optimum.lower_bound < optimum.value
    assert len(optimum.W) == 3
    at_it = float(objective(problem, optimum.W, optimum.H, optimum.b if problem.has_bias else None))
    assert at_it == pytest.approx(optimum.value, rel=1e-12)
    assert optimum.certificate.rank == 2


@pytest.mark.slow
def test_fifty_random_descents_do_not_beat_it():
    from ufm.optimum.deep.descents import _descend

    problem = deep(4, 2)
    best, rng = solve(problem).value, np.random.default_rng(0)
    for i in range(50):
        W = (rng.standard_normal((4, 4)), rng.standard_normal((4, 4)))
        assert _descend(problem, str(i), W, rng.standard_normal((4, 4))).value >= best - 1e-9


def test_the_bound_holds_at_every_found_point():
    problem = deep(4, 3)
    found = candidates(problem)
    for candidate in found:
        assert lower_bound(problem, candidate.value) <= min(c.value for c in found)


def test_imbalance_weights_and_sizes():
    counts = [5, 2, 1]
    problem = Problem(
        classes(encodings.smoothed(3, 0.1), counts), lam_W=(1e-3, 4e-3), lam_H=2e-3, lam_b=0.5, loss="cross_entropy"
    )
    optimum = solve(problem)
    assert optimum.certificate.stationarity <= 1e-10
    assert optimum.certificate.balance <= 1e-8
    assert optimum.lower_bound <= optimum.value


def test_strong_regularisation_leaves_zero_and_is_certified_or_says_so():
    optimum = solve(deep(3, 2, lam=5.0))
    assert optimum.value == pytest.approx(math.log(3), rel=1e-9)
    assert optimum.certificate.rank == 0


def test_vanishing_weights_and_wrong_methods_are_said():
    optimum = solve(deep(3, 2, lam_H=0.0))
    assert optimum.status in (OptimumStatus.NOT_ATTAINED, OptimumStatus.AT_INFINITY)
    assert optimum.value == pytest.approx(0, abs=1e-9)
    assert all(np.all(np.isfinite(layer)) for layer in (*optimum.W, optimum.H))
    with pytest.raises(ProblemError, match="search"):
        solve(deep(3, 2), method="newton")
