"""The deep optimum: scalar minima against mpmath, formulas against descents, bounds, branches, curvature, extremes."""

import itertools
import math
import sys
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize

from ufm import encodings
from ufm.errors import ProblemError
from ufm.losses import rescaled_mse
from ufm.optimum import Curvature, OptimumStatus, branches, curvature, solve
from ufm.optimum.certificate import balance, stationarity
from ufm.optimum.deep import scalar
from ufm.optimum.deep.bound import envelope_bound, lower_bound, majorisation_bound
from ufm.optimum.deep.branching import _simplex_bounds, _values, branch
from ufm.optimum.deep.closed_form import solve_closed_form
from ufm.optimum.deep.factors import balanced_factors
from ufm.optimum.deep.search import search
from ufm.optimum.deep.spectral import DeepProblem, solve_fixed_bias
from ufm.optimum.descent import settle
from ufm.problem import Problem, classes, gradient, objective, reduce_problem, samples
from ufm.tolerance import roundoff

CRITICAL = 1e-10  # the issue's own figure
GLOBAL = (OptimumStatus.PROVED, OptimumStatus.CERTIFIED)


def deep_problem(seed, *, lam_b=None, largest=5, spread=2.0, p=None, width=None, share=None):
    """Any encoding, imbalance and unequal weights; tau is `share` of the largest direction's threshold."""
    rng = np.random.default_rng(seed)
    m, K = rng.integers(1, largest + 1, 2)
    p = int(rng.integers(3, 6)) if p is None else p
    codes = encodings.one_hot(max(2, int(K))) if seed % 2 else rng.standard_normal((m, K)) * 10 ** rng.uniform(-1, 1)
    counts = np.maximum(1, 10 ** rng.uniform(0, spread, codes.shape[1])).astype(int)
    lam_b = float(rng.choice([0.0, math.inf, 10 ** rng.uniform(-2, 1)])) if lam_b is None else lam_b
    problem = Problem(targets=classes(codes, counts), lam_W=(1.0,) * (p - 1), lam_H=1.0, lam_b=lam_b, width=width)
    top = float(np.linalg.norm(reduce_problem(problem).A, 2))
    share = 10 ** rng.uniform(-2.5, 0.05) if share is None else share
    Lam = share * float(scalar.threshold(np.array(top), p)) / problem.N
    tilt = rng.uniform(-2, 2, p)
    weights = Lam * 10 ** (tilt - tilt.mean())
    return problem.replace(lam_W=tuple(map(float, weights[:-1])), lam_H=float(weights[-1]))


def reduced_of(problem):
    return DeepProblem.of(problem, reduce_problem(problem))


