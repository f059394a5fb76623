"""The optimum: against its own dual, an independent solver, the critical-point identities, and hard inputs."""

import math
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError
from ufm.losses import rescaled_mse
from ufm.optimum import OptimumStatus, solve
from ufm.optimum.squared.duality import best_dual_value, dual_value, primal_value
from ufm.optimum.squared.newton import solve_newton
from ufm.optimum.squared.shrinkage import ShrinkageProblem, solve_closed_form
from ufm.problem import Problem, classes, objective, reduce_problem, samples
from ufm.tolerance import roundoff, tolerance


def random_problem(seed, *, lam_b=None, largest=12, spread=3):
    """Any encoding, any imbalance, any weights: sizes from 1 to 10^spread, equal codes and sign codes among them."""
    rng = np.random.default_rng(seed)
    m, K = rng.integers(1, largest, 2)
    codes = rng.standard_normal((m, K)) * 10 ** rng.uniform(-1, 1)
    if seed % 5 == 0:
        codes[:, rng.integers(K)] = codes[:, 0]
    if seed % 7 == 0:
        codes = np.sign(codes)
    counts = np.maximum(1, 10 ** rng.uniform(0, spread, K)).astype(int)
    size = np.linalg.norm(codes * np.sqrt(counts / counts.sum()), 2)
    c, tilt = 10 ** rng.uniform(-5, 0.2) * size / math.sqrt(counts.sum()), 10 ** rng.uniform(-3, 3)
    if lam_b is None:
        lam_b = float(rng.choice([0.0, math.inf, 10 ** rng.uniform(-8, 4), 10 ** rng.uniform(-2, 2)]))
    return Problem(targets=classes(codes, counts), lam_W=c * tilt, lam_H=c / tilt, lam_b=lam_b)


def assert_certified(optimum):
    certificate = optimum.certificate
    assert optimum.status is OptimumStatus.CERTIFIED
    assert abs(optimum.gap) <= 1e-12 * max(1, optimum.value)  # the issue's own figure
    assert certificate.balance <= roundoff(1, 1000)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6))
def test_every_encoding_imbalance_and_bias_is_certified(seed):
    problem = random_problem(seed, spread=6)
    optimum = solve(problem)
    assert_certified(optimum)
    at_it = float(objective(problem, optimum.W, optimum.H, optimum.b if problem.has_bias else None))
    assert at_it == pytest.approx(optimum.value, rel=1e-10, abs=1e-13)
    assert optimum.certificate.work <= 12


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_both_invariants_hold_at_every_optimum(seed):
    problem = random_problem(seed)
    record = solve(problem).record()
    size = float(np.linalg.norm(problem.targets.columns))
    assert float(record["bias_invariant"]) <= tolerance("optimum", "bias_invariant").abs * size
    assert float(record["mean_invariant"]) <= tolerance("optimum", "mean_invariant").abs * size * max(1, problem.N)


