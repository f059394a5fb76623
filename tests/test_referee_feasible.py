"""Rivals under a constraint: they stay inside it, they arrive at the certified optimum, and nothing gets below it."""

import importlib
import math

import numpy as np
import pytest

from ufm import Problem, check, classes, encodings, solve
from ufm.catalogue import catalogue
from ufm.constraints import FeatureMetric, FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.referee import Verdict
from ufm.referee.competitors import rivals
from ufm.referee.feasible import descended

LABELS = classes(encodings.one_hot(4), [7, 3, 3, 1])
ENTROPY = {"targets": LABELS, "loss": "cross_entropy"}
FRAME = np.eye(4)[:, :3] + 0.3


def constrained() -> list[Problem]:
    H0 = np.random.default_rng(3).standard_normal((4, LABELS.N))
    return [
        Problem(**ENTROPY, lam_W=0.0, lam_H=0.0, constraint=NormBudget(0.7, 3.0)),
        Problem(**ENTROPY, lam_W=0.5, lam_H=2.0, constraint=HardMargin()),
        Problem(**ENTROPY, lam_W=0.02, lam_H=0.01, constraint=NonNegative()),
        Problem(LABELS, lam_W=0.02, lam_H=0.01, lam_b=0.3, constraint=FixedClassifier(FRAME)),
        Problem(LABELS, lam_W=0.02, lam_H=0.01, constraint=FeatureMetric(np.diag([1.0, 2.0, 3.0, 4.0]))),
        Problem(LABELS, lam_W=0.02, lam_H=0.01, constraint=Near(H0, 50.0)),
    ]


@pytest.mark.parametrize("problem", constrained(), ids=lambda p: type(p.constraint).__name__)
def test_rivals_arrive_at_the_certified_optimum_and_not_below(problem):
    optimum = solve(problem)
    starts = rivals(problem, optimum, np.random.default_rng(0))
    ends = np.array([descended(problem, start) for _, start in starts])
    assert ends.size >= 5
    assert ends.min() == pytest.approx(optimum.value, rel=1e-9)
    assert np.all(ends >= optimum.value * (1 - 1e-10))


def test_a_rival_that_is_far_outside_is_pulled_back_in():
    """From factors a thousand times too large, for the budget and for the margin alike."""
    for problem in constrained()[:2]:
        optimum = solve(problem)
        large = tuple(1e3 * layer for layer in optimum.W), 1e3 * optimum.H, optimum.b
        assert descended(problem, large) == pytest.approx(optimum.value, rel=1e-6)


def test_a_wrong_side_of_the_margins_is_no_rival():
    """Outputs of the wrong sign end at a margin of one or nowhere, never below the optimum."""
    problem = constrained()[1]
    optimum = solve(problem)
    (W,), H, b = optimum.W, optimum.H, optimum.b
    assert descended(problem, ((-W,), H, b)) >= optimum.value * (1 - 1e-10)
    free = problem.replace(lam_W=0.0, lam_H=0.0)
    assert descended(free, ((W,), H, b)) == math.inf  # nothing costs less than what costs nothing


@pytest.mark.parametrize("name", ["fang2021:relaxation", "thrampoulidis2022:seli", "thrampoulidis2022:seli_any_sizes"])
def test_budgets_and_margins_have_competitors(name):
    evidence = {each.witness: each for each in check(catalogue()[name], samples=4).evidence}
    assert evidence["competitor"].checked >= 10
    assert evidence["competitor"].agrees


@pytest.mark.parametrize("name", ["fang2021:relaxation", "thrampoulidis2022:seli"])
def test_a_minimum_that_is_a_millionth_too_high_is_beaten(name, monkeypatch):
    competitors = importlib.import_module("ufm.referee.competitors")
    monkeypatch.setattr(competitors, "_claimed", lambda theorem, problem, optimum: optimum.value * (1 + 1e-6))
    report = check(catalogue()[name], samples=4)
    assert [each.agrees for each in report.evidence if each.witness == "competitor"] == [False]
    assert report.verdict is Verdict.INCONCLUSIVE
