"""The methods: order conditions on rooted trees, the damping they claim, the order they show on a flow, dense output,
the Jacobian, and the choice among them."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from ufm import encodings
from ufm.errors import ProblemError
from ufm.flow import Status, simulate
from ufm.flow.coordinates import Mode, coordinates
from ufm.flow.dense import Node, hermite
from ufm.flow.integrators import Chebyshev, Library, Tableau, available, descents, integrator, rkc2
from ufm.flow.jacobian import jacobian
from ufm.flow.library import Started
from ufm.flow.start import random_start
from ufm.flow.state import checked
from ufm.flow.step import stepper
from ufm.problem import Problem, classes
from ufm.tolerance import roundoff

Tree = tuple["Tree", ...]
TABLEAUX: dict[str, Tableau] = {name: t for name in available() if isinstance(t := integrator(name), Tableau)}
# A published row of ARK5(4)8L[2]SA's implicit part sums to its abscissa only to 2e-12; all else is exact to round-off.
PUBLISHED_ROUNDING = {"kencarp5": 4e-12}


@lru_cache
def trees(nodes: int) -> list[Tree]:
    """All rooted trees with so many nodes, each the sorted tuple of its branches."""
    if nodes == 1:
        return [()]
    found: set[Tree] = set()

    def grow(left: int, largest: int, branches: tuple[Tree, ...]) -> None:
        if left == 0:
            found.add(tuple(sorted(branches)))
        for size in range(1, min(left, largest) + 1):
            for branch in trees(size):
                grow(left - size, size, (*branches, branch))

    grow(nodes - 1, nodes - 1, ())
    return sorted(found)


def nodes(tree: Tree) -> int:
    return 1 + sum(map(nodes, tree))


def density(tree: Tree) -> int:
    product = nodes(tree)
    for branch in tree:
        product *= density(branch)
    return product


def elementary(tree: Tree, matrices: list[np.ndarray]) -> list[np.ndarray]:
    """Stage vectors of a tree, one for every way to put one of the matrices on each of its edges."""
    vectors = [np.ones(matrices[0].shape[0])]
    for branch in tree:
        below = [A @ v for v in elementary(branch, matrices) for A in matrices]
        vectors = [u * v for u in vectors for v in below]
    return vectors


def defect(tableau: Tableau, weights: np.ndarray, order: int) -> float:
    """The largest violation of an order condition of this order, coupling conditions of both parts included."""
    matrices = [tableau.explicit_matrix] + ([tableau.implicit_matrix] if tableau.implicit else [])
    return max(float(abs(weights @ v - 1 / density(tree))) for tree in trees(order) for v in elementary(tree, matrices))


def small_flow(*, bias: bool):
    """A flow of K = 3 classes in few unknowns, fast enough that its error is truncation and not round-off."""
    targets = classes(encodings.one_hot(3), [1, 2, 3])
    problem = Problem(targets=targets, lam_W=0.02, lam_H=0.05, lam_b=0.1 if bias else np.inf, width=4)
    return coordinates(problem, checked(problem, random_start(problem, 3, collapsed=True, scale=1.5)), "auto")


def error_after(method: Tableau | Chebyshev, steps: int, reference: np.ndarray, t: float = 4.0) -> float:
    at, y = small_flow(bias=True)
    step = stepper(at.field, method, y)
    for _ in range(steps):
        y = step(0.0, y, at.field(y), t / steps, 1.0).y
    return float(np.linalg.norm(y - reference))


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    at, y = small_flow(bias=True)
    step = stepper(at.field, TABLEAUX["dopri8"], y)
    for _ in range(400):
        y = step(0.0, y, at.field(y), 4.0 / 400, 1.0).y
    return y


def test_trees_are_counted_as_known() -> None:
    assert [len(trees(n)) for n in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]


@pytest.mark.parametrize("name", TABLEAUX)
def test_order_conditions(name: str) -> None:
    tableau = TABLEAUX[name]
    allowed = PUBLISHED_ROUNDING.get(name, roundoff(8))
    for order in range(1, tableau.order + 1):
        assert defect(tableau, tableau.weights, order) <= allowed
    embedded = np.asarray(tableau.b_embedded)
    for order in range(1, tableau.embedded_order + 1):
        assert defect(tableau, embedded, order) <= allowed
    assert defect(tableau, tableau.weights, tableau.order + 1) > 1e-6
    assert defect(tableau, embedded, tableau.order) > 1e-6  # else there is no error to estimate


@pytest.mark.parametrize("name", TABLEAUX)
def test_both_parts_share_their_abscissae(name: str) -> None:
    tableau = TABLEAUX[name]
    np.testing.assert_allclose(tableau.implicit_matrix.sum(axis=1), tableau.c, atol=PUBLISHED_ROUNDING.get(name, 1e-15))


def test_a_wrong_digit_is_caught() -> None:
    good = TABLEAUX["kencarp4"]
    bad = replace(good, a=(*good.a[:2], (13861 / 62500, 6898 / 62500), *good.a[3:]))
    assert defect(good, good.weights, 3) < roundoff(8) < 1e-6 < defect(bad, bad.weights, 3)


def amplification(tableau: Tableau, x: np.ndarray, coupling: float, z: float) -> np.ndarray:
    """Spectral radius of a step on u' = -x u - g v, v' = -g u - z v, g^2 = coupling x z, v the stiff component."""
    s, E, I, w = tableau.stages, tableau.explicit_matrix, tableau.implicit_matrix, tableau.weights
    g = np.sqrt(coupling * x * z)[:, None, None]
    x3, eye = x[:, None, None], np.eye(s)
    top = np.concatenate([eye + x3 * E, g * I], axis=2)
    bottom = np.concatenate([g * E, np.broadcast_to(eye + z * I, (len(x), s, s))], axis=2)
    ones = np.ones((len(x), s, 1))
    right = np.concatenate(
        [np.concatenate([-x3 * ones, -g * ones], axis=2), np.concatenate([-g * ones, -z * ones], axis=2)], axis=1
    )
    slopes = np.linalg.solve(np.concatenate([top, bottom], axis=1), right)
    step = np.eye(2) + np.stack([w @ slopes[:, :s], w @ slopes[:, s:]], axis=1)
    return np.abs(np.linalg.eigvals(step)).max(axis=1)


@pytest.mark.parametrize("name", TABLEAUX)
def test_steps_within_reach_damp_every_mode(name: str) -> None:
    """Up to damps / h nothing survives, and slow modes keep at least half their rate; soon after something does."""
    tableau = TABLEAUX[name]

    def damped(x: np.ndarray, coupling: float, z: float) -> bool:
        slow = (x + z) / 2 - np.sqrt((x - z) ** 2 / 4 + coupling * x * z)
        return bool(np.all(amplification(tableau, x, coupling, z) <= np.maximum(0.95, np.exp(-slow / 2))))

    couplings, stiffness = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9), (tableau.damps, 10.0, 30.0, 1e2, 1e4, 1e6)
    if tableau.implicit is None:
        couplings, stiffness = (0.0,), (1.0,)
    x = np.linspace(0.05, tableau.damps, 80)
    assert all(damped(x, c, z) for c in couplings for z in stiffness)
    beyond = np.linspace(0.05, 1.2 * tableau.damps, 100)
    assert not all(damped(beyond, c, z) for c in couplings for z in stiffness)


# Numbers of steps at which truncation, not round-off, is seen; the stiff component's own error shows at few steps.
STEPS = {"tsit5": (20, 40), "dopri8": (6, 12), "kencarp4": (40, 80), "kencarp5": (40, 80), "rkc2": (40, 80)}


@pytest.mark.parametrize("name", STEPS)
def test_measured_order(name: str, reference: np.ndarray) -> None:
    method = integrator(name)
    assert not isinstance(method, Library)
    coarse, fine = (error_after(method, steps, reference) for steps in STEPS[name])
    assert fine > roundoff(10)
    assert np.log2(coarse / fine) > method.order - 0.4


def test_unknown_integrator_names_the_nearest() -> None:
    with pytest.raises(ProblemError, match="did you mean 'kencarp5'"):
        integrator("kencarp")


# --- stabilised explicit --------------------------------------------------------------------------------------------


def rkc() -> Chebyshev:
    method = integrator("rkc2")
    assert isinstance(method, Chebyshev)
    return method


def stability(method: Chebyshev, s: int, z: np.ndarray) -> np.ndarray:
    """The factor by which a step of s stages multiplies y' = -z y, h = 1."""
    mu, nu, mu_tilde, gamma_tilde, _ = method.recursion(s)
    before, now = np.ones_like(z), 1 - mu_tilde[1] * z
    for j in range(2, s + 1):
        new = 1 - mu[j] - nu[j] + mu[j] * now + nu[j] * before - mu_tilde[j] * z * now - gamma_tilde[j] * z
        before, now = now, new
    return now