def descend(problem, seed, d=None):
    """The objective that L-BFGS reaches in the factors from a random start of random size."""
    rng = np.random.default_rng(seed)
    d = problem.width or d or min(problem.m, problem.K)
    shapes = [(problem.m, d), *[(d, d)] * (problem.p - 2), (d, problem.K), (problem.m,)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    root = np.sqrt(problem.targets.multiplicity)  # features in the units of their samples: a better conditioned descent

    def split(x):
        parts = [part.reshape(shape) for part, shape in zip(np.split(x, ends[:-1]), shapes, strict=True)]
        return tuple(parts[:-2]), parts[-2] / root, parts[-1] if problem.has_bias else None

    def fun(x):
        W, H, b = split(x)
        slope = gradient(problem, W, H, b)
        parts = [*slope.W, slope.H / root, slope.b]
        return float(objective(problem, W, H, b)), np.concatenate([part.ravel() for part in parts])

    start = rng.standard_normal(ends[-1]) * 10 ** rng.uniform(-0.5, 0.5) * problem.N ** (1 / (2 * problem.p))
    start[ends[-2] :] *= 0.1 if problem.has_bias else 0.0
    return minimize(fun, start, jac=True, method="L-BFGS-B", options={"maxiter": 400, "gtol": 1e-9}).fun


# ---- one direction


@pytest.mark.parametrize("p", [3, 4, 5, 8, 50])
def test_stationary_points_are_roots_to_round_off(p):
    """Backward error: mpmath's tau of the computed s is the tau asked for, at every scale and up to the spinodal."""
    rng = np.random.default_rng(p)
    sigma = 10 ** rng.uniform(-8, 8, 40)
    share = np.concatenate([10 ** rng.uniform(-15, 0, 20), 1 - 10 ** rng.uniform(-14, -0.3, 20)])
    tau = share * scalar.spinodal(sigma, p)
    delta, low = scalar.residual_share(sigma, tau, p), scalar.barrier(sigma, tau, p)
    with mpmath.workdps(50):
        a = 1 - mpmath.mpf(2) / p
        for i in range(40):
            S, delta_i, low_i = mpmath.mpf(float(sigma[i])), mpmath.mpf(float(delta[i])), mpmath.mpf(float(low[i]))
            exact = mpmath.mpf(float(tau[i]))
            assert abs(S * delta_i * (S * (1 - delta_i)) ** a / exact - 1) <= roundoff(1, 64)
            assert abs((S - low_i) * low_i**a / exact - 1) <= roundoff(1, 640)  # through a logarithm
            assert low_i <= S * a / (1 + a) * (1 + 1e-7)
            assert S * (1 - delta_i) >= S * a / (1 + a) * (1 - 1e-7)


@pytest.mark.parametrize("p", [2, 3, 4, 7])
def test_scalar_minimum_beats_a_grid(p):
    rng = np.random.default_rng(p)
    for sigma, tau in zip(10 ** rng.uniform(-2, 2, 60), 10 ** rng.uniform(-4, 2, 60), strict=True):
        best = scalar.minimise(np.array([sigma]), tau, p)
        grid = np.linspace(0, sigma, 20001)
        lowest = scalar.value(np.full(20001, sigma), grid, tau, p).min()
        found = float(scalar.value(np.array([sigma]), best.s, tau, p)[0])
        assert found <= lowest * (1 + roundoff())
        assert sigma**2 / 2 - found == pytest.approx(float(best.gain[0]), abs=roundoff(sigma**2))


def test_known_thresholds():
    """p = 3: sigma^(4/3)/2 2^(-1/3) and spinodal 3 sigma^(4/3)/4^(4/3); p = 2: soft thresholding."""
    sigma = np.array([0.3, 1.0, 20.0])
    assert np.allclose(scalar.threshold(sigma, 3), sigma ** (4 / 3) / 2 ** (4 / 3), rtol=1e-14)
    assert np.allclose(scalar.spinodal(sigma, 3), 3 * sigma ** (4 / 3) / 4 ** (4 / 3), rtol=1e-14)
    assert np.allclose(scalar.threshold(sigma, 2), sigma)
    assert np.allclose(scalar.spinodal(sigma, 2), sigma)
    assert np.allclose(scalar.minimise(sigma, 0.5, 2).s, np.maximum(0, sigma - 0.5))
    for p in (3, 4, 9):
        at = scalar.threshold(sigma, p)
        below, above = scalar.minimise(sigma, at * (1 - 1e-9), p), scalar.minimise(sigma, at * (1 + 1e-9), p)
        assert np.allclose(below.s, (p - 2) / (p - 1) * sigma, rtol=1e-7)
        assert np.all(above.s == 0)
        exact = scalar.minimise(sigma, at, p)
        assert np.all(exact.tie)
        assert np.all(np.abs(exact.gain) <= roundoff(1, 64) * sigma**2)


def test_scalar_extremes_are_finite():
    sigma = np.array([0.0, 5e-324, 1e-300, 1e-8, 1.0, 1e8, 1e150])
    for tau, p in itertools.product([0.0, 1e-300, 1e-8, 1.0, 1e300], [2, 3, 10]):
        best = scalar.minimise(sigma, tau, p)
        assert np.all(np.isfinite(best.s))
        assert np.all(np.isfinite(best.e))
        assert np.all(best.gain >= 0)
        assert np.all((best.s >= 0) & (best.s <= sigma))
    assert np.array_equal(scalar.minimise(sigma, 0.0, 4).s, sigma)


# ---- whole problems


@pytest.mark.parametrize("seed", range(60))
def test_every_deep_result_is_a_balanced_critical_point(seed):
    problem = deep_problem(seed, spread=4.0, width=[None, None, 1, 2][seed % 4])
    optimum = solve(problem)
    certificate = optimum.certificate
    assert certificate.stationarity <= CRITICAL
    assert certificate.balance <= roundoff(1, 1000)
    assert -roundoff(optimum.value, 1000) <= optimum.gap
    at_it = float(objective(problem, optimum.W, optimum.H, optimum.b if problem.has_bias else None))
    assert at_it == pytest.approx(optimum.value, rel=1e-11)
    if not 0 < float(problem.lam_b) < math.inf:
        assert optimum.status is OptimumStatus.PROVED
        assert optimum.gap <= roundoff(optimum.value, 1000)
    else:
        assert optimum.status in (*GLOBAL, OptimumStatus.SEARCHED)
        assert optimum.lower_bound > 0.5 * optimum.value  # the bound says something
    if certificate.curvature is not None:
        assert certificate.curvature >= -1e-9 * curvature(problem, optimum.W, optimum.H, optimum.b).scale


@pytest.mark.parametrize("lam_b", [0.0, 0.2, math.inf])
@pytest.mark.parametrize("seed", [1, 4, 5])
def test_fifty_random_descents_never_beat_it(seed, lam_b):
    problem = deep_problem(seed, lam_b=lam_b, largest=3, spread=1.0, share=0.3)
    optimum = solve(problem)
    lowest = min(descend(problem, start) for start in range(50))
    assert lowest >= optimum.value * (1 - 1e-12)
    assert optimum.certificate.rank > 0
    assert lowest <= optimum.value * (1 + 1e-6)  # the descents do find it: the test can fail


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_fifty_random_descents_never_beat_it_on_many_problems(seed):
    problem = deep_problem(seed, largest=4, spread=1.5, width=[None, None, 2][seed % 3])
    lowest = min(descend(problem, start) for start in range(50))
    assert lowest >= solve(problem).value * (1 - 1e-12)


@pytest.mark.parametrize(("K", "p"), [(2, 3), (4, 3), (4, 4), (7, 5)])
def test_symmetric_bias_is_certified_for_balanced_classes(K, p):
    """The open question of section 8, for one-hot codes of equal sizes: the bound of majorisation is attained."""
    n = 15
    for lam_b, share in itertools.product([1e-3, 0.05, 0.3, 1.0, 10.0], [0.05, 0.4, 0.8, 0.99, 1.01]):
        Lam = share * float(scalar.threshold(np.array(math.sqrt(n)), p)) / (K * n)
        lam_W = (Lam * 2, *(Lam,) * (p - 2))
        problem = Problem(targets=classes(encodings.one_hot(K), n), lam_W=lam_W, lam_H=Lam / 2, lam_b=lam_b)
        optimum = solve(problem)
        assert optimum.status is OptimumStatus.CERTIFIED
        assert optimum.method == "closed form"
        assert np.ptp(optimum.b) <= roundoff(1)
        rho, best = problem.rho, scalar.minimise(np.full(2, math.sqrt(n)), problem.tau / np.array([1, problem.rho]), p)
        expected = ((K - 1) * (n / 2 - best.gain[0]) + rho * (n / 2 - best.gain[1])) / (K * n)
        assert optimum.value == pytest.approx(expected, rel=1e-13)


def test_imbalanced_one_hot_without_bias_loses_small_classes_at_once():
    counts, p = np.array([400, 100, 25, 4]), 3
    Lam = float(scalar.threshold(np.array([5.0]), p)[0]) * (1 - 1e-9) / 529
    optimum = solve(Problem(targets=classes(encodings.one_hot(4), counts), lam_W=(Lam, Lam), lam_H=Lam))
    assert optimum.certificate.rank == 3
    assert optimum.singular_values[2] == pytest.approx(2.5, rel=1e-6)  # a jump: half of sigma, not zero
    assert np.all(optimum.H[:, 3] == 0)
    gone = solve(Problem(targets=classes(encodings.one_hot(4), counts), lam_W=(Lam * (1 + 1e-8), Lam), lam_H=Lam))
    assert gone.certificate.rank == 2


def test_unequal_weights_change_the_layers_and_not_the_product():
    even = Problem(targets=classes(encodings.one_hot(3), [5, 9, 20]), lam_W=(0.01,) * 3, lam_H=0.01, lam_b=0)
    uneven = even.replace(lam_W=(0.1, 0.001, 0.02), lam_H=0.005)
    first, second = solve(even), solve(uneven)
    assert np.allclose(first.logits, second.logits, atol=roundoff(10))
    penalties = [lam * np.sum(layer**2) for lam, layer in zip(uneven.lam_W, second.W, strict=True)]
    penalties.append(uneven.lam_H * np.sum(uneven.targets.multiplicity * np.sum(second.H**2, axis=0)))
    assert np.allclose(penalties, penalties[0], rtol=1e-12)


@pytest.mark.parametrize("lam_b", [0.0, math.inf])
def test_samples_and_classes_are_one_problem(lam_b):
    problem = deep_problem(8, lam_b=lam_b, spread=1.0, share=0.2)
    one_by_one = problem.replace(targets=samples(problem.targets.matrix()))
    first, second = solve(problem), solve(one_by_one)
    assert second.value == pytest.approx(first.value, rel=1e-12)
    assert np.allclose(second.logits, first.logits[:, problem.classes.labels()], atol=1e-10)
    assert second.certificate.stationarity <= CRITICAL


# ---- lower bounds


@pytest.mark.parametrize("seed", range(40))
def test_bounds_hold_at_random_points(seed):
    """Each bound against values that are not minima: random biases with the best product, and random products."""
    problem = reduced_of(deep_problem(seed, lam_b=float(10 ** np.random.default_rng(seed).uniform(-3, 2))))
    bounds = majorisation_bound(problem), envelope_bound(problem)
    rng = np.random.default_rng(seed)
    for _ in range(30):
        b = problem.mean * rng.uniform(-0.5, 1.5) + rng.standard_normal(problem.mean.size) * np.linalg.norm(
            problem.mean
        ) * 10 ** rng.uniform(-2, 0)
        assert max(bounds) <= solve_fixed_bias(problem, b).value * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(200))
