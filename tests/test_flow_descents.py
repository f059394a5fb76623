"""Discrete descents: the same steps in every exact coordinate, torch's conventions, and how bad step lengths end."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.constraints import FixedClassifier, NonNegative
from ufm.errors import ProblemError, UfmError
from ufm.flow import State, Status, random_start, simulate
from ufm.flow.coordinates import Mode
from ufm.flow.integrators import Adam, Descent, descents, integrator
from ufm.problem import Problem, classes, gradient, samples

PROBLEM = Problem(targets=classes(encodings.one_hot(3), 9), lam_W=0.03, lam_H=0.02, lam_b=0.3, width=5)


def start_of(problem: Problem, seed: int = 0) -> State:
    state = random_start(problem, seed, samples=True)
    b = np.random.default_rng(seed).standard_normal(problem.m) if problem.has_bias else state.b
    return State(state.W, state.H, b)


def plain(problem: Problem, state: State, lr: float, steps: int) -> State:
    """Gradient descent on all samples, written down."""
    W, H, b = [np.asarray(w) for w in state.W], np.asarray(state.H), np.asarray(state.b)
    for _ in range(steps):
        G = gradient(problem, W, H, b if problem.has_bias else None)
        W, H, b = [w - lr * g for w, g in zip(W, G.W, strict=True)], H - lr * G.H, b - lr * G.b
    return State(tuple(W), H, b)


def by_covariance(problem: Problem, state: State) -> State:
    means = state.class_means(problem)
    within = state.H - np.repeat(means, problem.classes.counts, axis=1)
    return State(state.W, means, state.b, within @ within.T / problem.N)


def distance(a: State, b: State) -> float:
    pairs = [*zip(a.W, b.W, strict=True), (a.H, b.H), (a.b, b.b)]
    pairs += [] if a.S is None or b.S is None else [(a.S, b.S)]
    return max(float(np.abs(x - y).max()) for x, y in pairs) / max(float(np.abs(y).max()) for _, y in pairs)


@given(
    counts=st.lists(st.integers(2, 9), min_size=2, max_size=4),
    d=st.integers(1, 8),
    lam=st.lists(st.floats(0, 0.3), min_size=2, max_size=4),
    lam_b=st.one_of(st.just(np.inf), st.floats(0, 2)),
    lr=st.floats(0.01, 0.3),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_one_step_in_every_coordinate(
    counts: list[int], d: int, lam: list[float], lam_b: float, lr: float, seed: int
) -> None:
    """Any codes, sizes, weights and depth: S <- (1 - lr G) S (1 - lr G) and its propagator are exact."""
    codes = np.random.default_rng(seed).standard_normal((2, len(counts)))
    problem = Problem(classes(codes, counts), lam_W=tuple(lam[1:]), lam_H=lam[0], lam_b=lam_b, width=d)
    start = start_of(problem, seed)
    expected = plain(problem, start, lr, 1)
    modes: tuple[Mode, ...] = ("full", "S", "propagator", "samples")
    for mode in modes[: 4 if d + 3 < problem.N else 3]:
        end = simulate(problem, start, t1=lr, integrator="gradient_descent", lr=lr, mode=mode).state
        assert distance(end, by_covariance(problem, expected) if mode == "S" else expected) < 1e-13


@pytest.mark.parametrize("mode", ["full", "samples", "S", "propagator"])
def test_a_thousand_steps(mode: Mode) -> None:
    start = start_of(PROBLEM)
    expected = plain(PROBLEM, start, 0.5, 1000)
    flow = simulate(PROBLEM, start, t1=500.0, integrator="gradient_descent", lr=0.5, mode=mode)
    assert (flow.steps, flow.t, flow.rejected) == (1000, 500.0, 0)
    assert distance(flow.state, by_covariance(PROBLEM, expected) if mode == "S" else expected) < 1e-12


def test_class_means_and_regression_descend_too() -> None:
    start = random_start(PROBLEM, 0, collapsed=True)
    labels = PROBLEM.classes.labels()
    expected = plain(PROBLEM, State(start.W, start.H[:, labels], start.b), 0.5, 50)
    end = simulate(PROBLEM, start, t1=25.0, integrator="gradient_descent", lr=0.5).state
    np.testing.assert_allclose(end.H[:, labels], expected.H, atol=1e-13)
    Y = np.random.default_rng(0).standard_normal((2, 30))
    problem = Problem(samples(Y), lam_W=0.05, lam_H=0.01, lam_b=0.1, width=3)
    start = start_of(problem)
    end = simulate(problem, start, t1=15.0, integrator="gradient_descent", lr=0.3, mode="samples").state
    assert distance(end, plain(problem, start, 0.3, 50)) < 1e-13


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize(
    ("name", "options", "torch_name", "torch_options"),
    [
        ("momentum", {"momentum": 0.8}, "SGD", {"momentum": 0.8}),
        ("nesterov", {}, "SGD", {"momentum": 0.9, "nesterov": True}),
        ("adam", {}, "Adam", {}),
        ("adamw", {}, "AdamW", {}),
    ],
)
def test_steps_are_those_of_torch(
    name: str, options: dict[str, Any], torch_name: str, torch_options: dict[str, Any], loss: str
) -> None:
    """Penalties are torch's weight_decay, coupled in all but AdamW."""
    torch = pytest.importorskip("torch")
    problem, start, lr = PROBLEM.replace(loss=loss), start_of(PROBLEM), 0.05
    free = problem.replace(lam_W=0.0, lam_H=0.0, lam_b=0.0)
    parts = [torch.tensor(x, requires_grad=True) for x in (start.W[0], start.H, start.b)]
    groups = [{"params": [p], "weight_decay": lam} for p, lam in zip(parts, (0.03, 0.02, problem.lam_b), strict=True)]
    optimiser = getattr(torch.optim, torch_name)(groups, lr=lr, **torch_options)
    for _ in range(150):
        W, H, b = (p.detach().numpy() for p in parts)
        G = gradient(free, W, H, b)
        for p, g in zip(parts, (G.W[0], G.H, G.b), strict=True):
            p.grad = torch.tensor(g)
        optimiser.step()
    flow = simulate(problem, start, t1=150 * lr, integrator=name, lr=lr, **options)
    expected = State(*(p.detach().numpy() for p in parts))
    assert flow.steps == 150
    assert distance(flow.state, expected) < 1e-12


