"""How runs end, what bad input says, and what a record of a flow carries."""

from pathlib import Path

import numpy as np
import pytest

from ufm import encodings
from ufm.errors import ProblemError, UfmError
from ufm.flow import Flow, Progress, State, Status, random_start, simulate
from ufm.problem import Problem, classes, samples
from ufm.record import load

PROBLEM = Problem(targets=classes(encodings.one_hot(3), 5), lam_W=0.03, lam_H=0.03, lam_b=0.3, width=4)


def end(**changes: object) -> Flow:
    return simulate(PROBLEM, 1, **changes)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_statuses() -> None:
    assert end().status is Status.STEADY
    assert end(t1=5.0).status is Status.UNSETTLED
    assert end(t1=5e3).status is Status.STEADY
    assert end(max_steps=3).status is Status.MAX_STEPS
    huge = State(np.full((3, 4), 1e200), np.full((4, 15), 1e200))
    assert simulate(PROBLEM, huge).status is Status.DIVERGED
    late = State(np.full((3, 4), 1e154), np.full((4, 15), -1e154), np.zeros(3))
    flow = simulate(PROBLEM, late)
    assert flow.status is Status.DIVERGED
    assert np.all(np.isfinite(flow.state.H))


def test_a_status_is_its_advice_and_throw_raises_it() -> None:
    assert "raise t1" in str(Status.UNSETTLED)
    with pytest.raises(UfmError, match="raise t1"):
        end(t1=5.0, throw=True)
    end(throw=True)


def test_starting_at_rest_ends_at_once() -> None:
    limit = end(gtol=1e-11, rtol=1e-10)
    again = simulate(PROBLEM, limit.state, gtol=1e-9)
    assert (again.status, again.steps) == (Status.STEADY, 0) or again.t < limit.t
    zero = State(np.zeros((3, 4)), np.zeros((4, 15)))
    saddle = simulate(PROBLEM.replace(lam_b=np.inf), zero)
    assert (saddle.status, saddle.steps, saddle.gradient_norm) == (Status.STEADY, 0, 0.0)


def test_a_limit_at_zero_is_reached() -> None:
    """Regularised beyond the threshold everything decays to zero: a relative norm alone would never stop."""
    flow = simulate(PROBLEM.replace(lam_W=0.5, lam_H=0.5, lam_b=np.inf), 0)
    assert flow.status is Status.STEADY
    assert np.abs(flow.state.product).max() < 1e-8


def test_estimated_distance_is_honest() -> None:
    """The state is within a factor of the distance that gradient and measured rate promise."""
    limit = simulate(PROBLEM, 1, rtol=1e-10, gtol=1e-11)
    for gtol in (1e-5, 1e-7):
        flow = simulate(PROBLEM, 1, rtol=1e-10, gtol=gtol)
        assert flow.distance is not None
        error = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(parts(flow), parts(limit), strict=True)))
        assert error < 2 * flow.distance
        assert flow.distance < 1.01 * gtol * np.sqrt(sum(np.sum(a**2) for a in parts(flow)))


def parts(flow: Flow) -> list[np.ndarray]:
    return [flow.state.W[0], flow.state.H, np.asarray(flow.state.b)]


def test_progress_is_told_and_grows() -> None:
    heard: list[Progress] = []
    flow = end(progress=heard.append)
    assert len(heard) >= 3
    assert 0 <= heard[0].fraction < 0.5 < heard[-1].fraction <= 1
    assert heard[-1].steps <= flow.steps
    heard.clear()
    end(progress=heard.append, t1=50.0)
    assert [p.fraction for p in heard] == [p.t / 50.0 for p in heard]


def test_saved_paths() -> None:
    path = end(save=20).path
    assert path is not None
    assert 8 <= len(path) <= 20
    assert path.t[0] == 0
    assert path.t[-1] == end(save=20).t
    spacing = np.diff(np.log(path.t[1:-1]))
    np.testing.assert_allclose(spacing, spacing[0])
    times = [0.5, 3.0, 7.0]
    path = end(save=times).path
    assert path is not None
    np.testing.assert_array_equal(path.t, times)
    exact = simulate(PROBLEM, 1, t1=3.0, rtol=1e-11).state
    np.testing.assert_allclose(path.state(1).H, exact.H, atol=1e-6)
    assert end().path is None