def test_penalty_of_a_product_with_the_mean_weight(seed):
    """The lemma of the first bound: sum s_i(X)^(2/p) >= that of (y_1, .., y_(r-1), y_r/sqrt rho), y = s(X M)."""
    rng = np.random.default_rng(seed)
    r = int(rng.integers(1, 6))
    m, p, rho = r + int(rng.integers(0, 3)), int(rng.integers(2, 9)), 10 ** rng.uniform(-4, 0)
    X = rng.standard_normal((m, r)) * 10 ** rng.uniform(-2, 2, r)
    u = rng.standard_normal(r) * 10 ** rng.uniform(-1, 1, r)
    u /= np.linalg.norm(u)
    y = np.linalg.svd(X - (1 - math.sqrt(rho)) * np.outer(X @ u, u), compute_uv=False)
    y[-1] /= math.sqrt(rho)
    x = np.linalg.svd(X, compute_uv=False)
    assert np.sum(x ** (2 / p)) >= np.sum(y ** (2 / p)) * (1 - 1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_search_finds_the_proved_optimum_and_the_bound_holds(seed):
    """Where the mean is a singular direction: the search never beats the symmetric formula, nor passes its bound."""
    rng = np.random.default_rng(seed)
    m, p, lam_b = int(rng.integers(2, 5)), int(rng.integers(3, 6)), float(10 ** rng.uniform(-1.5, 1))
    sigma = 10 ** rng.uniform(-0.7, 0.7, m)
    t = float(rng.choice(scalar.threshold(sigma, p))) * float(rng.choice([0.2, 0.8, 0.95, 1.05]))
    problem = DeepProblem(np.diag(sigma), np.eye(m)[0], t, p, lam_b, m)
    closed = solve_closed_form(problem)
    assert closed is not None
    found = search(problem, 24)
    assert lower_bound(problem) <= closed.value * (1 + 1e-13)
    assert found.value == pytest.approx(closed.value, rel=1e-9)
    assert found.value >= closed.value * (1 - 1e-12)


# ---- branch and bound


@pytest.mark.parametrize("seed", range(20))
def test_branching_bounds_every_bias_and_closes_the_gap(seed):
    """Up to three dimensions within the budget of "auto"; narrow widths and p = 2 included."""
    rng = np.random.default_rng(seed)
    problem = deep_problem(seed, lam_b=float(10 ** rng.uniform(-1.5, 1)), largest=3, p=2 + seed % 4)
    problem = problem.replace(width=[None, 1, 2][seed % 3])
    reduced, optimum = reduced_of(problem), solve(problem)
    branched = branch(reduced, optimum.value, 20_000)
    assert branched is not None
    assert branched.value >= optimum.value * (1 - 1e-9)  # many thousand biases, and none is better
    assert branched.bound <= optimum.value * (1 + 1e-12)
    assert branched.bound >= optimum.value * (1 - 1e-9)
    assert optimum.status in GLOBAL
    for _ in range(30):
        b = reduced.mean * rng.uniform(-0.5, 1.5) + 0.3 * rng.standard_normal(reduced.mean.size)
        assert solve_fixed_bias(reduced, b).value >= branched.bound * (1 - 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_a_simplex_is_bounded_by_its_vertices(seed):
    """The one inequality of `branching`, at random points of random simplices; a smaller curvature would break it."""
    rng = np.random.default_rng(seed)
    reduced = reduced_of(deep_problem(seed, lam_b=0.4, share=0.3, width=[None, 1][seed % 2]))
    d = reduced.A.shape[0]
    V = reduced.mean + 0.3 * np.linalg.norm(reduced.mean) * rng.standard_normal((5, d + 1, d))
    bounds = _simplex_bounds(reduced, V, _values(reduced, V.reshape(-1, d)).reshape(5, -1))
    for simplex, bound in zip(V, bounds, strict=True):
        inside = rng.dirichlet(np.ones(d + 1), 50) @ simplex
        assert np.all(_values(reduced, inside) >= bound - 1e-12 * abs(bound))


def test_fewer_biases_give_a_weaker_bound_that_holds():
    problem = deep_problem(5, lam_b=2.6, p=3, spread=4.0)
    reduced, value = reduced_of(problem), solve(problem, method="search").value
    branched = [branch(reduced, value, work) for work in (300, 3000, 30000)]
    bounds = [one.bound for one in branched if one is not None]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1] <= value


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_branch_and_bound_certifies_what_the_search_found(seed):
    """Up to five dimensions, every encoding, imbalance and depth: nothing was missed by the starts."""
    problem = deep_problem(seed, lam_b=float(10 ** np.random.default_rng(seed).uniform(-2, 1)), spread=3.0)
    searched, branched = solve(problem), solve(problem, method="branch and bound")
    assert branched.status is OptimumStatus.CERTIFIED
    assert branched.value == pytest.approx(searched.value, rel=1e-9)


def test_more_than_five_dimensions_are_left_to_the_search():
    problem = Problem(
        targets=classes(encodings.one_hot(7), [40, 30, 20, 9, 5, 2, 1]), lam_W=(0.02, 0.02), lam_H=0.02, lam_b=0.3
    )
    assert branch(reduced_of(problem), 1.0, 100) is None
    optimum = solve(problem, method="branch and bound")
    assert optimum.status in (*GLOBAL, OptimumStatus.SEARCHED)
    assert optimum.lower_bound <= optimum.value


# ---- branches


def test_branches_of_a_metastable_band():
    counts, p = [400, 100, 25, 4], 3
    sigma = np.sqrt(counts)
    tau = math.sqrt(float(scalar.threshold(sigma[1:2], p)[0] * scalar.spinodal(sigma[1:2], p)[0]))
    Lam = tau / sum(counts)
    problem = Problem(targets=classes(encodings.one_hot(4), counts), lam_W=(Lam, Lam), lam_H=Lam)
    found = branches(problem)
    assert np.allclose(found.sigma, sigma)
    assert np.allclose(found.tau, tau)
    assert found.in_band.tolist() == [False, True, False, False]
    assert (found.s > 0).tolist() == [True, False, False, False]
    assert np.isnan(found.metastable).tolist() == [False, False, True, True]
    assert found.metastable[0] == 0
    local = solve(problem, method="metastable")
    assert local.status is OptimumStatus.METASTABLE
    assert not local.status.is_global
    assert local.certificate.stationarity <= CRITICAL
    assert local.certificate.curvature is not None
    assert local.certificate.curvature > 0
    assert np.allclose(local.singular_values, np.nan_to_num(found.nonzero), rtol=1e-12)
    assert local.value - solve(problem).value == pytest.approx(found.excess[1], rel=1e-9)
    direction, s = np.full(3, sigma[1]), np.array([found.nonzero[1], found.barrier[1], 0.0])
    heights = scalar.value(direction, s, tau, p)
    assert heights[1] > heights[0] > heights[2]


def test_branches_elsewhere():
    codes = encodings.one_hot(3)
    even = Problem(targets=classes(codes, 20), lam_W=(0.02, 0.02), lam_H=0.02, lam_b=0.5)
    found = branches(even)
    assert found.mean.sum() == 1
    assert found.tau[found.mean] == pytest.approx(even.tau / even.rho)
    assert np.allclose(np.sort(found.s)[::-1], solve(even).singular_values, atol=1e-12)
    uneven = even.replace(targets=classes(codes, [5, 20, 35]))
    with pytest.raises(ProblemError, match="give b"):
        branches(uneven)
    optimum = solve(uneven)
    assert np.allclose(branches(uneven, optimum.b).s, optimum.singular_values, atol=1e-12)
    assert np.all(np.isnan(branches(even.replace(lam_W=0.02)).metastable))
    assert solve(even.replace(lam_b=math.inf), method="metastable").status is OptimumStatus.PROVED  # nothing to gain


# ---- second order


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", rescaled_mse(3, 2)])
@pytest.mark.parametrize(("p", "lam_b", "width"), [(2, 0.3, None), (3, 0.3, 2), (3, math.inf, None), (4, 0.0, None)])
def test_hessian_is_the_derivative_of_the_gradient(p, lam_b, width, loss):
    from ufm.optimum.hessian import hessian_of

    problem = deep_problem(4 if loss == "mse" else 5, p=p, lam_b=lam_b, largest=4, spread=1.0, share=0.3, width=width)
    problem = problem.replace(loss=loss)
    d = width or min(problem.m, problem.K)
    rng = np.random.default_rng(p)
    W = (rng.standard_normal((problem.m, d)), *(rng.standard_normal((d, d)) for _ in range(p - 2)))
    H, b = rng.standard_normal((d, problem.K)), rng.standard_normal(problem.m) if problem.has_bias else None
    hessian = hessian_of(problem, W, H, b)
    step = rng.standard_normal(hessian.size)
    way = hessian.direction(step)

    def slope(h):
        moved = tuple(layer + h * to for layer, to in zip(W, way.W, strict=True))
        g = gradient(problem, moved, H + h * way.H, None if b is None else b + h * way.b)
        parts = [*g.W, g.H / hessian.q, *([g.b] if problem.has_bias else [])]
        return np.concatenate([part.ravel() for part in parts])

    numeric = (slope(1e-5) - slope(-1e-5)) / 2e-5
    assert np.allclose(hessian.apply(step[None])[0], numeric, atol=1e-7 * np.abs(numeric).max())


def test_curvature_of_the_flow_theory():
    """p = 2, equal weights, no bias: 2 lam, 2 s/N, 2 sigma/N off the orbit, sigma/N within classes; 0 is a saddle."""
    lam, n = 0.01, 10
    problem = Problem(targets=classes(encodings.one_hot(3), n), lam_W=lam, lam_H=lam)
    optimum = solve(problem)
    second = curvature(problem, optimum.W, optimum.H)
    assert isinstance(second, Curvature)
    assert second.orbit_dimension == 3
    assert second.direction is None
    s = math.sqrt(n) - 3 * n * lam
    assert second.least == pytest.approx(min(2 * lam, 2 * s / (3 * n), s / (3 * n) + lam), rel=1e-10)
    zero = curvature(problem, (np.zeros((3, 3)),), np.zeros((3, 3)))
    assert zero.least == pytest.approx(lam - math.sqrt(n) / (3 * n), rel=1e-10)
    assert zero.direction is not None
    away = objective(problem, tuple(0.1 * way for way in zero.direction.W), 0.1 * zero.direction.H)
    assert float(away) < float(objective(problem, (np.zeros((3, 3)),), np.zeros((3, 3))))
    deep = problem.replace(lam_W=(lam, lam))
    assert curvature(deep, (np.zeros((3, 3)),) * 2, np.zeros((3, 3))).least == pytest.approx(lam)  # always a minimum


def test_a_swapped_direction_is_a_saddle():
    """Width 1 on the second direction: critical and balanced, and the second order sees that it is not a minimum."""
    problem = Problem(targets=classes(encodings.one_hot(2), [40, 10]), lam_W=(0.01, 0.01), lam_H=0.01, width=1)
    reduction = reduce_problem(problem)
    reduced = DeepProblem.of(problem, reduction)
    wide = solve_fixed_bias(replace(reduced, d=2), np.zeros(2))
    second = replace(wide, U=wide.U[:, 1:], s=wide.s[1:], V=wide.V[:, 1:])
    W, H = balanced_factors(problem, second, 1)
    H = reduction.features(H)
    assert stationarity(problem, W, H, np.zeros(2)) <= CRITICAL
    found = curvature(problem, W, H)
    assert found.least < 0
    assert found.direction is not None
    there = float(objective(problem, W, H))
    moved = tuple(layer + 0.05 * way for layer, way in zip(W, found.direction.W, strict=True))
    assert float(objective(problem, moved, H + 0.05 * found.direction.H)) < there
    chosen = solve(problem)
    assert chosen.certificate.curvature is not None
    assert chosen.certificate.curvature > 0


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", rescaled_mse(3, 2)])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("width", [None, 1])
def test_no_answer_is_a_saddle(loss, layers, width):
    """Every loss, shallow and deep, wide and below the rank: critical, balanced, and curved upwards off the orbit."""
    if layers > 1 and not isinstance(loss, str):
        return  # no solver
    for lam_b in (0.0, 0.3, math.inf):
        targets = classes(encodings.one_hot(3), [9, 5, 2])
        problem = Problem(targets, lam_W=(0.02,) * layers, lam_H=0.01, lam_b=lam_b, loss=loss, width=width)
        certificate = solve(problem).certificate
        assert certificate.stationarity <= CRITICAL
        assert certificate.balance <= 1e-9
        assert certificate.curvature is not None
        assert certificate.curvature > 0


def test_a_descent_from_a_saddle_leaves_it():
    """The width-1 point on the second direction is critical; settling from it ends on the first."""
    problem = Problem(targets=classes(encodings.one_hot(2), [40, 10]), lam_W=0.01, lam_H=0.01, width=1)
    reduction = reduce_problem(problem)
    wide = solve_fixed_bias(replace(DeepProblem.of(problem, reduction), d=2), np.zeros(2))
    W, H = balanced_factors(problem, replace(wide, U=wide.U[:, 1:], s=wide.s[1:], V=wide.V[:, 1:]), 1)
    H = reduction.features(H)
    assert stationarity(problem, W, H, np.zeros(2)) <= CRITICAL
    end = settle(problem, W, H, np.zeros(2))
    assert end.value == pytest.approx(solve(problem).value, rel=1e-9)
    assert end.value < float(objective(problem, W, H)) - 1e-3


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_lanczos_agrees_with_the_whole_hessian(monkeypatch, loss):
    problem = deep_problem(6 if loss == "mse" else 7, p=3, lam_b=math.inf, largest=5, spread=1.0, share=0.2)
    problem = problem.replace(loss=loss)
    optimum = solve(problem)
    whole = curvature(problem, optimum.W, optimum.H, optimum.b)
    monkeypatch.setattr(sys.modules["ufm.optimum.curvature"], "_DENSE", 0)  # the function has the module's name
    lanczos = curvature(problem, optimum.W, optimum.H, optimum.b)
    assert lanczos.least == pytest.approx(whole.least, rel=1e-7)
    assert lanczos.orbit_dimension == whole.orbit_dimension


# ---- hard inputs


@pytest.mark.parametrize("zeros", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("lam_b", [0.0, 0.5, math.inf])
def test_zero_weights(zeros, lam_b):
    """All zero: attained. Some zero: the infimum of the fit, reached only by factors that grow for ever."""
    weights = [0.0 if l in zeros else 0.1 for l in range(3)]
    codes = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    problem = Problem(targets=classes(codes, [2, 3, 4]), lam_W=tuple(weights[:2]), lam_H=weights[2], lam_b=lam_b)
    optimum = solve(problem)
    assert optimum.value == pytest.approx(0, abs=roundoff())
    assert optimum.status is (OptimumStatus.PROVED if len(zeros) == 3 else OptimumStatus.NOT_ATTAINED)
    narrow = solve(problem.replace(width=1))
    reduced = reduced_of(problem)
    alpha = np.linalg.svd(reduced.weighted, compute_uv=False)
    assert narrow.value == pytest.approx(np.sum(alpha[1:] ** 2) / 2, rel=1e-12)
    assert narrow.status is optimum.status
    if len(zeros) == 3:
        at_it = objective(problem.replace(width=1), narrow.W, narrow.H, narrow.b if problem.has_bias else None)
        assert float(at_it) == pytest.approx(narrow.value, rel=1e-12)
        slope = gradient(problem.replace(width=1), narrow.W, narrow.H, narrow.b if problem.has_bias else None)
        assert max(np.abs(part).max() for part in (*slope.W, slope.H, slope.b)) <= roundoff(10)
    nothing = solve(problem.replace(targets=classes(np.zeros((2, 2)), 3)))
    assert nothing.value == 0
    assert nothing.status is OptimumStatus.PROVED


def test_ties_are_said():
    n, p = 64, 3
    tau = float(scalar.threshold(np.array([8.0]), p)[0])
    problem = Problem(targets=classes(encodings.one_hot(2), n), lam_W=(tau / 128,) * 2, lam_H=tau / 128)
    tied = solve(problem)
    assert tied.certificate.unique is False
    assert tied.value == pytest.approx(0.5, rel=1e-12)  # either way
    assert solve(problem.replace(lam_H=tau / 129)).certificate.unique is True
    cut = solve(problem.replace(lam_H=tau / 1280, width=1))  # one of two equal directions
    assert cut.certificate.unique is False
    assert cut.status is OptimumStatus.PROVED


@pytest.mark.parametrize("seed", range(60))
def test_extreme_sizes_and_weights_have_an_answer(seed):
    rng = np.random.default_rng(seed)
    K, p = int(rng.integers(1, 5)), int(rng.integers(3, 7))
    counts = np.maximum(1, 10 ** rng.choice([0.0, 3.0, 6.0], K)).astype(int)
    weights = 10 ** rng.uniform(-8, 2, p)
    lam_b = float(rng.choice([0.0, math.inf, 1e-8, 1e2, 10 ** rng.uniform(-8, 2)]))
    codes = encodings.one_hot(K) if K > 1 and seed % 2 else rng.standard_normal((int(rng.integers(1, 4)), K))
    problem = Problem(targets=classes(codes, counts), lam_W=tuple(weights[:-1]), lam_H=weights[-1], lam_b=lam_b)
    optimum = solve(problem)
    for array in (*optimum.W, optimum.H, optimum.b, optimum.singular_values):
        assert np.all(np.isfinite(array))
    assert optimum.lower_bound <= optimum.value
    assert optimum.certificate.stationarity <= max(CRITICAL, 1e-14 / lam_b if lam_b > 0 else 0)
    assert optimum.certificate.balance <= roundoff(1, 1000)


def test_methods_and_limits_are_said():
    problem = deep_problem(3, lam_b=0.3, share=0.2)
    with pytest.raises(ProblemError, match="choose one of"):
        solve(problem, method="cvxpy")
    with pytest.raises(ProblemError, match="not a singular direction"):
        solve(problem, method="closed form")
    with pytest.raises(ProblemError, match="penalised bias"):
        solve(problem.replace(lam_b=0.0), method="search")


def test_a_spoilt_point_is_caught():
    """Planted faults: one layer scaled, one direction moved off its minimum, a bias beside its own."""
    problem = deep_problem(5, lam_b=0.3, share=0.2)
    optimum = solve(problem)
    W, H, b = optimum.W, optimum.H, optimum.b
    scaled = (W[0] * 1.001, W[1] / 1.001, *W[2:])
    assert balance(problem, scaled, H) > 1e-4
    assert stationarity(problem, scaled, H, b) > 1e-5
    assert stationarity(problem, W, H * 1.001, b) > 1e-5
    assert stationarity(problem, W, H, b * 1.001) > 1e-5
