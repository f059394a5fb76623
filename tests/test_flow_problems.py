"""Every problem flows or says why not: non-negative features, features near given ones, fixed classifiers, the rescaled
loss, and the central path."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from ufm import encodings
from ufm.constraints import FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.errors import ProblemError
from ufm.flow import State, Status, random_start, simulate
from ufm.flow.central import central_path
from ufm.flow.constrained import admitted, bound
from ufm.flow.coordinates import Mode, coordinates
from ufm.flow.state import checked
from ufm.losses import rescaled_mse
from ufm.metrics.split import split_classes
from ufm.optimum import solve
from ufm.problem import Problem, classes, gradient, objective, samples

ONE_HOT = classes(encodings.one_hot(3), [5, 4, 6])
LAM_B = [0.0, 0.3, math.inf]
RNG = np.random.default_rng(5)
H0, FIXED = RNG.standard_normal((4, 15)), RNG.standard_normal((3, 4))


def problem_of(**changes: Any) -> Problem:
    return Problem(**{"targets": ONE_HOT, "lam_W": 0.03, "lam_H": 0.02, "lam_b": 0.3, "width": 4, **changes})


def start_of(problem: Problem, seed: int = 0) -> State:
    state = random_start(problem, seed)
    b = np.random.default_rng(seed + 1).standard_normal(problem.m) if problem.has_bias else state.b
    return State(state.W, state.H, b)


def own(problem: Problem, b: Any) -> Any:
    return b if problem.has_bias else None


def slope_of(problem: Problem, state: State, mode: Mode = "full") -> tuple[State, float]:
    """dy/dt as a State, and the loss."""
    state = admitted(problem, checked(problem, state))
    at, y = coordinates(problem, state, mode, rotates=False)
    at = bound(problem, at, y)
    moving = at.field(y)
    b, W, Ht = at.field.unpack(moving)
    return State(tuple(W), Ht.T, b if at.field.m else np.zeros(problem.m)), at.field.loss(y)


# The right-hand side


@pytest.mark.parametrize("lam_b", LAM_B)
@pytest.mark.parametrize(
    "changes",
    [
        {"constraint": Near(H0, 0.7)},
        {"constraint": FixedClassifier(FIXED)},
        {"constraint": FixedClassifier(FIXED), "loss": "cross_entropy"},
        {"loss": rescaled_mse(3.0, 2.0)},
    ],
    ids=["near", "fixed", "fixed, entropy", "rescaled"],
)
def test_right_hand_side_is_minus_the_gradient(changes: dict[str, Any], lam_b: float) -> None:
    problem = problem_of(lam_b=lam_b, **changes)
    state = start_of(problem)
    slope, loss = slope_of(problem, state)
    G = gradient(problem, state.W, state.H, own(problem, state.b))
    fixed = isinstance(problem.constraint, FixedClassifier)
    np.testing.assert_allclose(slope.W[0], 0.0 if fixed else -G.W[0], atol=1e-15)
    np.testing.assert_allclose(slope.H, -G.H, atol=1e-15)
    np.testing.assert_allclose(slope.b, -G.b, atol=1e-15)
    expected = float(objective(problem, state.W, state.H, own(problem, state.b)))
    assert loss == pytest.approx(expected, rel=1e-14)


# Features near given ones


@pytest.mark.parametrize("lam_b", LAM_B)
def test_features_near_given_ones_end_at_the_known_response(lam_b: float) -> None:
    """At rest Hw = beta (W'W + (N lam_H + beta) I)^(-1) H0w (theory: section 7)."""
    problem = problem_of(lam_b=lam_b, constraint=Near(H0, 2.0))
    flow = simulate(problem, 0)
    assert flow.status is Status.STEADY
    labels, W = ONE_HOT.labels(), flow.state.W[0]
    order = split_classes(H0, labels)
    within, given = split_classes(flow.state.H, labels).within, order.within
    response = np.linalg.solve(W.T @ W + (15 * 0.02 + 2.0) * np.eye(4), 2.0 * given)
    np.testing.assert_allclose(within, response, atol=1e-7)
    found = float(flow.record()["value"])
    assert found >= solve(problem).lower_bound - 1e-9


def test_strong_ties_hold_the_features() -> None:
    problem = problem_of(constraint=Near(H0, 1e4))
    flow = simulate(problem, 0, rtol=1e-6, gtol=1e-6)
    assert np.abs(flow.state.H - H0).max() < 1e-3
    start = State(RNG.standard_normal((3, 4)), RNG.standard_normal((4, 3)))  # class means: every sample gets its own
    assert simulate(problem, start, t1=0.1).state.H.shape == (4, 15)


# A classifier that stays


@pytest.mark.parametrize("lam_b", LAM_B)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_fixed_classifier_ends_at_the_certified_optimum(loss: str, lam_b: float) -> None:
    problem = problem_of(lam_b=lam_b, loss=loss, constraint=FixedClassifier(FIXED), width=None)
    flow, optimum = simulate(problem, 0), solve(problem)
    assert flow.status is Status.STEADY
    np.testing.assert_array_equal(flow.state.W[0], FIXED)
    means = flow.state.class_means(problem)
    np.testing.assert_allclose(means, optimum.H, atol=1e-6)
    assert float(flow.record()["value"]) == pytest.approx(optimum.value, rel=1e-9)


@pytest.mark.parametrize("mode", ["samples", "S", "propagator"])
def test_a_fixed_classifier_reduces_exactly(mode: Mode) -> None:
    problem = problem_of(targets=classes(encodings.one_hot(3), 9), constraint=FixedClassifier(FIXED), lam_H=0.03)
    start = start_of(problem)
    kept = {"t1": 40.0, "rtol": 1e-13, "atol": 1e-15, "integrator": "dopri8"}
    full, reduced = (simulate(problem, start, mode=m, **kept).state for m in ("full", mode))  # pyright: ignore
    np.testing.assert_allclose(reduced.class_means(problem), full.class_means(problem), atol=1e-12)
    if mode != "S":
        np.testing.assert_allclose(reduced.H, full.H, atol=1e-12)
    with pytest.raises(ProblemError, match="one of the free gradient flow"):
        simulate(problem, start, mode="A")


def test_lsoda_sees_a_fixed_classifier_stand_still() -> None:
    problem = problem_of(constraint=FixedClassifier(FIXED))
    start = start_of(problem)
    ends = [simulate(problem, start, t1=30.0, rtol=1e-9, integrator=name).state for name in ("lsoda", "dopri8")]
    np.testing.assert_allclose(ends[0].H, ends[1].H, atol=1e-7)
    np.testing.assert_array_equal(ends[0].W[0], FIXED)


# The rescaled loss


@pytest.mark.parametrize("lam_b", LAM_B)
def test_the_rescaled_loss_flows_to_its_certified_optimum(lam_b: float) -> None:
    problem = problem_of(lam_b=lam_b, loss=rescaled_mse(2.0, 1.5), width=None)
    flow, optimum = simulate(problem, 0, save=5), solve(problem)
    assert flow.status is Status.STEADY
    assert float(flow.record()["value"]) == pytest.approx(optimum.value, rel=1e-9)
    assert flow.path is not None
    assert "nc1" in flow.path.record()


# Non-negative features


def residual(problem: Problem, state: State) -> float:
    """Of the Karush-Kuhn-Tucker conditions: by W and b, and by H where it may move."""
    G = gradient(problem, state.W, state.H, own(problem, state.b))
    allowed = np.where(state.H > 0, G.H, np.minimum(G.H, 0))
    return float(max(np.abs(allowed).max(), np.abs(G.b).max(), *(np.abs(W).max() for W in G.W)))


@pytest.mark.parametrize("lam_b", LAM_B)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_non_negative_features_stay_so_and_end_at_a_critical_point(loss: str, lam_b: float) -> None:
    problem = problem_of(lam_b=lam_b, loss=loss, constraint=NonNegative())
    flow = simulate(problem, 2, save=40)
    assert flow.status is Status.STEADY
    assert flow.path is not None
    states = [flow.path.state(i) for i in range(len(flow.path))]
    assert min(float(s.H.min()) for s in states) >= 0.0
    assert any(np.any(s.H == 0) for s in states)  # else nothing was tested
    losses = np.asarray(flow.path.record()["value"])
    assert np.all(np.diff(losses) <= 1e-12)
    assert residual(problem, flow.state) < 1e-9
    assert float(losses[-1]) >= solve(problem).lower_bound - 1e-10


@pytest.mark.parametrize(("layers", "loss"), [(2, "mse"), (3, "cross_entropy")])
def test_non_negative_features_under_several_layers(layers: int, loss: str) -> None:
    """Free, the flow leaves the cone; bound, it ends at a point of Karush, Kuhn and Tucker, its layers balanced."""
    problem = problem_of(lam_W=(0.01,) * layers, lam_H=0.01, loss=loss)
    bound = problem.replace(constraint=NonNegative())
    start = random_start(bound, 1, scale=1.5)
    assert simulate(problem, start, t1=20.0).state.H.min() < -1e-2
    flow = simulate(bound, start, save=30, rtol=1e-7)
    assert flow.status is Status.STEADY
    assert flow.path is not None
    assert min(float(flow.path.state(i).H.min()) for i in range(len(flow.path))) >= 0.0
    assert np.all(np.diff(np.asarray(flow.path.record()["value"])) <= 1e-12)
    assert residual(bound, flow.state) < 1e-9
    assert np.abs(flow.state.W[0]).max() > 0.1  # not the saddle at zero
    for above, below in itertools.pairwise(flow.state.W):
        np.testing.assert_allclose(above.T @ above, below @ below.T, atol=1e-7)


def projected_by_projection(problem: Problem, start: State, t: float, steps: int) -> State:
    W, H, b, h = start.W, start.H, np.asarray(start.b), t / steps
    for _ in range(steps):
        G = gradient(problem, W, H, own(problem, b))
        W = tuple(layer - h * slope for layer, slope in zip(W, G.W, strict=True))
        H, b = np.maximum(H - h * G.H, 0), b - h * G.b
    return State(W, H, b)


def test_deep_switches_cost_no_accuracy() -> None:
    """The trajectory under two layers is that of projected descents with vanishing steps."""
    problem = problem_of(lam_W=(0.03, 0.02), constraint=NonNegative())
    start = random_start(problem, 6, scale=2.0)
    coarse, fine = (projected_by_projection(problem, start, 6.0, steps) for steps in (1500, 3000))
    flow = simulate(problem, start, t1=6.0).state
    gap = np.abs(fine.H - coarse.H).max()
    assert ((start.H > 0) & (fine.H == 0)).sum() >= 2
    assert ((start.H == 0) & (fine.H > 0)).sum() >= 3
    assert np.abs(2 * fine.H - coarse.H - flow.H).max() < 0.05 * gap
    assert np.abs(2 * fine.W[1] - coarse.W[1] - flow.W[1]).max() < 0.05 * gap


def test_non_negative_entropy_reaches_the_formula() -> None:
    """dang2024's orthogonal features are where the flow ends from most starts: here from one."""
    problem = problem_of(targets=classes(encodings.one_hot(3), 5), lam_b=math.inf, loss="cross_entropy", lam_H=0.03)
    problem = problem.replace(constraint=NonNegative())
    flow, optimum = simulate(problem, 1), solve(problem)
    assert float(flow.record()["value"]) == pytest.approx(optimum.value, rel=1e-10)
    np.testing.assert_allclose(np.linalg.norm(flow.state.H, axis=0), np.linalg.norm(optimum.H, axis=0)[0], rtol=1e-6)


def projected_reference(problem: Problem, start: State, t: float) -> np.ndarray:
    """H(t) by projected descents of three short steps, extrapolated: shares no line with the projected steps."""

    def descent(steps: int) -> np.ndarray:
        W, H, b, h = start.W[0], start.H, np.asarray(start.b), t / steps
        for _ in range(steps):
            G = gradient(problem, W, H, own(problem, b))
            W, H, b = W - h * G.W[0], np.maximum(H - h * G.H, 0), b - h * G.b
        return H

    coarse, middle, fine = (descent(n) for n in (2000, 4000, 8000))
    first, second = 2 * middle - coarse, 2 * fine - middle
    return (4 * second - first) / 3


@pytest.mark.parametrize("integrator", ["auto", "tsit5", "dopri8", "kencarp5", "rkc2"])
def test_switches_cost_no_accuracy(integrator: str) -> None:
    """Entries arrive at zero, and leave it: the trajectory is that of projected descents with vanishing steps."""
    problem = problem_of(constraint=NonNegative())
    start = random_start(problem, 6, scale=2.0)
    reference = _reference()
    errors = [
        np.abs(simulate(problem, start, t1=10.0, rtol=rtol, integrator=integrator).state.H - reference).max()
        for rtol in (1e-4, 1e-8)
    ]
    assert errors[0] < 2e-3
    assert errors[1] < 5e-7


def _reference() -> np.ndarray:
    problem = problem_of(constraint=NonNegative())
    if not _KEPT:
        start = random_start(problem, 6, scale=2.0)
        _KEPT.append(projected_reference(problem, start, 10.0))
        arrived, left = (start.H > 0) & (_KEPT[0] == 0), (start.H == 0) & (_KEPT[0] > 0)
        assert arrived.sum() >= 3
        assert left.sum() >= 3
    return _KEPT[0]


_KEPT: list[np.ndarray] = []


def test_error_falls_with_the_tolerance() -> None:
    problem = problem_of(constraint=NonNegative())
    start = random_start(problem, 6, scale=2.0)
    ends = [simulate(problem, start, t1=10.0, rtol=rtol).state.H for rtol in (1e-5, 1e-7, 1e-9, 1e-12)]
    errors = [float(np.abs(H - ends[-1]).max()) for H in ends[:-1]]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-7


def test_non_negative_class_means_stay_class_means() -> None:
    problem = problem_of(constraint=NonNegative())
    start = random_start(problem, 0, collapsed=True)
    collapsed = simulate(problem, start, t1=20.0, rtol=1e-10)
    labels = ONE_HOT.labels()
    full = simulate(problem, State(start.W, start.H[:, labels], start.b), t1=20.0, rtol=1e-10)
    np.testing.assert_allclose(collapsed.state.H[:, labels], full.state.H, atol=1e-8)


# The central path


@pytest.mark.parametrize("lam_b", LAM_B)
@pytest.mark.parametrize("mode", ["full", "samples", "S", "propagator", "collapsed"])
def test_the_central_path_is_steepest_descent_at_the_best_classifier(mode: Mode, lam_b: float) -> None:
    problem = problem_of(targets=classes(encodings.one_hot(3), [9, 8, 7]), lam_b=lam_b)
    state = checked(problem, random_start(problem, 1, collapsed=mode == "collapsed"))
    at, y = coordinates(problem, state, mode, law=False)
    at, y = central_path(problem, at, y)
    full = at.state(y, 0.0)
    H = state.H if mode != "collapsed" else state.H[:, problem.classes.labels()]
    G = gradient(problem, full.W, H, own(problem, full.b))
    assert np.abs(G.W[0]).max() < 1e-14
    assert np.abs(G.b).max() < 1e-14
    assert at.field.gradient_norm(y, at.field(y), 0.0) == pytest.approx(np.linalg.norm(G.H), rel=1e-12)
    value = float(objective(problem, full.W, H, own(problem, full.b)))
    assert at.field.loss(y) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("lam_b", LAM_B)
def test_the_central_path_in_all_coordinates(lam_b: float) -> None:
    problem = problem_of(targets=classes(encodings.one_hot(3), 9), lam_b=lam_b)
    start = random_start(problem, 1)
    ends = {}
    for mode in ("full", "samples", "S", "propagator"):
        flow = simulate(problem, start, t1=50.0, rtol=1e-13, atol=1e-15, path="central", mode=mode, integrator="dopri8")
        ends[mode] = flow.state
        assert flow.provenance["path"] == "central"
    for mode, state in ends.items():
        np.testing.assert_allclose(state.W[0], ends["full"].W[0], atol=1e-11)
        np.testing.assert_allclose(state.b, ends["full"].b, atol=1e-11)
        np.testing.assert_allclose(state.class_means(problem), ends["full"].class_means(problem), atol=1e-11)
        if mode != "S":
            np.testing.assert_allclose(state.H, ends["full"].H, atol=1e-11)


def test_what_tirer2023_says_of_the_central_path() -> None:
    """Thm 3.1: NC1~ and e^(2 lam_H t) tr Sigma_W fall, e^(2 lam_H t) tr Sigma_B rises; in t of dH/dt = -dL/dH."""
    problem = problem_of(targets=classes(encodings.one_hot(3), 9), lam_b=math.inf)
    flow = simulate(problem, 0, path="central", save=60, rtol=1e-12, gtol=1e-10)
    assert flow.status is Status.STEADY
    assert flow.path is not None
    record, splits = flow.path.record(), []
    for i in range(len(flow.path)):
        split = split_classes(flow.path.state(i).H, problem.classes.labels())
        splits.append((np.sum(split.within**2), np.sum(split.deviations**2 @ split.counts)))
    growth = np.exp(2 * 0.02 * flow.path.t)
    early = flow.path.t < 300  # beyond, tr Sigma_W is round-off
    within, between = np.transpose(splits)[:, early]
    assert np.all(np.diff(np.asarray(record["nc1_ratio"])[early]) < 0)
    falls = growth[early] * within  # late it is constant: what lies outside the row space of W only decays
    assert np.all(np.diff(falls) < 1e-9 * falls[0])
    assert falls[-1] < 0.9 * falls[0]
    assert np.all(np.diff(growth[early] * between) > 0)
    assert float(flow.record()["value"]) == pytest.approx(solve(problem).value, rel=1e-9)


# Refusals

GOOD = problem_of()


@pytest.mark.parametrize(
    ("changes", "start", "options", "text"),
    [
        ({"loss": "cross_entropy", "lam_b": math.inf, "constraint": HardMargin()}, 0, {}, "constraint = 'HardMargin'"),
        ({"loss": "cross_entropy", "lam_b": math.inf, "constraint": NormBudget(1, 1)}, 0, {}, "budgets replace"),
        ({"constraint": NonNegative()}, random_start(GOOD, 0), {}, r"give maximum\(H, 0\)"),
        ({"constraint": FixedClassifier(FIXED)}, random_start(GOOD, 0), {}, "start from that"),
        ({"constraint": Near(RNG.standard_normal((5, 15)), 1), "width": None}, random_start(GOOD, 0), {}, "start.H"),
        ({"constraint": NonNegative()}, 0, {"mode": "samples"}, "binds every sample"),
        ({"constraint": NonNegative()}, 0, {"integrator": "lsoda"}, "keep no feature above zero"),
        ({"constraint": NonNegative()}, 0, {"path": "central"}, "path = 'central'"),
        ({"loss": "cross_entropy"}, 0, {"path": "central"}, "path = 'central'"),
        ({"lam_W": (0.1, 0.1)}, 0, {"path": "central"}, "p = 3"),
        ({"lam_W": 0.0}, 0, {"path": "central"}, "lam_W = 0: "),
        ({}, 0, {"path": "shortest"}, "path = 'shortest'"),
        ({}, 0, {"path": "central", "mode": "A"}, "mode = 'A'"),
        ({"loss": rescaled_mse(2, 1)}, 0, {"integrator": "kencarp5"}, "needs the squared loss"),
    ],
)
def test_what_cannot_flow_says_why(changes: dict[str, Any], start: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError, match=text):
        simulate(problem_of(**changes), start, **options)


def test_a_covariance_says_too_little_of_bound_samples() -> None:
    large = random_start(problem_of(targets=classes(encodings.one_hot(3), 50)), 0, samples=False)
    problem = problem_of(targets=classes(encodings.one_hot(3), 50), constraint=NonNegative())
    with pytest.raises(ProblemError, match="give all of H"):
        simulate(problem, large)
    with pytest.raises(ProblemError, match="moves every sample by itself"):
        random_start(problem, 0, samples=False)


def test_deep_and_regression_flow_under_every_loss_they_have() -> None:
    Y = RNG.standard_normal((2, 30))
    problem = Problem(targets=samples(Y), lam_W=(0.02, 0.02), lam_H=0.02, lam_b=0.1, width=3)
    assert simulate(problem, 0).status is Status.STEADY
    deep = problem_of(lam_W=(0.01, 0.01, 0.01), loss="cross_entropy")
    assert simulate(deep, 0, t1=5.0).status is Status.UNSETTLED