def test_record_round_trip(tmp_path: Path) -> None:
    flow = end(save=5)
    record = flow.record()
    assert (record.witness, record.seed, record.problem) == ("flow", 1, PROBLEM)
    assert record.provenance["status"] == "STEADY"
    assert record.provenance["integrator"] == "kencarp4"
    assert {"value", "gradient_norm", "cosine", "singular_values", "nc1", "nc1_ratio", "t"} <= set(record.values)
    assert float(record["gradient_norm"]) == pytest.approx(flow.gradient_norm)
    assert flow.path is not None
    for each in (record, flow.path.record()):
        back = load(each.save(tmp_path / "flow.nc"))
        np.testing.assert_array_equal(back["singular_values"], each["singular_values"])
        assert back.provenance["steps"] == flow.steps


def test_a_seed_says_it_again() -> None:
    np.testing.assert_array_equal(end().state.H, end().state.H)
    assert simulate(PROBLEM, np.int64(1)).seed == 1  # pyright: ignore[reportArgumentType]
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(simulate(PROBLEM, rng).state.H, end().state.H)
    start = random_start(PROBLEM, 0, scale=2.0)
    np.testing.assert_allclose(start.H, 2 * random_start(PROBLEM, 0).H)
    assert random_start(PROBLEM.replace(width=None), 0).H.shape == (6, 15)


def test_regression_flows() -> None:
    Y = np.random.default_rng(0).standard_normal((2, 40))
    problem = Problem(targets=samples(Y), lam_W=0.05, lam_H=0.01, lam_b=0.1, width=3)
    flow = simulate(problem, 0)
    assert flow.status is Status.STEADY
    assert flow.provenance["mode"].startswith("samples")
    hbar, ybar, W = flow.state.H.mean(axis=1), Y.mean(axis=1), flow.state.W[0]
    np.testing.assert_allclose(flow.state.b, (ybar - W @ hbar) / 1.1, atol=1e-8)


GOOD = random_start(PROBLEM, 0)
NAN = GOOD.H.copy()
NAN[1, 2] = np.nan


@pytest.mark.parametrize(
    ("start", "options", "text"),
    [
        (State(GOOD.W, NAN), {}, "start.H = 'NaN or inf'"),
        (State((np.full((3, 4), np.inf),), GOOD.H), {}, "start.W = 'NaN or inf'"),
        (State(GOOD.W, GOOD.H[:, :7]), {}, "N = 15 or K = 3 columns"),
        (State(GOOD.W, GOOD.H[:2]), {}, r"start.H = \(2, 15\)"),
        (State((*GOOD.W, *GOOD.W), GOOD.H), {}, "start.W = '2 layers'"),
        (State(np.zeros((3, 6)), np.zeros((6, 15))), {}, "the problem's width is 4"),
        (State(GOOD.W, GOOD.H, np.zeros(2)), {}, "start.b"),
        (State(GOOD.W, "H"), {}, "give arrays of numbers"),
        (-1, {}, "start = -1"),
        (1.5, {}, "start = 1.5"),
        (0, {"t1": 0}, "t1 = 0: give a positive finite time"),
        (0, {"t1": -2.0}, "t1"),
        (0, {"t1": float("nan")}, "t1"),
        (0, {"rtol": 1e-17}, "rtol = 1e-17: give a number from 1e-14"),
        (0, {"gtol": 0.0}, "gtol"),
        (0, {"rtol": "tight"}, "rtol"),
        (0, {"atol": -1.0}, "atol"),
        (0, {"integrator": "rk4"}, "integrator = 'rk4'"),
        (0, {"mode": "fast"}, "mode = 'fast'"),
        (0, {"max_steps": 0}, "max_steps"),
        (0, {"save": 1}, "save = 1: give at least"),
        (0, {"save": [2.0, 1.0]}, "increasing"),
        (0, {"save": [1.0, 9.0], "t1": 5.0}, "between 0 and t1"),
        (0, {"save": "often"}, "save = 'often'"),
        (0, {"backend": "jax"}, "backend = 'jax'"),
    ],
)
def test_bad_input_names_field_value_and_fix(start: object, options: dict[str, object], text: str) -> None:
    with pytest.raises(UfmError, match=text):
        simulate(PROBLEM, start, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_problems_that_cannot_flow() -> None:
    import sympy as sp

    with pytest.raises(ProblemError, match="free symbols"):
        simulate(PROBLEM.replace(lam_b=sp.Symbol("lam_b", positive=True)))
    with pytest.raises(ProblemError, match="implicit part needs the squared loss"):
        simulate(PROBLEM.replace(loss="cross_entropy"), integrator="kencarp4")
    with pytest.raises(ProblemError, match="lam_b = inf means no bias"):
        simulate(PROBLEM.replace(lam_b=np.inf), State(GOOD.W, GOOD.H, np.ones(3)))
