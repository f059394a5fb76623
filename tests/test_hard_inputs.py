"""Hard inputs for every loss, constraint and depth: a finite answer with a status that advises, or an error of ours."""

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ufm import encodings
from ufm.constraints import FeatureMetric, FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.errors import UfmError
from ufm.losses import rescaled_mse
from ufm.optimum import Optimum, OptimumStatus, solve
from ufm.problem import Problem, classes, objective

Make = Callable[[int, int], Any]
MODELS: dict[str, tuple[Any, int, Make]] = {  # loss, linear layers, constraint for K classes and N samples
    "squared": ("mse", 1, lambda K, N: None),
    "cross-entropy": ("cross_entropy", 1, lambda K, N: None),
    "rescaled": (rescaled_mse(3, 2), 1, lambda K, N: None),
    "squared, two layers": ("mse", 2, lambda K, N: None),
    "squared, four layers": ("mse", 4, lambda K, N: None),
    "cross-entropy, two layers": ("cross_entropy", 2, lambda K, N: None),
    "squared, non-negative": ("mse", 1, lambda K, N: NonNegative()),
    "cross-entropy, non-negative": ("cross_entropy", 1, lambda K, N: NonNegative()),
    "squared, fixed": ("mse", 1, lambda K, N: FixedClassifier(np.eye(K) - 1 / K)),
    "cross-entropy, fixed": ("cross_entropy", 1, lambda K, N: FixedClassifier(np.eye(K) - 1 / K)),
    "squared, near": ("mse", 1, lambda K, N: Near(np.ones((K, N)), 0.5)),
    "squared, in a metric": (
        "mse",
        1,
        lambda K, N: FeatureMetric(1 / (1 + np.abs(np.subtract.outer(range(K), range(K))))),
    ),
    "margins": ("cross_entropy", 1, lambda K, N: HardMargin()),
    "budgets": ("cross_entropy", 1, lambda K, N: NormBudget(1, 2)),
    "rescaled, two layers": (rescaled_mse(3, 2), 2, lambda K, N: None),
    "rescaled, non-negative": (rescaled_mse(3, 2), 1, lambda K, N: NonNegative()),
    "rescaled, fixed": (rescaled_mse(3, 2), 1, lambda K, N: FixedClassifier(np.eye(K) - 1 / K)),
}
SIZES = [[3, 3, 3], [10**6, 10**3, 1], [1, 1], [4]]
WEIGHTS = [(0.0, 0.0), (0.0, 0.1), (0.1, 0.0), (1e-8, 1e-8), (1e2, 1e2), (1e-8, 1e2), (1e2, 1e-8), (0.02, 0.03)]
LAM_B = [0.0, math.inf, 1e-8, 0.3, 1e2]
GRID = list(itertools.product(SIZES, WEIGHTS, LAM_B))


def stated(model: str, counts: list[int], lam_W: float, lam_H: float, lam_b: float) -> Problem:
    loss, layers, make = MODELS[model]
    if model == "squared, near":
        counts = [min(n, 50) for n in counts]  # one column a sample
    if model in ("margins", "budgets"):
        lam_b = math.inf
    if model == "budgets":
        lam_W = lam_H = 0.0
    return Problem(
        classes(encodings.one_hot(len(counts)), counts),
        lam_W=(lam_W,) * layers,
        lam_H=lam_H,
        lam_b=lam_b,
        loss=loss,
        constraint=make(len(counts), sum(counts)),
    )


def examine_or_refuse(problem: Problem) -> None:
    """An answer that stands, or an error of ours, which names field, value and fix."""
    refusal = ""
    try:
        examine(problem)
    except UfmError as error:
        refusal = str(error)
    assert not refusal or (" = " in refusal and refusal.endswith("."))


