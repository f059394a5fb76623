"""Cross-entropy at p = 2: against its own dual, an independent solver, closed forms, descents, and hard inputs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from ufm import encodings
from ufm.errors import ProblemError
from ufm.optimum import OptimumStatus, solve
from ufm.optimum.entropy.closed_form import bias_alone
from ufm.optimum.entropy.duality import best_dual_value, dual_value
from ufm.optimum.entropy.newton import solve_newton
from ufm.optimum.entropy.pairs import Pairs
from ufm.optimum.entropy.program import EntropyProgram, Point, state_program
from ufm.problem import Problem, classes, gradient, objective, samples
from ufm.tolerance import roundoff

GAP = 1e-9  # the issue's own figure, relative to max(1, value)
SLOPE = 1e-7  # gradient relative to its terms


def random_problem(seed, *, lam_b=None, largest=12, spread=3.0):
    """One-hot with repeated roles, soft, multi-hot (empty sets too) and unnormalised targets; any sizes and weights."""
    rng = np.random.default_rng(seed)
    m, K = (int(x) for x in rng.integers(2, largest, 2))
    kinds = [
        np.eye(m)[:, rng.integers(0, m, K)],
        rng.dirichlet(np.full(m, 0.3), K).T,
        (rng.random((m, K)) < 0.4).astype(float),
        rng.random((m, K)) * 10 ** rng.uniform(-1, 1) * (rng.random((m, K)) < 0.7),
    ]
    codes = kinds[seed % 4]
    counts = np.maximum(1, 10 ** rng.uniform(0, spread, K)).astype(int)
    size = float(np.linalg.norm((codes - codes.mean(axis=0)) * np.sqrt(counts / counts.sum()), 2)) + 1e-3
    c, tilt = 10 ** rng.uniform(-5, 0.2) * size / math.sqrt(counts.sum()), 10 ** rng.uniform(-3, 3)
    if lam_b is None:
        lam_b = float(rng.choice([0.0, math.inf, 10 ** rng.uniform(-8, 4), 10 ** rng.uniform(-2, 2)]))
    return Problem(targets=classes(codes, counts), loss="cross_entropy", lam_W=c * tilt, lam_H=c / tilt, lam_b=lam_b)


def assert_certified(optimum, gap=GAP):
    problem, certificate = optimum.problem, optimum.certificate
    assert optimum.status in (OptimumStatus.CERTIFIED, OptimumStatus.AT_INFINITY)
    assert abs(certificate.relative_gap) <= gap
    assert certificate.balance <= roundoff(1, 1000)
    at_it = float(objective(problem, optimum.W, optimum.H, optimum.b if problem.has_bias else None))
    assert at_it == pytest.approx(optimum.value, rel=1e-10, abs=1e-13)
    mass = float(problem.targets.columns.sum(axis=0).max())
    shrinkage = math.sqrt(problem.lam_W[0] * problem.lam_H * problem.N)
    assert remaining_slope(optimum) <= SLOPE + roundoff(mass) / shrinkage  # probabilities are known to round-off only


def remaining_slope(optimum):
    """Norm of the gradient by W, H and b relative to what is balanced in it."""
    problem = optimum.problem
    slope = gradient(problem, optimum.W, optimum.H, optimum.b if problem.has_bias else None)
    pairs = [
        (slope.W[0], problem.lam_W[0] * np.linalg.norm(optimum.W[0])),
        (slope.H, problem.lam_H * np.linalg.norm(optimum.H * problem.targets.multiplicity)),
    ]
    if problem.has_bias:
        pairs.append((slope.b, 1 + problem.lam_b * np.linalg.norm(optimum.b)))
    return max(float(np.linalg.norm(g)) / size if size > 0 else float(np.linalg.norm(g)) for g, size in pairs)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
@example(337829)  # the fast start ends with a gap of 7e-11 and a slope of 2e-6: the safe one must follow
def test_every_target_imbalance_and_bias_is_certified(seed):
    assert_certified(solve(random_problem(seed)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_extreme_sizes_are_certified(seed):
    assert_certified(solve(random_problem(seed, largest=7, spread=6)))


@pytest.mark.parametrize("seed", range(24))
def test_cvxpy_agrees(seed):
    pytest.importorskip("cvxpy")
    problem = random_problem(seed, largest=6, spread=1.5, lam_b=[0.0, 0.05, 1.0, math.inf][(seed // 4) % 4])
    ours, theirs = solve(problem), solve(problem, method="cvxpy")
    scale = max(1.0, ours.value)
    assert theirs.value == pytest.approx(ours.value, abs=1e-6 * scale)  # the other solver's accuracy
    assert ours.value <= theirs.value + 1e-11 * scale  # a feasible point is never below the minimum
    assert theirs.lower_bound <= ours.value + 1e-11 * scale


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_dual_never_exceeds_the_primal(seed):
    """Weak duality at random dual points against random primal ones: no solver is involved."""
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, largest=6)
    program, _ = state_program(problem)
    if program.lam_b == 0 and np.any(program.mean == 0):
        return
    m, K = program.T.shape
    E = 10 ** rng.uniform(-3, 1) * rng.standard_normal((m, K))
    bound, feasible = dual_value(program, E)
    Q = program.T - feasible / program.r
    assert np.linalg.norm(feasible, 2) <= program.threshold * (1 + roundoff())
    assert Q.min() >= -roundoff(1 + program.T.max() / program.r.min())
    assert np.allclose(Q.sum(axis=0), program.mass, atol=roundoff(1 + program.T.max() / program.r.min()))
    if program.lam_b == 0:
        assert np.linalg.norm(feasible @ program.r) <= roundoff(1 + program.T.max())
    for size in (0.0, 1.0, 10.0):
        X, b = size * rng.standard_normal((m, K)), size * rng.standard_normal(m) * program.has_bias
        point = Point.at(program, X, b)
        value = point.fit + program.threshold * np.linalg.norm(X, "nuc") + point.bias_penalty()
        assert bound <= value + roundoff(float(1 + value))


def test_a_spoilt_solution_is_caught_by_its_certificate():
    program, _ = state_program(random_problem(12, lam_b=0.3))
    solution = solve_newton(program)
    assert solution.relative_gap <= GAP
    X = (solution.U * solution.s) @ solution.V.T
    spoilt = {
        "bias": Point.at(program, X, solution.b + 1e-3 * np.arange(solution.b.size)),
        "product": Point.at(program, X * 1.001, solution.b),
    }
    for what, point in spoilt.items():
        value = point.fit + program.threshold * np.linalg.norm(point.X, "nuc") + point.bias_penalty()
        assert value - best_dual_value(program, point)[0] > 1e2 * GAP, what
    bound, _ = dual_value(program, solution.dual * 1.01)
    assert bound <= solution.bound + roundoff()


@settings(max_examples=40, deadline=None)
@example(607, 0.0)  # starts within round-off of the optimum
@example(85881, 3.0)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.02, 3.0, math.inf]))
def test_newton_finds_the_simplex(seed, lam_b):
    rng = np.random.default_rng(seed)
    K, n, eps = int(rng.integers(2, 12)), int(rng.integers(1, 10**4)), float(rng.choice([0.0, 0.1, 0.5]))
    t = float(rng.choice([rng.uniform(0.01, 0.99), 10 ** rng.uniform(-6, -2)])) * (1 - eps)
    c = t / (K * math.sqrt(n))
    targets = classes(encodings.smoothed(encodings.one_hot(K), eps), n)
    problem = Problem(targets=targets, loss="cross_entropy", lam_W=4 * c, lam_H=c / 4, lam_b=lam_b)
    closed, newton = solve(problem), solve(problem, method="newton")
    assert (closed.method, newton.method) == ("closed form", "newton")
    assert_certified(closed, gap=1e-12)
    assert_certified(newton)
    alpha = math.log((1 - (1 - 1 / K) * (eps + t)) / ((eps + t) / K))  # margin of probabilities (eps + t)/K
    if eps == 0:
        assert alpha == pytest.approx(math.log(1 / (c * math.sqrt(n)) - (K - 1)), rel=1e-9, abs=1e-12)
    expected = alpha * (np.eye(K) - 1 / K)
    assert np.allclose(closed.logits, expected, atol=roundoff(10 * (1 + alpha)))
    assert np.allclose(newton.logits, expected, atol=1e-6 * (1 + alpha))
    assert np.allclose(closed.cosines, np.eye(K) * (1 + 1 / (K - 1)) - 1 / (K - 1), atol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.2])
@pytest.mark.parametrize("lam_b", [0.0, 1.0, math.inf])
def test_strong_regularisation_leaves_nothing(eps, lam_b):
    K, n = 5, 20
    for t, rank in ((1 - eps - 1e-9, K - 1), (1 - eps + 1e-9, 0), (1e6, 0)):
        c = t / (K * math.sqrt(n))
        targets = classes(encodings.smoothed(encodings.one_hot(K), eps), n)
        problem = Problem(targets=targets, loss="cross_entropy", lam_W=c, lam_H=c, lam_b=lam_b)
        optimum = solve(problem)
        assert optimum.certificate.rank == rank
        assert_certified(optimum, gap=1e-12)
        assert solve(problem, method="newton").value == pytest.approx(optimum.value, rel=1e-11)


def test_imbalance_without_features_is_the_prior():
    """A free bias alone is the logarithm of the class frequencies, up to a constant."""
    counts = np.array([1000, 100, 10, 1])
    problem = Problem(
        targets=classes(encodings.one_hot(4), counts), loss="cross_entropy", lam_W=10.0, lam_H=10.0, lam_b=0.0
    )
    optimum = solve(problem)
    assert optimum.certificate.rank == 0
    assert np.allclose(optimum.b - optimum.b[0], np.log(counts / counts[0]), atol=1e-12)
    assert optimum.certificate.unique
    assert_certified(optimum, gap=1e-12)
    program, _ = state_program(problem.replace(lam_b=1e-12))
    assert np.allclose(bias_alone(program), optimum.b, atol=1e-6)


def test_a_free_bias_takes_the_whole_mean():
    problem = random_problem(5, lam_b=0.0)
    optimum = solve(problem)
    product = optimum.logits - optimum.b[:, None]
    assert np.linalg.norm(product @ problem.targets.multiplicity) <= 1e-7 * np.linalg.norm(product) * problem.N
    assert np.allclose(product.sum(axis=0), 0, atol=1e-9 * np.abs(product).max())
    assert abs(optimum.b.sum()) <= 1e-9 * (1 + np.abs(optimum.b).max())


@pytest.mark.parametrize("seed", range(3))
def test_samples_and_equal_codes_are_the_same_problem(seed):
    rng = np.random.default_rng(seed)
    problem = random_problem(4 * seed + 1, largest=5, spread=0.8)
    order = rng.permutation(problem.N)
    by_class, by_sample = solve(problem), solve(problem.replace(targets=samples(problem.targets.matrix()[:, order])))
    assert by_sample.value == pytest.approx(by_class.value, rel=1e-11)
    assert by_sample.H.shape[1] == problem.N
    assert_certified(by_sample)
    labels = problem.classes.labels()[order]
    assert np.allclose(by_sample.logits, by_class.logits[:, labels], atol=1e-6 * (1 + np.abs(by_class.logits).max()))
    codes = problem.targets.columns
    twice = np.concatenate([codes, codes[:, :1]], axis=1)
    split = np.append(problem.classes.counts, 3)
    merged = problem.classes.counts + 3 * (np.arange(codes.shape[1]) == 0)
    first, second = (solve(problem.replace(targets=classes(*given))) for given in ((twice, split), (codes, merged)))
    assert first.value == pytest.approx(second.value, rel=1e-11)
    assert np.array_equal(first.H[:, 0], first.H[:, -1])


def descend(problem, width, seed):
    """One descent from a random start, by nothing but the objective and its gradient."""
    rng = np.random.default_rng(seed)
    m, K = problem.m, problem.targets.columns.shape[1]

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
    options = {"maxiter": 3000, "ftol": 1e-15, "gtol": 1e-10}
    return minimize(fun, start, jac=True, method="L-BFGS-B", options=options).fun


@pytest.mark.parametrize("lam_b", [0.0, 0.1, math.inf])
def test_fifty_descents_do_not_beat_it(lam_b):
    codes = np.array([[1, 0, 0, 0.5], [0, 1, 0, 0.5], [0, 0, 1, 0]])
    problem = Problem(
        targets=classes(codes, [7, 3, 1, 4]), loss="cross_entropy", lam_W=0.02, lam_H=0.01, lam_b=lam_b, width=4
    )
    optimum = solve(problem)
    values = [descend(problem, 4, seed) for seed in range(17)]
    assert min(values) >= optimum.value - 1e-12
    assert min(values) == pytest.approx(optimum.value, abs=1e-8)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("lam_b", [0.0, 0.3, math.inf])
def test_narrow_widths_say_what_is_known(width, lam_b):
    problem = Problem(
        targets=classes(encodings.one_hot(4), [9, 5, 3, 2]), loss="cross_entropy", lam_W=0.01, lam_H=0.01, lam_b=lam_b
    )
    wide, narrow = solve(problem), solve(problem.replace(width=width))
    assert wide.certificate.rank == 3
    assert narrow.certificate.rank <= width
    assert narrow.W[0].shape == (4, width)
    assert narrow.status is OptimumStatus.BEST_KNOWN
    assert narrow.lower_bound == pytest.approx(wide.value, abs=1e-9)
    assert narrow.value > wide.value
    assert remaining_slope(narrow) <= 1e-5  # a local search by L-BFGS
    assert min(descend(problem, width, seed) for seed in range(8)) >= narrow.value - 1e-9


@pytest.mark.parametrize(("lam_W", "lam_H"), [(0.0, 0.1), (0.1, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("lam_b", [0.0, 0.5, math.inf])
def test_vanishing_weights_are_said_not_crashed(lam_W, lam_H, lam_b):
    weights = {"loss": "cross_entropy", "lam_W": lam_W, "lam_H": lam_H, "lam_b": lam_b}
    hard = solve(Problem(targets=classes(encodings.one_hot(3), [2, 3, 4]), **weights))
    assert hard.status is OptimumStatus.AT_INFINITY
    assert hard.value == 0
    soft = solve(Problem(targets=classes(encodings.smoothed(3, 0.1), [2, 3, 4]), **weights))
    share = np.array([0.1 / 3, 0.1 / 3, 0.9 + 0.1 / 3])
    assert soft.value == pytest.approx(-float(share @ np.log(share)), rel=1e-13)
    assert soft.gap == pytest.approx(0, abs=roundoff())
    assert soft.status is (OptimumStatus.CERTIFIED if lam_W == lam_H else OptimumStatus.NOT_ATTAINED)
    flat = solve(Problem(targets=classes(np.full((3, 2), 0.5), [2, 3]), **weights))
    assert flat.status is OptimumStatus.CERTIFIED
    assert flat.certificate.rank == 0
    for optimum in (hard, soft, flat):
        assert all(np.all(np.isfinite(x)) for x in (optimum.W[0], optimum.H, optimum.b, optimum.logits))
        reached = float(
            objective(optimum.problem, optimum.W, optimum.H, optimum.b if optimum.problem.has_bias else None)
        )
        slack = 0.5 * float(
            lam_W * np.sum(optimum.W[0] ** 2) + lam_H * np.sum(optimum.problem.targets.multiplicity * optimum.H**2)
        )
        assert reached - slack == pytest.approx(optimum.value, abs=1e-14)


def test_a_free_bias_of_an_unused_output_runs_to_infinity():
    codes = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    problem = Problem(targets=classes(codes, [5, 2]), loss="cross_entropy", lam_W=0.05, lam_H=0.05, lam_b=0.0)
    optimum = solve(problem)
    assert optimum.status is OptimumStatus.AT_INFINITY
    assert optimum.value == pytest.approx(solve(problem.replace(targets=classes(codes[:2], [5, 2]))).value, rel=1e-12)
    assert_certified(optimum)
    assert solve(problem.replace(lam_b=1e-6)).value > optimum.value


def test_hard_inputs():
    for weight in (1e-8, 1e-3, 1e2):
        for lam_b in (0.0, 1e-8, 1e2, math.inf):
            for targets in (
                classes(encodings.one_hot(3), [1, 10**6, 10**3]),
                classes(encodings.smoothed(4, 0.1), [1, 10**6, 1, 10**6]),
                classes([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]], [3, 10**5, 2]),
                classes([[5.0]], 1),
                classes([[2.0, 0.0, 1.0]], [1, 2, 3]),
                classes(np.zeros((3, 2)), 4),
                classes([[1e-3, 20.0], [20.0, 1e-3]], [1, 10]),
            ):
                problem = Problem(targets=targets, loss="cross_entropy", lam_W=weight, lam_H=weight, lam_b=lam_b)
                optimum = solve(problem)
                assert_certified(optimum)
                assert np.all(np.isfinite(optimum.logits))
                optimum.record()


@pytest.mark.parametrize("K", [50, 100])
def test_larger_long_tails(K):
    counts = np.geomspace(500, 5, K).astype(int)
    c = 0.3 / math.sqrt(K * counts.sum())
    problem = Problem(targets=classes(encodings.one_hot(K), counts), loss="cross_entropy", lam_W=c, lam_H=c, lam_b=0.01)
    assert_certified(solve(problem))


@pytest.mark.slow
def test_two_hundred_classes():
    counts = np.geomspace(500, 5, 200).astype(int)
    for t in (0.5, 0.01, 1e-4):
        c = t / math.sqrt(200 * counts.sum())
        for lam_b in (0.0, 0.01, math.inf):
            targets = classes(encodings.one_hot(200), counts)
            assert_certified(solve(Problem(targets=targets, loss="cross_entropy", lam_W=c, lam_H=c, lam_b=lam_b)))


def test_requests_that_cannot_be_met():
    problem = random_problem(5, lam_b=0.2)
    with pytest.raises(ProblemError, match=r"targets\[0, 1\] = -0.5.*>= 0"):
        solve(problem.replace(targets=classes([[1.0, -0.5], [0.0, 1.5]], [2, 3])))
    with pytest.raises(ProblemError, match="no formula"):
        solve(problem, method="closed form")
    assert solve(problem, method="newton").value == solve(problem).value


def test_a_solver_that_stopped_early_says_so(monkeypatch):
    """The status follows the gap, not the solver's word."""
    from ufm.optimum.entropy import newton

    problem = random_problem(12, lam_b=0.3)
    monkeypatch.setattr(newton, "_MAX_OUTER", 1)
    monkeypatch.setattr(newton, "_MAX_INNER", 1)
    early = solve(problem)
    assert early.status is OptimumStatus.OPEN_GAP
    assert not early.status.is_global
    monkeypatch.undo()
    assert early.lower_bound <= solve(problem).value <= early.value