def test_short_steps_follow_the_flow() -> None:
    """Gradient descent is Euler's method: half the step, half the error."""
    start = start_of(PROBLEM)
    exact = simulate(PROBLEM, start, t1=8.0, rtol=1e-11).state
    errors = [
        distance(simulate(PROBLEM, start, t1=8.0, integrator="gradient_descent", lr=lr).state, exact)
        for lr in (0.02, 0.01, 0.005)
    ]
    assert 1.8 < errors[0] / errors[1] < 2.2
    assert 1.8 < errors[1] / errors[2] < 2.2


@pytest.mark.parametrize("name", ["gradient_descent", "momentum", "nesterov", "adam"])
def test_all_come_to_rest_where_the_flow_does(name: str) -> None:
    limit = simulate(PROBLEM, 0, mode="full")
    flow = simulate(PROBLEM, 0, integrator=name, lr=0.02 if name == "adam" else 0.5, gtol=1e-7)
    assert flow.status is Status.STEADY
    assert float(flow.record()["value"]) == pytest.approx(float(limit.record()["value"]), rel=1e-9)
    assert flow.provenance["lr"] in (0.02, 0.5)


def test_decoupled_decay_ends_elsewhere() -> None:
    """AdamW solves no penalised problem: where its steps are normalised, decay is not."""
    ends = [simulate(PROBLEM, 0, t1=60.0, integrator=name, lr=0.01).record() for name in ("adam", "adamw")]
    assert abs(float(ends[0]["value"]) - float(ends[1]["value"])) > 1e-3


def test_constraints_hold_on_the_way() -> None:
    problem = PROBLEM.replace(constraint=NonNegative())
    flow = simulate(problem, 1, integrator="gradient_descent", lr=0.5, save=30)
    assert flow.status is Status.STEADY
    assert flow.path is not None
    assert min(float(flow.path.state(i).H.min()) for i in range(len(flow.path))) >= 0
    assert np.any(flow.state.H == 0)
    fixed = PROBLEM.replace(constraint=FixedClassifier(np.eye(3, 5)))
    for name in descents():
        flow = simulate(fixed, 1, t1=2.0, integrator=name, lr=0.1)
        np.testing.assert_array_equal(flow.state.W[0], np.eye(3, 5))


def test_the_central_path_descends() -> None:
    problem = PROBLEM.replace(lam_b=np.inf)
    flow = simulate(problem, 0, integrator="gradient_descent", lr=1.0, path="central")
    assert flow.status is Status.STEADY
    assert float(flow.record()["value"]) == pytest.approx(float(simulate(problem, 0).record()["value"]), rel=1e-9)


# Times


