"""The right-hand side in every coordinate system against the slow reference gradient, and what holds of it exactly."""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError
from ufm.flow.coordinates import Coordinates, coordinates
from ufm.flow.start import balanced_start, random_start
from ufm.flow.state import State, checked
from ufm.problem import Problem, Targets, classes, gradient, objective, samples
from ufm.tolerance import roundoff

RNG = np.random.default_rng(7)
TARGETS: dict[str, Targets] = {
    "balanced": classes(encodings.one_hot(4), 10),
    "imbalanced": classes(encodings.one_hot(3), [9, 4, 12]),
    "simplex": classes(encodings.simplex(3), 9),
    "more classes than codes": classes(RNG.standard_normal((2, 6)), [3, 4, 5, 6, 7, 8]),
    "regression": samples(RNG.standard_normal((2, 30))),
}
WEIGHTS = {
    "equal": {"lam_W": 0.03, "lam_H": 0.03, "lam_b": 0.1},
    "no bias": {"lam_W": 0.01, "lam_H": 0.05, "lam_b": np.inf},
    "free bias": {"lam_W": 0.02, "lam_H": 0.001, "lam_b": 0.0},
    "deep": {"lam_W": (0.01, 0.02, 0.03), "lam_H": 0.04, "lam_b": 0.2},
}


def start_of(problem: Problem, *, collapsed: bool = False, seed: int = 0) -> State:
    state = random_start(problem, seed, collapsed=collapsed)
    b = np.random.default_rng(seed).standard_normal(problem.m) if problem.has_bias else state.b
    return checked(problem, State(state.W, state.H, b))


def largest_difference(a: State, b: State) -> float:
    """Relative to the largest entry of b."""
    pairs = [*zip(a.W, b.W, strict=True), (a.H, b.H), (a.b, b.b)]
    scale = max(float(np.abs(y).max()) for _, y in pairs)
    return max(float(np.abs(x - y).max()) for x, y in pairs) / scale


def reference_slope(problem: Problem, state: State) -> State:
    """-grad L; a class mean shared by n_k samples moves as each of them does, by -(1/n_k) dL/dhbar_k."""
    G = gradient(problem, state.W, state.H, state.b)
    shared = problem.targets.multiplicity if state.H.shape[1] != problem.N else 1
    return State(tuple(-w for w in G.W), -G.H / shared, -G.b)


def error_of_slope(problem: Problem, at: Coordinates, y: np.ndarray, state: State) -> float:
    return largest_difference(at.state(at.field(y), 0.0), reference_slope(problem, state))


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize(("mode", "width"), [("full", 5), ("samples", 5), ("collapsed", 5), ("collapsed", 40)])
def test_right_hand_side_is_minus_the_gradient(targets: str, weights: str, mode: str, width: int) -> None:
    problem = Problem(targets=TARGETS[targets], width=width, **WEIGHTS[weights])
    state = start_of(problem, collapsed=mode == "collapsed")
    at, y = coordinates(problem, state, "auto" if mode == "collapsed" else mode)  # pyright: ignore[reportArgumentType]
    assert at.mode == mode or targets == "regression"  # its samples are their own classes: nothing collapses
    assert (at.span is not None) == (width == 40 and weights != "deep")
    assert largest_difference(at.state(y, 0.0), state) < roundoff(4)
    assert error_of_slope(problem, at, y, state) < 1e-13
    value = float(objective(problem, state.W, state.H, state.b))
    np.testing.assert_allclose(float(at.field.loss(y)), value, rtol=1e-13)


@pytest.mark.parametrize("collapsed", [False, True])
@pytest.mark.parametrize("lam_b", [0.0, 0.3, np.inf])
def test_cross_entropy(collapsed: bool, lam_b: float) -> None:
    targets = classes(encodings.smoothed(encodings.one_hot(3), 0.1), [4, 2, 5])
    problem = Problem(targets=targets, lam_W=0.01, lam_H=0.02, lam_b=lam_b, loss="cross_entropy", width=6)
    state = start_of(problem, collapsed=collapsed)
    at, y = coordinates(problem, state, "auto")
    assert at.mode == ("collapsed" if collapsed else "full")
    assert error_of_slope(problem, at, y, state) < 1e-13
    np.testing.assert_allclose(
        float(at.field.loss(y)), float(objective(problem, state.W, state.H, state.b)), rtol=1e-13
    )


def test_a_dropped_weight_is_caught() -> None:
    problem = Problem(targets=TARGETS["balanced"], width=5, **WEIGHTS["equal"])
    state = start_of(problem)
    at, y = coordinates(problem, state, "full")
    decay = at.field.decay.copy()
    decay[at.field.classifier.stop :] = 0
    assert error_of_slope(problem, replace(at, field=replace(at.field, decay=decay)), y, state) > 1e-3