def examine(problem: Problem) -> Optimum:
    """Finite everywhere, a bound that is none above the value, residuals that fit the status, a sentence of advice."""
    optimum = solve(problem)
    certificate = optimum.certificate
    numbers = (*optimum.W, optimum.H, optimum.b, optimum.singular_values, optimum.logits, optimum.gram)
    assert all(np.all(np.isfinite(array)) for array in numbers), optimum
    assert np.isfinite(optimum.value), optimum
    assert optimum.lower_bound <= optimum.value, optimum
    assert np.isfinite(certificate.stationarity), optimum
    if not isinstance(problem.constraint, HardMargin):  # which no features do not meet
        fixed = isinstance(problem.constraint, FixedClassifier)
        W = optimum.W if fixed else tuple(np.zeros_like(layer) for layer in optimum.W)
        nothing = float(objective(problem, W, np.zeros_like(optimum.H)))
        assert optimum.value <= nothing * (1 + 1e-12), optimum
    assert len(optimum.status.value.split()) > 8
    weights = [float(lam) for lam in (*problem.lam_W, problem.lam_H)]
    if optimum.status is OptimumStatus.NOT_ATTAINED:
        tied = problem.constraint.beta if isinstance(problem.constraint, Near) else 0.0  # weighs the features as well
        assert min(weights) == 0 < max(*weights, tied), optimum
    if optimum.status in (OptimumStatus.CERTIFIED, OptimumStatus.PROVED):
        assert certificate.stationarity <= 1e-6, optimum
        assert optimum.gap <= 1e-8 * max(1.0, abs(optimum.value)), optimum
    return optimum


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_or_says_why_not(model):
    """A seventh of the grid, another one for each model."""
    for counts, (lam_W, lam_H), lam_b in GRID[list(MODELS).index(model) % 7 :: 7]:
        examine_or_refuse(stated(model, counts, lam_W, lam_H, lam_b))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_on_the_whole_grid(model):
    for counts, (lam_W, lam_H), lam_b in GRID:
        examine_or_refuse(stated(model, counts, lam_W, lam_H, lam_b))


@pytest.mark.parametrize("model", [name for name in MODELS if name not in ("margins", "budgets")])
@pytest.mark.parametrize("share", [1 - 1e-12, 1.0, 1 + 1e-12])
def test_ties_have_an_answer(model, share):
    """sigma = tau to the last digits: t_rel = 1, where all features vanish; and lam_b = lam_b*."""
    K, n = 4, 25
    problem = stated(model, [n] * K, share / (K * math.sqrt(n)), 1 / (K * math.sqrt(n)), math.inf)
    examine(problem)
    half = problem.replace(lam_W=tuple(float(lam) / 2 for lam in problem.lam_W))
    t_rel = math.sqrt(0.5 * share)
    examine(half.replace(lam_b=share * t_rel / (1 - t_rel)))


@pytest.mark.parametrize(("lam_W", "lam_H"), [(0.0, 0.0), (0.0, 0.1), (0.1, 0.0)])
def test_zero_weights_are_told_apart(lam_W, lam_H):
    """Both zero: attained where finite logits meet the targets; one zero: the same infimum, not attained."""
    one_zero = lam_W != lam_H
    wanted = OptimumStatus.NOT_ATTAINED if one_zero else OptimumStatus.CERTIFIED
    for model in ("squared", "rescaled", "squared, non-negative"):
        for lam_b in LAM_B:
            optimum = examine(stated(model, [5, 3, 2], lam_W, lam_H, lam_b))
            assert optimum.value == pytest.approx(0, abs=1e-12)
            assert optimum.status is wanted
    for lam_b in LAM_B:
        narrow = examine(stated("squared", [5, 3, 2], lam_W, lam_H, lam_b).replace(width=1))
        assert narrow.value > 0.05
        assert narrow.status.is_attained != one_zero or narrow.status is OptimumStatus.BEST_KNOWN
        deep = examine(stated("squared, two layers", [5, 3, 2], lam_W, lam_H, lam_b))
        assert deep.status is (OptimumStatus.NOT_ATTAINED if one_zero else OptimumStatus.PROVED)
        assert deep.value == pytest.approx(0, abs=1e-12)
    for model in ("cross-entropy", "cross-entropy, two layers", "cross-entropy, non-negative"):
        assert examine(stated(model, [5, 3, 2], lam_W, lam_H, 0.3)).status is OptimumStatus.AT_INFINITY
        soft = stated(model, [5, 3, 2], lam_W, lam_H, 0.3).replace(
            targets=classes(encodings.smoothed(3, 0.1), [5, 3, 2])
        )
        assert examine(soft).status is wanted
    assert examine(stated("margins", [5, 3, 2], lam_W, lam_H, math.inf)).status is wanted


