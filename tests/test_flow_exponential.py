"""The exponential method: its order, the rates it takes exactly, its Krylov spaces, and where it is chosen."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from ufm import encodings
from ufm.constraints import NonNegative
from ufm.flow import Status, random_start, simulate
from ufm.flow.choice import estimated_costs
from ufm.flow.control import control_of
from ufm.flow.coordinates import coordinates
from ufm.flow.integrators import Exponential, Tableau, integrator
from ufm.flow.jacobian import jacobian
from ufm.flow.krylov import ExponentialStepper, Linear, phi
from ufm.flow.state import checked
from ufm.flow.step import stepper
from ufm.problem import Problem, classes


def method() -> Exponential:
    found = integrator("exprb43")
    assert isinstance(found, Exponential)
    return found


def small_flow(**changes: Any) -> tuple[Any, np.ndarray]:
    targets = classes(encodings.one_hot(3), [1, 2, 3])
    problem = Problem(**{"targets": targets, "lam_W": 0.02, "lam_H": 0.05, "lam_b": 0.1, "width": 4, **changes})
    start = checked(problem, random_start(problem, 3, collapsed=True, scale=1.5))
    at, y = coordinates(problem, start, "auto")
    return at.field, y


def test_phi_functions() -> None:
    """phi_k(z) = (phi_(k-1)(z) - 1/(k-1)!)/z, at a matrix and at zero."""
    A = np.diag([-3.0, -0.2, 0.1]) + 0.05
    previous, factorial = expm(A), 1.0
    for k, found in enumerate(phi(A, 4), start=1):
        previous = np.linalg.solve(A, previous - np.eye(3) / factorial)
        factorial *= k
        np.testing.assert_allclose(found, previous[:, 0], rtol=1e-10)
    np.testing.assert_allclose([x[0] for x in phi(np.zeros((1, 1)), 4)], [1, 1 / 2, 1 / 6, 1 / 24])


@pytest.mark.parametrize("changes", [{}, {"lam_b": np.inf}, {"loss": "cross_entropy"}], ids=["bias", "none", "entropy"])
def test_order_is_four_and_the_estimate_three(changes: dict[str, Any]) -> None:
    field, y0 = small_flow(**changes)
    dopri8 = integrator("dopri8")
    assert isinstance(dopri8, Tableau)
    exact, tight = stepper(field, dopri8, y0), control_of(method(), 1e-13, 1e-13)

    def end(step: Any, steps: int) -> np.ndarray:
        y = y0
        for _ in range(steps):
            y = step(0.0, y, field(y), 2.0 / steps, 1.0).y
        return y

    reference, ours = end(exact, 200), ExponentialStepper(field, method(), tight)
    errors = [float(np.linalg.norm(end(ours, n) - reference)) for n in (16, 32, 64)]
    assert all(3.7 < np.log2(a / b) < 4.3 for a, b in pairwise(errors))
    estimates = [float(np.linalg.norm(ours(0.0, y0, field(y0), h, 1.0).error)) for h in (0.05, 0.025)]
    assert 3.8 < np.log2(estimates[0] / estimates[1]) < 4.2  # one step of a third-order method errs by h^4


def test_linear_flows_are_exact_in_one_step() -> None:
    """With the classifier at zero and no targets, everything decays by itself, however long the step."""
    targets = classes(np.zeros((2, 3)), [2, 3, 4])
    problem = Problem(targets, lam_W=0.3, lam_H=0.01, width=4)
    start = random_start(problem, 0, collapsed=True)
    at, y = coordinates(problem, checked(problem, type(start)(0 * start.W[0], start.H)), "auto")
    step = ExponentialStepper(at.field, method(), control_of(method(), 1e-12, 1e-14))(0.0, y, at.field(y), 50.0, 1.0)
    np.testing.assert_allclose(step.y, np.exp(-0.01 * 50) * y, rtol=1e-7)


def test_a_fast_bias_costs_no_steps() -> None:
    """The bias's rate 1 + lam_b bounds the steps of dopri8, not these; the answers agree."""
    slow, fast = (
        Problem(classes(encodings.one_hot(3), 20), lam_W=2e-3, lam_H=2e-3, lam_b=lam_b, width=4)
        for lam_b in (0.05, 500.0)
    )
    steps = []
    for problem in (slow, fast):
        flow = simulate(problem, 0, t1=300.0, rtol=1e-5, integrator="exprb43")
        steps.append(flow.steps)
        exact = simulate(problem, 0, t1=300.0, rtol=1e-9, integrator="kencarp5")
        np.testing.assert_allclose(flow.state.W[0] @ flow.state.H, exact.state.W[0] @ exact.state.H, atol=1e-4)
    assert steps[1] < 2 * steps[0]


def test_the_law_knows_the_time() -> None:
    """In A-mode the right-hand side depends on t: the same end as with all samples."""
    problem = Problem(classes(encodings.one_hot(3), 9), lam_W=0.03, lam_H=0.03, lam_b=0.2, width=5)
    start = random_start(problem, 0)
    ends = [
        simulate(problem, start, t1=40.0, rtol=1e-6, integrator="exprb43", mode=mode).state.W[0]
        for mode in ("A", "samples")
    ]
    exact = simulate(problem, start, t1=40.0, rtol=1e-12, mode="full").state.W[0]
    for W in ends:
        np.testing.assert_allclose(W, exact, atol=1e-5)


def test_products_are_those_of_the_jacobian() -> None:
    field, y = small_flow()
    dense = jacobian(field)
    assert dense is not None
    v = np.random.default_rng(0).standard_normal(y.size)
    linear = Linear(field, 0.0, y, field(y))
    np.testing.assert_allclose(linear.times(v), dense(0.0, y) @ v, atol=1e-6)


def test_it_keeps_a_constraint_and_comes_to_rest() -> None:
    problem = Problem(classes(encodings.one_hot(3), 4), lam_W=0.03, lam_H=0.03, lam_b=0.2, width=4)
    bound = problem.replace(constraint=NonNegative())
    flow = simulate(bound, 1, rtol=1e-6, gtol=1e-5, integrator="exprb43")
    assert flow.status is Status.STEADY
    assert float(flow.state.H.min()) >= 0
    usual = simulate(problem, 1)
    flow = simulate(problem, 1, rtol=1e-7, gtol=1e-5, integrator="exprb43")
    assert flow.status is Status.STEADY
    assert float(flow.record()["value"]) == pytest.approx(float(usual.record()["value"]), rel=1e-7)


def test_it_is_chosen_where_flows_are_stiff_and_tolerances_tight() -> None:
    K, n, d = 10, 500, 512
    problem = Problem(classes(encodings.one_hot(K), n), lam_W=1e-6, lam_H=1e-6, width=d)
    at, _ = coordinates(problem, checked(problem, random_start(problem, 0, samples=False)), "auto")
    best = {}
    for rtol in (1e-5, 1e-8, 1e-10):
        for Z in (1e2, 1e5):
            costs = estimated_costs(at.field, True, Z, rtol)
            best[rtol, Z] = min(costs, key=lambda name: costs[name])
    assert best[1e-10, 1e5] == "exprb43"
    assert best[1e-5, 1e5] == "rkc2"
    assert best[1e-8, 1e2] == "dopri8"
