"""Checking a given point: the bound knows nothing of who made it, and is tight at the optimum only."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError
from ufm.optimum import certify, certify_logits, solve
from ufm.problem import Problem, classes, objective, samples


def problem_of(seed):
    rng = np.random.default_rng(seed)
    m, K = rng.integers(2, 7, 2)
    targets = classes(rng.standard_normal((m, K)), rng.integers(1, 20, K))
    if seed % 3 == 0:
        targets = samples(rng.standard_normal((m, 9)))
    lam_b = float(rng.choice([0.0, math.inf, 1e-6, 0.3, 20.0]))
    return Problem(targets=targets, lam_W=0.03, lam_H=0.05, lam_b=lam_b)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
@example(100_000)  # a product far smaller than the bias, whose round-off is no direction
def test_any_point_is_bounded_and_the_optimum_is_tight(seed):
    problem, rng = problem_of(seed), np.random.default_rng(seed)
    optimum = solve(problem)
    W, H, b = optimum.W[0], optimum.H, optimum.b
    at = certify(problem, W, H, b)
    assert at.value == pytest.approx(optimum.value, rel=1e-10)
    assert abs(at.gap) <= 1e-9
    assert at.rank == optimum.certificate.rank
    bare = certify_logits(problem, optimum.logits)
    assert bare.value == pytest.approx(optimum.value, abs=1e-9)
    assert abs(bare.gap) <= 1e-9
    for size in (1e-4, 0.1, 3.0):
        noise = [size * rng.standard_normal(x.shape) for x in (W, H, b)]
        noisy = W + noise[0], H + noise[1], b + (noise[2] if problem.has_bias else 0)
        found = certify(problem, *noisy)
        assert found.lower_bound <= optimum.value + 1e-12
        assert found.value >= optimum.value - 1e-12
        assert found.value == pytest.approx(float(objective(problem, *noisy)), rel=1e-12)
        by_logits = certify_logits(problem, noisy[0] @ noisy[1] + noisy[2][:, None], noisy[2])
        assert by_logits.value <= found.value + 1e-12  # at their best factors
        assert by_logits.lower_bound == pytest.approx(found.lower_bound, abs=1e-12)


def test_samples_of_a_class_may_differ():
    problem = Problem(targets=classes(encodings.one_hot(3), [2, 3, 4]), lam_W=0.02, lam_H=0.02, lam_b=0.5)
    optimum, rng = solve(problem), np.random.default_rng(0)
    H = optimum.H[:, problem.classes.labels()]
    assert certify(problem, optimum.W[0], H, optimum.b).relative_gap <= 1e-12
    spread = certify(problem, optimum.W[0], H + 0.1 * rng.standard_normal(H.shape), optimum.b)
    assert spread.gap > 1e-4
    assert spread.lower_bound <= optimum.value


def test_certify_says_what_it_knows():
    problem = Problem(targets=classes(encodings.one_hot(3), 2), lam_W=0.02, lam_H=0.02)
    with pytest.raises(ProblemError, match="3 rows"):
        certify_logits(problem, np.zeros((2, 3)))
    with pytest.raises(ProblemError, match="squared loss"):
        certify_logits(problem.replace(loss="cross_entropy"), np.zeros((3, 3)))