def test_the_statement_reaches_its_point_without_cancellation():
    """E of a confident softmax keeps its digits: 1 - p is summed from the other probabilities."""
    program, _ = state_program(random_problem(0))
    program = replace(program, T=np.array([[1.0], [0.0]]), r=np.ones(1))
    point = Point.at(program, np.array([[40.0], [0.0]]), np.zeros(2))
    assert point.E[0, 0] == pytest.approx(math.exp(-40), rel=1e-12)
    assert point.fit == pytest.approx(math.exp(-40), rel=1e-12)


def unequal(K, t_rel, lam_b, least=10):
    """One-hot classes of K different sizes, from 100000 down to the least."""
    counts = np.round(np.geomspace(100_000, least, K)).astype(int)
    c = t_rel / math.sqrt(K * counts.sum())
    return Problem(targets=classes(encodings.one_hot(K), counts), loss="cross_entropy", lam_W=c, lam_H=c, lam_b=lam_b)


@pytest.mark.parametrize("lam_b", [0.0, 1e-4, 1.0, math.inf])
@pytest.mark.parametrize("t_rel", [3.0, 0.9, 0.3, 1e-2, 1e-4])
@pytest.mark.parametrize("K", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_the_gap_is_closed_from_nearly_no_features_to_a_tiny_weight(K, t_rel, lam_b):
    optimum = solve(unequal(K, t_rel, lam_b))
    assert optimum.status is OptimumStatus.CERTIFIED
    assert abs(optimum.certificate.relative_gap) <= GAP
    assert optimum.certificate.stationarity <= SLOPE


@pytest.mark.slow
def test_a_thousand_unequal_classes_are_certified():
    counts = np.round(np.geomspace(10_000, 1_000, 1000)).astype(int)
    c = 0.3 / math.sqrt(1000 * counts.sum())
    targets = classes(encodings.one_hot(1000), counts)
    optimum = solve(Problem(targets=targets, loss="cross_entropy", lam_W=c, lam_H=c, lam_b=0.01))
    assert optimum.status is OptimumStatus.CERTIFIED
    assert abs(optimum.certificate.relative_gap) <= 1e-6  # the issue's own figure for this size


@pytest.mark.parametrize("seed", range(4))
def test_both_preconditioners_find_one_optimum(seed, monkeypatch):
    """Outputs in any order: the pairs follow each class to its own, and without them the answer is the same."""
    problem = unequal(25, 0.3, [0.02, math.inf][seed % 2], least=10_000)
    order = np.random.default_rng(seed).permutation(25)
    problem = problem.replace(targets=classes(np.eye(25)[order], problem.classes.counts))
    used = []
    solve_pairs = Pairs.solve
    monkeypatch.setattr(Pairs, "solve", lambda self, R: used.append(1) or solve_pairs(self, R))
    paired = solve(problem)
    assert used
    monkeypatch.setattr(EntropyProgram, "own_output", None)
    rotated = solve(problem)
    assert paired.value == pytest.approx(rotated.value, rel=1e-11)
    assert np.allclose(paired.logits, rotated.logits, atol=1e-6 * float(np.abs(rotated.logits).max()))