MILLION = np.repeat([3, 20, 100], [500_000, 250_000, 250_000])


def smoothed(K: int) -> Any:
    return encodings.smoothed(K, 0.1)


@pytest.mark.parametrize("make", [encodings.one_hot, encodings.one_vs_rest, encodings.simplex])
@pytest.mark.parametrize("lam_b", [0.0, 0.1, math.inf])
def test_a_million_classes_in_three_sizes_take_less_than_a_second(make, lam_b):
    started = time.process_time()
    c = 3e-4 / math.sqrt(MILLION.sum())
    optimum = solve(Problem(classes(make(10**6), MILLION), lam_W=c, lam_H=c, lam_b=lam_b), "groups")
    assert time.process_time() - started < 1.0
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.certificate.relative_gap <= 1e-12


@pytest.mark.parametrize("make", [encodings.one_hot, smoothed])
@pytest.mark.parametrize("lam_b", [0.0, 1e-6, 0.1, math.inf])
@pytest.mark.parametrize("share", [3e-5, 3e-4, 1e-3])  # all classes alive, some lost, most lost
def test_cross_entropy_of_a_million_classes_takes_less_than_a_second(make, lam_b, share):
    started = time.process_time()
    c = share / math.sqrt(MILLION.sum())
    problem = Problem(classes(make(10**6), MILLION), lam_W=c, lam_H=c, lam_b=lam_b, loss="cross_entropy")
    optimum = solve(problem, "groups")
    assert time.process_time() - started < 1.0
    assert optimum.status is OptimumStatus.CERTIFIED
    assert optimum.certificate.relative_gap <= 1e-10
    assert optimum.certificate.stationarity <= 1e-10
    assert optimum.certificate.balance <= 1e-12
    assert optimum.logit_own[2] > optimum.logit_within[2]


@pytest.mark.parametrize("lam_b", [0.0, 0.1, math.inf])
@pytest.mark.parametrize("layers", [2, 3])
def test_a_million_classes_under_several_layers_take_less_than_a_second(layers, lam_b):
    started, p = time.process_time(), layers + 1
    lam = 0.1 * (20 / MILLION.sum()) ** (1 - 1 / p) / MILLION.sum() ** (1 / p)
    problem = Problem(classes(encodings.one_hot(10**6), MILLION), lam_W=(lam,) * layers, lam_H=lam, lam_b=lam_b)
    optimum = solve(problem, "groups")
    assert time.process_time() - started < 1.0
    assert optimum.certificate.rank >= 500_000
    assert optimum.certificate.stationarity <= 1e-10
    assert optimum.certificate.balance <= 1e-12
    if lam_b == 0.1:  # the bias of a penalty need not be equal within groups, but little can be gained by that
        assert optimum.status is OptimumStatus.SEARCHED
        assert 0 < optimum.certificate.relative_gap <= 1e-7
    else:
        assert optimum.status is OptimumStatus.PROVED
        assert optimum.certificate.relative_gap <= 1e-12


@pytest.mark.parametrize("constraint", [None, HardMargin(), NonNegative(), NormBudget(1, 1)])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_million_classes_are_refused_before_memory_is(loss, constraint):
    """In words that name the method that does not write codes out."""
    if loss == "mse" and isinstance(constraint, HardMargin | NormBudget):
        return
    weights = (0, 0) if isinstance(constraint, NormBudget) else (1e-9, 1e-9)
    for make in (encodings.one_hot, encodings.simplex):
        targets = classes(make(10**6), 2)
        problem = Problem(targets, lam_W=weights[0], lam_H=weights[1], loss=loss, constraint=constraint)
        with pytest.raises(
            UfmError, match=r"too many entries to write out; the squared loss and .* have method='groups'"
        ):
            solve(problem)