@pytest.mark.parametrize("s", [2, 3, 7, 20, 100, 250])
def test_chebyshev_damps_up_to_its_reach_and_is_of_order_two(s: int) -> None:
    method = rkc()
    z = np.linspace(0, method.reach(s), 20_001)[1:]
    assert np.abs(stability(method, s, z)).max() < 1
    assert np.abs(stability(method, s, z[z > 1])).max() < 0.65  # the reference's own damping leaves 0.95
    assert np.abs(stability(method, s, 1.4 * z)).max() > 1
    small = np.array([1e-2, 5e-3])
    error = np.abs(stability(method, s, small) - np.exp(-small))
    assert 2.8 < np.log2(error[0] / error[1]) < 3.2
    c = method.recursion(s).c
    assert np.all(np.diff(c) > 0)
    np.testing.assert_allclose(c[-1], 1.0, rtol=1e-12)
    undamped = replace(method, damping=1e-6).recursion(s).c
    np.testing.assert_allclose(undamped[2:], (np.arange(2, s + 1) ** 2 - 1) / (s**2 - 1), rtol=1e-5)


def test_stages_suffice_and_are_no_more_than_needed() -> None:
    method = rkc()
    for rate in np.geomspace(0.1, method.reach(249), 300):
        s = method.stages(float(rate))
        assert method.reach(s) >= rate
        assert s == 2 or method.reach(s - 1) < rate


