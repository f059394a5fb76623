"""Trajectories: against an independent integrator, between coordinates, along exact laws, and to their limits."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ufm import encodings
from ufm.flow import Flow, State, Status, balanced_start, random_start, simulate
from ufm.problem import Problem, classes, gradient
from ufm.tolerance import tolerance

ONE_HOT = classes(encodings.one_hot(3), [4, 6, 8])
CASES = {
    "bias": Problem(targets=ONE_HOT, lam_W=0.02, lam_H=0.02, lam_b=0.05, width=4),
    "no bias": Problem(targets=ONE_HOT, lam_W=0.01, lam_H=0.05, width=4),
    "free bias": Problem(targets=ONE_HOT, lam_W=0.05, lam_H=0.01, lam_b=0.0, width=4),
    "deep": Problem(targets=ONE_HOT, lam_W=(0.01, 0.02), lam_H=0.01, lam_b=0.1, width=4),
    "cross-entropy": Problem(targets=ONE_HOT, lam_W=0.01, lam_H=0.01, lam_b=0.1, width=4, loss="cross_entropy"),
}


def flat(state: State) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in (*state.W, state.H, state.b)])


def by_scipy(problem: Problem, start: State, t1: float) -> np.ndarray:
    """The full flow by DOP853 on the reference gradient; the flat end state."""
    parts = [*start.W, start.H, start.b]
    cuts = np.cumsum([part.size for part in parts])[:-1]

    def slope(_: float, y: np.ndarray) -> np.ndarray:
        *W, H, b = (piece.reshape(part.shape) for piece, part in zip(np.split(y, cuts), parts, strict=True))
        G = gradient(problem, tuple(W), H, b)
        return -np.concatenate([np.ravel(part) for part in (*G.W, G.H, G.b)])

    return solve_ivp(slope, (0, t1), flat(start), method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1]


def same_subspace_state(problem: Problem, flow: Flow) -> np.ndarray:
    """The flat state with a collapsed H spread over its samples."""
    state = flow.state
    if state.H.shape[1] == problem.N:
        return flat(state)
    return flat(State(state.W, np.repeat(state.H, problem.targets.multiplicity, axis=1), state.b))


@pytest.mark.parametrize("collapsed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_an_independent_integrator(case: str, collapsed: bool) -> None:
    problem = CASES[case]
    start = random_start(problem, 5, collapsed=collapsed)
    spread = np.repeat(start.H, problem.targets.multiplicity, axis=1) if collapsed else start.H
    expected = by_scipy(problem, State(start.W, spread, start.b), 8.0)
    flow = simulate(problem, start, t1=8.0, rtol=1e-13, atol=1e-15)
    assert flow.t == 8.0
    np.testing.assert_allclose(
        same_subspace_state(problem, flow), expected, atol=1e-12 * float(np.linalg.norm(expected))
    )


@pytest.mark.parametrize("integrator", ["tsit5", "dopri8", "kencarp4", "kencarp5", "rkc2", "lsoda"])
def test_every_integrator_keeps_its_tolerance(integrator: str) -> None:
    problem = CASES["bias"]
    start = random_start(problem, 5)
    expected = by_scipy(problem, start, 30.0)
    for rtol in (1e-5, 1e-8):
        flow = simulate(problem, start, t1=30.0, rtol=rtol, integrator=integrator)
        assert flow.provenance["integrator"] == integrator
        assert np.linalg.norm(flat(flow.state) - expected) < 20 * rtol * np.linalg.norm(expected)


@pytest.mark.parametrize("case", ["bias", "no bias", "deep"])
def test_reduced_and_full_flows_take_the_same_steps(case: str) -> None:
    problem = CASES[case]
    start = random_start(problem, 2)
    full, reduced = (simulate(problem, start, t1=60.0, mode=mode) for mode in ("full", "samples"))
    assert (full.steps, full.rejected) == (reduced.steps, reduced.rejected)
    assert reduced.provenance["mode"].startswith("samples")
    np.testing.assert_allclose(flat(reduced.state), flat(full.state), atol=1e-12)
    np.testing.assert_allclose(reduced.record()["nc1"], full.record()["nc1"], rtol=1e-9)


def test_a_wide_collapsed_start_moves_in_its_span_only() -> None:
    wide = CASES["bias"].replace(width=64)
    start = random_start(wide, 1, collapsed=True)
    flow = simulate(wide, start, t1=20.0, rtol=1e-12)
    assert flow.provenance["mode"] == f"collapsed+span, {3 + 6 * 6} unknowns"
    spread = State(start.W, np.repeat(start.H, ONE_HOT.counts, axis=1), start.b)
    full = simulate(wide, spread, t1=20.0, rtol=1e-12, mode="full")
    np.testing.assert_allclose(same_subspace_state(wide, flow), flat(full.state), atol=1e-12)


@pytest.mark.parametrize("case", ["bias", "cross-entropy"])
def test_difference_of_the_grams_decays_exactly(case: str) -> None:
    """lam_W = lam_H = l: W'W - HH' = e^(-2lt) D0 at all times, bias or not, any loss."""
    problem = CASES[case]
    flow = simulate(problem, 4, t1=40.0, rtol=1e-12, save=12)
    assert flow.path is not None
    states = [flow.path.state(i) for i in range(len(flow.path))]
    D = [s.W[0].T @ s.W[0] - s.H @ s.H.T for s in states]
    for t, later in zip(flow.path.t, D, strict=True):
        np.testing.assert_allclose(later, np.exp(-2 * problem.lam_W[0] * t) * D[0], atol=1e-9)


def test_loss_never_increases_along_a_path() -> None:
    for problem in CASES.values():
        flow = simulate(problem, 0, t1=200.0, save=40)
        assert flow.path is not None
        record = flow.path.record()
        assert record.values.sizes["t"] == 40
        assert np.all(np.diff(record["value"]) <= 1e-12)
        assert record["singular_values"].dims == ("t", "direction")


def balanced_problem(K: int, n: int, t_rel: float, ratio: float) -> Problem:
    """One-hot, lam_W = lam_H, at lam_b = ratio * lam_b*."""
    c = t_rel / (K * n**0.5)
    return Problem(targets=classes(encodings.one_hot(K), n), lam_W=c, lam_H=c, lam_b=ratio * t_rel / (1 - t_rel))


@pytest.mark.parametrize("collapsed", [False, True])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.9, 1.1, 2.0, np.inf])
@pytest.mark.parametrize(("K", "t_rel"), [(4, 0.1), (10, 0.5)])
def test_the_limit_of_balanced_one_hot(K: int, t_rel: float, ratio: float, collapsed: bool) -> None:
    """theory section 3: s = sqrt(n)(1 - t_rel), s_0 = s(1 - lam_b*/lam_b)_+, cosine (s_0 - s)/(s_0 + (K-1)s)."""
    problem, n = balanced_problem(K, 10, t_rel, ratio), 10
    flow = simulate(problem, random_start(problem, 1, collapsed=collapsed))
    s = n**0.5 * (1 - t_rel)
    s_0 = s * max(0.0, 1 - 1 / ratio) if ratio else 0.0
    expected = {
        "singular_values_centred": np.full(K - 1, s),
        "singular_value_mean": s_0,
        "cosine": (s_0 - s) / (s_0 + (K - 1) * s),
    }
    assert flow.status is Status.STEADY
    assert flow.provenance["integrator"] == ("tsit5" if np.isinf(ratio) else "kencarp4")
    record = flow.record()
    for name, value in expected.items():
        np.testing.assert_allclose(record[name], value, atol=3e-8, err_msg=name)
        assert np.all(tolerance("flow", name).allows(record[name].values, value))


@pytest.mark.parametrize(("K", "t_rel"), [(4, 0.5), (10, 0.3)])
def test_critical_slowing_down(K: int, t_rel: float) -> None:
    """At lam_b = lam_b* the mean mode decays algebraically, s_0 ~ N/(2 rho t): approached as 1/t, and said to."""
    problem = balanced_problem(K, 10, t_rel, 1.0)
    flow = simulate(problem, 1)
    assert flow.status is Status.ALGEBRAIC
    assert flow.distance is None
    times = np.array([2e4, 5e4, 1e5])
    path = simulate(problem, 1, t1=1e5, save=times).path
    assert path is not None
    record = path.record()
    np.testing.assert_array_equal(record.values["t"], times)
    ratios = record["singular_value_mean"].values * 2 * problem.rho * times / problem.N
    assert np.all(np.diff(np.abs(ratios - 1)) < 0)
    assert abs(ratios[-1] - 1) < 0.03
    # The next order is a shift of time, s_0 = N/(2 rho (t + const)): 1/s_0 grows at exactly the law's rate.
    growth = np.diff(1 / record["singular_value_mean"].values) / np.diff(times)
    np.testing.assert_allclose(growth, 2 * problem.rho / problem.N, rtol=2e-3)


def test_logistic_modes_of_an_aligned_balanced_start() -> None:
    """theory section 6: s(t) = s_inf/(1 + (s_inf/s(0) - 1)e^(-at)), s_inf = sigma - N l, a = 2 s_inf/N."""
    l, sigma = 0.05, np.sqrt(np.sort(ONE_HOT.counts)[::-1])
    problem = Problem(targets=ONE_HOT, lam_W=l, lam_H=l, width=5)
    path = simulate(problem, balanced_start(problem, 0, scale=0.1), t1=60.0, rtol=1e-12, save=20).path
    assert path is not None
    s_inf, s_start = sigma - 18 * l, 0.01
    expected = s_inf / (1 + (s_inf / s_start - 1) * np.exp(-2 * s_inf / 18 * path.t[:, None]))
    np.testing.assert_allclose(path.record()["singular_values"], expected, rtol=1e-9)