@pytest.mark.parametrize("seed", range(24))
def test_cvxpy_agrees(seed):
    pytest.importorskip("cvxpy")
    problem = random_problem(seed, largest=6, spread=2, lam_b=[0.0, 0.05, 1.0, math.inf][seed % 4])
    ours, theirs = solve(problem), solve(problem, method="cvxpy")
    slack = 1e-6 * max(1, ours.value)  # the other solver's accuracy
    assert theirs.value == pytest.approx(ours.value, abs=slack)
    assert ours.value <= theirs.value + 1e-12 * max(1, ours.value)  # a feasible point is never below the minimum
    assert theirs.lower_bound <= ours.value + 1e-12 * max(1, ours.value)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_newton_finds_the_closed_form(K_seed, lam_b):
    rng = np.random.default_rng(K_seed)
    K, n, t = int(rng.integers(2, 12)), int(rng.integers(1, 50)), float(rng.uniform(0.01, 1.2))
    c = t / (K * math.sqrt(n))
    problem = Problem(targets=classes(encodings.one_hot(K), n), lam_W=c, lam_H=c, lam_b=lam_b)
    closed, newton = solve(problem, method="closed form"), solve(problem, method="newton")
    assert np.allclose(closed.singular_values, newton.singular_values, atol=1e-9 * math.sqrt(n))
    assert newton.value == pytest.approx(closed.value, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_sample_rotation_changes_neither_value_nor_optimum(seed):
    """Classes, the same data sample by sample, and a random order of the samples are one problem."""
    problem = random_problem(seed, largest=6, spread=1)
    one_by_one = problem.replace(targets=samples(problem.targets.matrix()))
    order = np.random.default_rng(seed).permutation(problem.N)
    shuffled = problem.replace(targets=samples(problem.targets.matrix()[:, order]))
    first, second, third = solve(problem), solve(one_by_one), solve(shuffled)
    scale = float(first.singular_values[0]) + 1e-300
    for other in (second, third):
        assert other.value == pytest.approx(first.value, rel=1e-11, abs=1e-14)
        shared = min(first.singular_values.size, other.singular_values.size)
        assert np.allclose(first.singular_values[:shared], other.singular_values[:shared], atol=1e-7 * scale)
    assert np.allclose(second.logits, first.logits[:, problem.classes.labels()], atol=1e-7 * np.abs(first.logits).max())


def test_equal_codes_share_one_feature():
    codes = [[1.0, 1.0, 0.0, -1.0], [0.0, 0.0, 2.0, 1.0]]
    optimum = solve(Problem(targets=classes(codes, [2, 7, 3, 4]), lam_W=0.02, lam_H=0.03, lam_b=0.4))
    assert_certified(optimum)
    assert np.allclose(optimum.H[:, 0], optimum.H[:, 1], atol=roundoff(10))
    assert float(optimum.record()["role_spread"]) <= roundoff(10)


def test_imbalanced_one_hot_without_bias_loses_small_classes():
    counts, c = [400, 100, 25, 4], 0.005
    optimum = solve(Problem(targets=classes(encodings.one_hot(4), counts), lam_W=c, lam_H=c))
    expected = np.maximum(0, np.sqrt(counts) - sum(counts) * c)
    assert np.allclose(optimum.singular_values, expected, atol=roundoff(20))
    assert np.allclose(np.linalg.norm(optimum.H, axis=0) ** 2, expected / counts, atol=roundoff(20))
    assert optimum.certificate.rank == 3


def test_regression_shrinks_the_centred_targets():
    rng = np.random.default_rng(4)
    Y = rng.standard_normal((3, 40)) * [[3.0], [1.0], [0.1]] + [[1.0], [2.0], [3.0]]
    optimum = solve(Problem(targets=samples(Y), lam_W=0.05, lam_H=0.05, lam_b=0))
    sigma = np.linalg.svd(Y - Y.mean(axis=1, keepdims=True), compute_uv=False)
    assert np.allclose(optimum.singular_values[:3], np.maximum(0, sigma - 40 * 0.05), atol=roundoff(100))
    assert np.allclose(optimum.b, Y.mean(axis=1), atol=roundoff(10))


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("lam_b", [0.0, 0.3, math.inf])
def test_narrow_widths_say_what_is_known(width, lam_b):
    rng = np.random.default_rng(5)
    problem = Problem(
        targets=classes(rng.standard_normal((5, 6)), [3, 1, 4, 1, 5, 9]), lam_W=0.01, lam_H=0.01, lam_b=lam_b
    )
    wide, narrow = solve(problem), solve(problem.replace(width=width))
    assert narrow.certificate.rank <= width < wide.certificate.rank
    assert narrow.W[0].shape == (5, width)
    assert wide.value < narrow.value
    expected = OptimumStatus.BEST_KNOWN if 0 < lam_b < math.inf else OptimumStatus.PROVED
    assert narrow.status is expected
    assert narrow.lower_bound <= narrow.value
    at_it = float(objective(problem.replace(width=width), narrow.W, narrow.H, narrow.b if problem.has_bias else None))
    assert at_it == pytest.approx(narrow.value, rel=1e-10)
    descents = [_descend(problem, width, seed) for seed in range(5)]
    assert min(descents) >= narrow.value - 1e-9  # no descent from a random start does better


def _descend(problem, width, seed):
    from scipy.optimize import minimize

    from ufm.problem import gradient

    rng = np.random.default_rng(seed)
    m, K = problem.m, problem.K

    def split(x):
        return x[: m * width].reshape(m, width), x[m * width : m * width + width * K].reshape(width, K), x[-m:]

    def fun(x):
        W, H, b = split(x)
        b = b if problem.has_bias else None
        slope = gradient(problem, W, H, b)
        return float(objective(problem, W, H, b)), np.concatenate([slope.W[0].ravel(), slope.H.ravel(), slope.b])

    start = rng.standard_normal(m * width + width * K + m)
    if not problem.has_bias:
        start[-m:] = 0
    return minimize(
        fun, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-10}
    ).fun