def test_chebyshev_leaves_no_residue_of_fast_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    """At rtol 1e-6 the gradient ends where the exact flow's does, seven digits down, without losing its way."""
    c = 1e-3 / (10 * 50**0.5)
    problem = Problem(classes(encodings.one_hot(10), 50), lam_W=c, lam_H=c, lam_b=c, width=48)
    start = random_start(problem, 0, samples=False)
    exact = simulate(problem, start, t1=15 / c, rtol=1e-10, integrator="lsoda")
    flow = simulate(problem, start, t1=15 / c, rtol=1e-6, integrator="rkc2")
    assert flow.gradient_norm < 1.05 * exact.gradient_norm < 1e-8
    assert flow.rejected <= 6
    monkeypatch.setattr(rkc2, "TABLEAU", replace(rkc(), damping=2 / 13))
    weak = simulate(problem, start, t1=15 / c, rtol=1e-6, integrator="rkc2")
    assert weak.steps > 1.5 * flow.steps


@pytest.mark.parametrize("lam_b", [0.0, 100.0, 1e6])
def test_the_bias_of_chebyshev_is_exact_however_stiff(lam_b: float) -> None:
    """Steps far beyond 1 / (1 + lam_b) keep the second order: halving them divides the error by about four."""
    targets = classes(encodings.one_hot(3), [1, 2, 3])
    problem = Problem(targets=targets, lam_W=0.02, lam_H=0.05, lam_b=lam_b, width=4)
    start = checked(problem, random_start(problem, 3, collapsed=True, scale=1.5))
    at, y0 = coordinates(problem, start, "auto")
    exact = simulate(problem, start, t1=4.0, rtol=1e-12, integrator="kencarp5").state
    errors = []
    for steps in (40, 80):
        y, step = y0, stepper(at.field, rkc(), y0)
        for _ in range(steps):
            y = step(0.0, y, at.field(y), 4.0 / steps, 1.0).y
        state = at.state(y, 4.0)
        errors.append(float(np.abs(state.H - exact.H).max() + np.abs(state.W[0] - exact.W[0]).max()))
    assert 1.5 < np.log2(errors[0] / errors[1]) < 3.5
    assert errors[1] < 2e-3


# --- the Jacobian and the library's method --------------------------------------------------------------------------