@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    m=st.integers(1, 4),
    d=st.integers(1, 6),
    lam=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    lam_b=st.one_of(st.just(np.inf), st.floats(0, 10)),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_reduced_and_full_agree(counts: list[int], m: int, d: int, lam: list[float], lam_b: float, seed: int) -> None:
    """Any codes, sizes, weights and depth: the coordinates chosen move the full state as the full flow does."""
    codes = np.random.default_rng(seed).standard_normal((m, len(counts)))
    problem = Problem(targets=classes(codes, counts), lam_W=tuple(lam[1:]), lam_H=lam[0], lam_b=lam_b, width=d)
    for collapsed in (False, True):
        state = start_of(problem, collapsed=collapsed, seed=seed)
        at, y = coordinates(problem, state, "auto")
        assert error_of_slope(problem, at, y, state) < 1e-12


@pytest.mark.parametrize("weights", ["equal", "free bias", "deep"])
def test_implicit_bias_solves_its_equation(weights: str) -> None:
    problem = Problem(targets=TARGETS["imbalanced"], width=5, **WEIGHTS[weights])
    at, y = coordinates(problem, start_of(problem), "auto")
    m, before = problem.m, y.copy()
    z = 7.0 * (1 + float(problem.lam_b))
    slope = at.field(y, 0.0, lambda rest: (before[:m] + z * rest) / (1 + z))
    assert not np.allclose(y[:m], before[:m])
    np.testing.assert_array_equal(y[m:], before[m:])
    np.testing.assert_allclose(y[:m], before[:m] + 7.0 * slope[:m], rtol=1e-13, atol=roundoff(8))
    np.testing.assert_allclose(slope, at.field(y), rtol=1e-13, atol=roundoff(4))


@pytest.mark.parametrize("weights", ["equal", "no bias", "free bias", "deep"])
def test_exact_laws_of_the_slope(weights: str) -> None:
    """d(W'W - HH')/dt = -2(lam_W W'W - lam_H HH'), W next to H, and dHw/dt = -(P'P/N + lam_H) Hw: theory section 6."""
    problem = Problem(targets=TARGETS["imbalanced"], width=5, **WEIGHTS[weights])
    state = start_of(problem)
    at, y = coordinates(problem, state, "full")
    slope = at.state(at.field(y), 0.0)
    W, dW, H, dH = state.W[-1], slope.W[-1], state.H, slope.H
    left = dW.T @ W + W.T @ dW - dH @ H.T - H @ dH.T
    lam_W, lam_H = problem.lam_W[-1], problem.lam_H
    np.testing.assert_allclose(left, -2 * (lam_W * W.T @ W - lam_H * H @ H.T), atol=roundoff(40))
    within = np.eye(problem.N)
    for k, n in enumerate(problem.classes.counts):
        mine = problem.classes.labels() == k
        within[np.ix_(mine, mine)] -= 1 / n
    P = reduce(np.matmul, state.W)
    np.testing.assert_allclose(dH @ within, -(P.T @ P / problem.N + lam_H * np.eye(5)) @ H @ within, atol=roundoff(8))


def test_balanced_start_is_balanced_and_overlaps_with_the_targets() -> None:
    problem = Problem(targets=TARGETS["imbalanced"], width=6, lam_W=0.1, lam_H=0.1)
    start = balanced_start(problem, 3, scale=0.2)
    H = start.H * np.sqrt(problem.targets.multiplicity)
    np.testing.assert_allclose(start.W[0].T @ start.W[0], H @ H.T, atol=roundoff())
    overlap = np.linalg.eigvalsh(start.product @ H @ (problem.targets.columns * np.sqrt(problem.classes.counts)).T)
    assert overlap.min() > 0.04 * 0.9 * 2


@pytest.mark.parametrize(
    ("mode", "loss", "collapsed", "text"),
    [
        ("wrong", "mse", False, "choose 'auto'"),
        ("collapsed", "mse", False, "not exact for features that differ"),
        ("full", "mse", True, "the start is collapsed"),
        ("samples", "cross_entropy", False, "exact for the squared loss only"),
    ],
)
def test_modes_that_are_not_exact_are_refused(mode: str, loss: str, collapsed: bool, text: str) -> None:
    problem = Problem(targets=TARGETS["balanced"], lam_W=0.1, lam_H=0.1, loss=loss, width=4)
    with pytest.raises(ProblemError, match=text):
        coordinates(problem, start_of(problem, collapsed=collapsed), mode)  # pyright: ignore[reportArgumentType]