@pytest.mark.parametrize(("lam_W", "lam_H"), [(0.0, 0.1), (0.1, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("lam_b", [0.0, 0.5, math.inf])
def test_vanishing_weights_are_said_not_crashed(lam_W, lam_H, lam_b):
    problem = Problem(targets=classes(encodings.one_hot(3), [2, 3, 4]), lam_W=lam_W, lam_H=lam_H, lam_b=lam_b)
    optimum = solve(problem)
    assert optimum.value == pytest.approx(0, abs=roundoff())
    assert np.all(np.isfinite(optimum.W[0]))
    assert np.all(np.isfinite(optimum.H))
    assert (optimum.status is OptimumStatus.NOT_ATTAINED) == ((lam_W == 0) != (lam_H == 0))


def test_ties_and_extremes():
    for t in (1.0, 1e-8, 0.5):
        for ratio in (1.0, 1e-6, 1e6):
            K, n = 5, 10**6
            c, unit = t / (K * math.sqrt(n)), (t / (1 - t) if t < 1 else 1.0)
            problem = Problem(
                targets=classes(encodings.one_hot(K), n), lam_W=c * 1e4, lam_H=c / 1e4, lam_b=unit * ratio
            )
            assert_certified(solve(problem))
    assert_certified(solve(Problem(targets=classes([[0.0, 0.0]], 3), lam_W=1, lam_H=1, lam_b=1)))
    assert_certified(solve(Problem(targets=classes([[5.0]], 1), lam_W=0.1, lam_H=0.1, lam_b=1)))
    assert_certified(
        solve(Problem(targets=classes(encodings.one_hot(3), [1, 10**6, 10**3]), lam_W=1e-8, lam_H=1e-8, lam_b=1e-8))
    )
    assert_certified(
        solve(Problem(targets=classes(encodings.one_hot(3), [1, 10**6, 10**3]), lam_W=1e2, lam_H=1e2, lam_b=1e2))
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_dual_never_exceeds_the_primal(seed):
    """Weak duality at random points: a bound that could pass a wrong optimum would fail here."""
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, largest=6, spread=1)
    reduced = ShrinkageProblem.of(problem, reduce_problem(problem))
    bound, E = dual_value(reduced, 10 ** rng.uniform(-3, 1) * rng.standard_normal(reduced.A.shape))
    assert np.linalg.norm(E, 2) <= reduced.threshold * (1 + roundoff())
    assert bound <= solve(problem).value + roundoff(float(np.linalg.norm(reduced.A)) ** 2)


def test_a_spoilt_solution_is_caught_by_its_certificate():
    problem = random_problem(11, lam_b=0.3)
    reduced = ShrinkageProblem.of(problem, reduce_problem(problem))
    solution, _ = solve_newton(reduced)
    spoilt = replace(solution, b=solution.b * 1.001)
    X = solution.X
    spoilt = replace(spoilt, E=reduced.A - np.outer(spoilt.b, reduced.u) - X)
    gap = primal_value(reduced, spoilt) - best_dual_value(reduced, spoilt)[0]
    assert gap > 1e3 * 1e-12


def test_residuals_are_computed_when_read_and_stay():
    problem = random_problem(11, lam_b=0.3)
    read, unread = solve(problem).certificate, solve(problem).certificate
    assert isinstance(read.stationarity, float)
    assert isinstance(read.balance, float)
    copied = pickle.loads(pickle.dumps(unread))  # not read yet, and no less of a certificate
    for certificate in (unread, copied):
        assert certificate.stationarity == read.stationarity
        assert f"balance={read.balance}" in repr(certificate)
    calls = []
    counted = replace(read, stationarity=lambda: calls.append(1) or 0.5)
    assert (counted.stationarity, counted.stationarity, len(calls)) == (0.5, 0.5, 1)
    with pytest.raises(FrozenInstanceError):
        counted.stationarity = 0.0  # pyright: ignore[reportAttributeAccessIssue]


def test_methods_insist():
    problem = random_problem(3, lam_b=0.2)
    with pytest.raises(ProblemError, match="choose one of"):
        solve(problem, method="magic")
    with pytest.raises(ProblemError, match="penalised bias"):
        solve(problem.replace(lam_b=0.0), method="newton")
    reduced = ShrinkageProblem.of(problem, reduce_problem(problem))
    if solve_closed_form(reduced) is None:
        with pytest.raises(ProblemError, match="not a singular direction"):
            solve(problem, method="closed form")
    with pytest.raises(ProblemError, match="method"):
        solve(problem.replace(lam_W=(0.1, 0.1)), method="newton")


def test_scs_referees_too_and_no_status_rests_on_a_solvers_word(monkeypatch):
    """Method "cvxpy:scs" is SCS; a solver stopped early says "optimal", and the status says that the gap is open."""
    pytest.importorskip("cvxpy")
    from ufm.optimum import referees

    problems = [
        Problem(classes(encodings.one_hot(3), [5, 3, 2]), lam_W=0.1, lam_H=0.02, lam_b=0.3, loss=loss)
        for loss in ("mse", "cross_entropy", rescaled_mse(3, 2))
    ]
    for problem in problems:
        ours = solve(problem)
        for method in ("cvxpy:scs", "CVXPY:SCS"):
            theirs = solve(problem, method=method)
            assert theirs.method == "cvxpy:scs"
            assert theirs.status is OptimumStatus.CERTIFIED
            assert -1e-12 <= theirs.value - ours.value <= 1e-8
            assert theirs.gap <= 1e-9
        assert solve(problem, method="cvxpy:clarabel").value == solve(problem, method="cvxpy").value
    monkeypatch.setitem(referees._OPTIONS, "SCS", {"eps_abs": 1e-2, "eps_rel": 1e-2})
    for problem in problems:
        early = solve(problem, method="cvxpy:scs")
        assert early.status is OptimumStatus.OPEN_GAP
        assert early.gap > 1e-7
        assert early.lower_bound <= solve(problem).value <= early.value
    with pytest.raises(ProblemError, match=r"method = 'cvxpy:mosek'.*cvxpy, cvxpy:scs"):
        solve(problems[0], method="cvxpy:mosek")