@pytest.mark.parametrize("lam_b", [0.0, 0.3, np.inf])
@pytest.mark.parametrize("mode", ["collapsed", "samples", "full", "A"])
def test_the_jacobian_is_the_derivative(mode: Mode, lam_b: float) -> None:
    targets = classes(encodings.simplex(3), [4, 6, 5])
    lam_W = 0.05 if mode == "A" else 0.02
    problem = Problem(targets=targets, lam_W=lam_W, lam_H=0.05, lam_b=lam_b, width=4)
    start = checked(problem, random_start(problem, 1, collapsed=mode == "collapsed"))
    at, y = coordinates(problem, start, mode)
    exact = jacobian(at.field)
    assert exact is not None
    y, t = y + 0.1 * np.random.default_rng(0).standard_normal(y.size), 0.7
    h = 1e-5
    columns = [(at.field(y + h * e, t) - at.field(y - h * e, t)) / (2 * h) for e in np.eye(y.size)]
    np.testing.assert_allclose(exact(t, y), np.stack(columns, axis=1), atol=1e-9)


@pytest.mark.parametrize("mode", ["samples", "A", "S"])
def test_lsoda_runs_every_mode_to_rest(mode: Mode) -> None:
    problem = Problem(targets=classes(encodings.one_hot(3), 9), lam_W=0.02, lam_H=0.02, lam_b=0.1, width=4)
    flow, usual = (simulate(problem, 2, mode=mode, integrator=i) for i in ("lsoda", "auto"))
    assert flow.status is Status.STEADY
    np.testing.assert_allclose(flow.record()["singular_values"], usual.record()["singular_values"], atol=1e-7)


def test_lsoda_without_an_exact_jacobian() -> None:
    """Deep layers and cross-entropy: by differences."""
    targets = classes(encodings.one_hot(3), 2)
    deep = Problem(targets=targets, lam_W=(0.02, 0.02), lam_H=0.02, lam_b=0.1, width=4)
    entropy = Problem(targets=targets, lam_W=0.02, lam_H=0.02, lam_b=0.1, width=4, loss="cross_entropy")
    for problem in (deep, entropy):
        a, b = (simulate(problem, 2, t1=30.0, integrator=i).state for i in ("lsoda", "dopri8"))
        np.testing.assert_allclose(a.H, b.H, atol=1e-6)


# --- dense output ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in available() if name not in descents()])
@pytest.mark.parametrize("case", ["bias", "no bias", "A"])
def test_saving_costs_no_steps_and_keeps_the_tolerance(name: str, case: str) -> None:
    targets = classes(encodings.one_hot(4), [5, 6, 7, 8])
    lam_b = np.inf if case == "no bias" else 0.1
    problem = Problem(targets=targets, lam_W=0.01, lam_H=0.01, lam_b=lam_b, width=5)
    mode: Mode = "A" if case == "A" else "samples"
    start, times = random_start(problem, 3), np.sort(np.random.default_rng(0).uniform(0, 150, 60))
    exact = simulate(problem, start, t1=150.0, rtol=1e-12, integrator="dopri8", save=times, mode=mode).path
    plain = simulate(problem, start, t1=150.0, rtol=1e-7, integrator=name, mode=mode)
    saved = simulate(problem, start, t1=150.0, rtol=1e-7, integrator=name, save=times, mode=mode)
    assert (plain.steps, plain.rejected) == (saved.steps, saved.rejected)
    assert exact is not None
    assert saved.path is not None
    np.testing.assert_array_equal(saved.path.t, times)
    for i in range(len(times)):
        ours, theirs = saved.path.state(i), exact.state(i)
        error = np.hypot(np.linalg.norm(ours.H - theirs.H), np.linalg.norm(ours.W[0] - theirs.W[0]))
        assert error < 60e-7 * (np.linalg.norm(theirs.H) + np.linalg.norm(theirs.W[0])), times[i]


def test_hermite_is_exact_for_quintics() -> None:
    poly = np.polynomial.Polynomial(np.random.default_rng(2).standard_normal(6))
    nodes = [Node(t, np.array([poly(t)]), np.array([poly.deriv()(t)])) for t in (-0.7, 0.1, 1.0)]
    for t in (-0.3, 0.5, 0.93):
        np.testing.assert_allclose(hermite(nodes, t), [poly(t)], rtol=1e-12)
    assert abs(float(hermite(nodes[1:], 0.5)[0] - poly(0.5))) > 1e-3