def test_times_are_multiples_of_the_step() -> None:
    flow = simulate(PROBLEM, 0, t1=10.1, integrator="gradient_descent", lr=0.5, save=[0.0, 0.7, 0.8, 3.0, 10.0])
    assert flow.t == 10.0
    assert flow.path is not None
    np.testing.assert_array_equal(flow.path.t, [0.0, 0.5, 1.0, 3.0, 10.0])
    again = simulate(PROBLEM, 0, t1=3.0, integrator="gradient_descent", lr=0.5)
    np.testing.assert_array_equal(flow.path.state(3).H, again.state.H)
    many = simulate(PROBLEM, 0, integrator="gradient_descent", lr=0.5, save=20).path
    assert many is not None
    assert many.t[0] == 0
    assert 8 <= len(many) <= 20
    np.testing.assert_array_equal(many.t, np.round(many.t / 0.5) * 0.5)


def test_progress_is_told() -> None:
    heard: list[float] = []
    simulate(PROBLEM, 0, integrator="momentum", lr=0.5, progress=lambda p: heard.append(p.fraction))
    assert 0 <= heard[0] < 0.5 < heard[-1] <= 1


# Bad step lengths


def test_diverging_descent_says_so_and_keeps_what_it_has() -> None:
    flow = simulate(PROBLEM, 1, integrator="gradient_descent", lr=30.0, save=30)
    assert flow.status is Status.OVERSHOT
    assert flow.steps > 0
    assert "lower lr" in str(flow.status)
    assert np.all(np.isfinite(flow.state.H))
    assert flow.path is not None
    assert all(np.all(np.isfinite(flow.path.state(i).H)) for i in range(len(flow.path)))
    assert np.isfinite(float(flow.record()["value"]))
    with pytest.raises(UfmError, match="lower lr"):
        simulate(PROBLEM, 1, integrator="gradient_descent", lr=30.0, throw=True)


def test_a_step_beyond_the_limit_that_stays_finite_is_named_too() -> None:
    """Under cross-entropy the slope is bounded: too long a step does not diverge, it never settles."""
    problem = PROBLEM.replace(loss="cross_entropy", lam_b=3.0)
    flow = simulate(problem, 1, integrator="gradient_descent", lr=0.7, max_steps=2000)
    assert flow.status is Status.OVERSHOT
    assert simulate(problem, 1, integrator="gradient_descent", lr=0.3, gtol=1e-5).status is Status.STEADY
    assert simulate(problem, 1, integrator="gradient_descent", lr=0.3, max_steps=20).status is Status.MAX_STEPS


def test_a_start_too_large_for_any_number() -> None:
    huge = State(np.full((3, 5), 1e200), np.full((5, 27), 1e200))
    assert simulate(PROBLEM, huge, integrator="gradient_descent", lr=0.1).status is Status.DIVERGED


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"integrator": "gradient_descent"}, r"lr = None: give the length of a step, below 1\.\d+ = 2 / the fastest"),
        ({"integrator": "adam"}, "lr = None: give the length of a step, > 0"),
        ({"integrator": "gradient_descent", "lr": 0.0}, "lr = 0.0: give a finite number > 0"),
        ({"integrator": "gradient_descent", "lr": float("nan")}, "lr = nan"),
        ({"integrator": "gradient_descent", "lr": "small"}, "lr = 'small'"),
        ({"integrator": "momentum", "lr": 0.1, "momentum": 1.0}, r"momentum = 1.0: give a number in \[0, 1\)"),
        ({"integrator": "adam", "lr": 0.1, "momentum": 0.5}, "adam has betas"),
        ({"integrator": "adam", "lr": 0.1, "mode": "samples"}, "scales every entry by itself"),
        ({"integrator": "momentum", "lr": 0.1, "mode": "S"}, "has a past of its own"),
        ({"integrator": "gradient_descent", "lr": 0.1, "mode": "A"}, "one of the free gradient flow"),
        ({"lr": 0.1}, "lr = 0.1: the flow has none; name a descent"),
        ({"integrator": "dopri8", "momentum": 0.1}, "momentum = 0.1: the flow has none"),
        ({"integrator": "gradient_decent", "lr": 0.1}, "did you mean 'gradient_descent'"),
    ],
)
def test_what_a_descent_cannot_be_says_why(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError, match=text):
        simulate(PROBLEM, 0, **options)


def test_a_covariance_says_too_little_for_adam() -> None:
    start = random_start(PROBLEM, 0, samples=False)
    with pytest.raises(ProblemError, match="every sample moves by itself"):
        simulate(PROBLEM, start, integrator="adam", lr=0.1)


def test_descents_are_data() -> None:
    assert descents() == ["adam", "adamw", "gradient_descent", "momentum", "nesterov"]
    method = integrator("adam")
    assert isinstance(method, Adam)
    given_whole = replace(method, lr=0.01, betas=(0.8, 0.99))
    flow = simulate(PROBLEM, 0, t1=0.5, integrator=given_whole)
    assert (flow.steps, flow.provenance["betas"]) == (50, (0.8, 0.99))
    assert isinstance(integrator("nesterov"), Descent)