# --- the choice -----------------------------------------------------------------------------------------------------


def cifar_like(t_rel: float, *, width: int = 64, collapsed: bool = True, **options: Any) -> str:
    c = t_rel / (10 * 50**0.5)
    problem = Problem(
        targets=classes(encodings.one_hot(10), 50), lam_W=c, lam_H=c, lam_b=options.pop("lam_b", c), width=width
    )
    start = random_start(problem, 0, collapsed=collapsed)
    return simulate(problem, start, t1=15 / c, max_steps=1, **options).provenance["integrator"]


def test_the_choice_follows_stiffness_tolerance_and_size() -> None:
    """As measured in numerics/benchmarks/flow.md: mild flows IMEX, stiff small ones LSODA, stiff large ones rkc2."""
    assert cifar_like(0.1) == "kencarp4"
    assert cifar_like(0.1, rtol=1e-10) == "kencarp5"
    assert cifar_like(0.1, lam_b=np.inf) == "tsit5"
    assert cifar_like(1e-3) == "lsoda"
    assert cifar_like(1e-2, rtol=1e-5) == "rkc2"
    assert cifar_like(1e-3, rtol=1e-6, collapsed=False, width=300) == "rkc2"
    assert cifar_like(1e-3, integrator="kencarp5") == "kencarp5"


def test_a_stiff_flow_left_to_itself_comes_to_rest() -> None:
    c = 1e-3 / (4 * 10**0.5)
    problem = Problem(targets=classes(encodings.one_hot(4), 10), lam_W=c, lam_H=c, lam_b=1e-2, width=16)
    flow = simulate(problem, random_start(problem, 0, collapsed=True))
    assert flow.provenance["integrator"] == "lsoda"
    assert flow.status is Status.STEADY
    assert flow.steps < 3000
    large = simulate(problem, random_start(problem, 0, collapsed=True), rtol=1e-6, gtol=1e-7, integrator="rkc2")
    assert large.status is Status.STEADY
    np.testing.assert_allclose(large.record()["singular_values"], flow.record()["singular_values"], atol=1e-5)


def test_what_lsoda_cannot_run_is_refused() -> None:
    problem = Problem(targets=classes(encodings.one_hot(5), 100), lam_W=0.01, lam_H=0.02, width=50)
    with pytest.raises(ProblemError, match="3000 unknowns are too many for its dense Jacobian, at most 2000"):
        simulate(problem, 0, mode="samples", integrator="lsoda")
    small = problem.replace(width=3)
    single = random_start(small, 0, collapsed=True)
    single = single.each(lambda x: x.astype(np.float32))
    with pytest.raises(ProblemError, match="double-precision NumPy arrays only"):
        simulate(small, single, rtol=1e-4, gtol=1e-4, integrator="lsoda")


def test_where_lsoda_gives_up_rkc2_goes_on() -> None:
    """At its limit, with a tolerance of round-off, LSODA finds no step that converges."""
    problem = Problem(targets=classes(encodings.one_hot(3), 5), lam_W=0.03, lam_H=0.03, lam_b=0.3, width=4)
    limit = simulate(problem, 1, gtol=1e-11, rtol=1e-10).state
    flow = simulate(problem, limit, t1=500.0, integrator="lsoda")
    assert flow.status is Status.STEADY
    assert flow.provenance["integrator"] in ("lsoda", "lsoda, then rkc2")
    np.testing.assert_allclose(flow.state.H, limit.H, atol=1e-7)


def test_falling_back_keeps_the_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: LSODA gives up after 30 steps."""
    problem = Problem(targets=classes(encodings.one_hot(3), 5), lam_W=0.03, lam_H=0.03, lam_b=0.3, width=4)
    step, calls = Started.step, []
    monkeypatch.setattr(Started, "step", lambda self: (calls.append(1), step(self))[1] if len(calls) < 30 else None)
    flow = simulate(problem, 1, t1=20.0, rtol=1e-6, integrator="lsoda", save=[2.0, 15.0])
    monkeypatch.undo()
    whole = simulate(problem, 1, t1=20.0, rtol=1e-10, integrator="dopri8")
    assert flow.provenance["integrator"] == "lsoda, then rkc2"
    assert flow.t == 20.0
    np.testing.assert_allclose(flow.state.H, whole.state.H, atol=1e-4)
