"""The tableaux: order conditions on rooted trees, the damping they claim, and the order they show on a flow."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from ufm import encodings
from ufm.errors import ProblemError
from ufm.flow.coordinates import coordinates
from ufm.flow.integrators import Tableau, available, integrator
from ufm.flow.start import random_start
from ufm.flow.state import checked
from ufm.flow.step import stepper
from ufm.problem import Problem, classes
from ufm.tolerance import roundoff

Tree = tuple["Tree", ...]
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


def error_after(tableau: Tableau, steps: int, reference: np.ndarray, t: float = 4.0) -> float:
    at, y = small_flow(bias=True)
    step = stepper(at.field, tableau, y)
    for _ in range(steps):
        y, _, _ = step(0.0, y, at.field(y), t / steps)
    return float(np.linalg.norm(y - reference))


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    at, y = small_flow(bias=True)
    step = stepper(at.field, integrator("dopri8"), y)
    for _ in range(400):
        y, _, _ = step(0.0, y, at.field(y), 4.0 / 400)
    return y


def test_trees_are_counted_as_known() -> None:
    assert [len(trees(n)) for n in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]


@pytest.mark.parametrize("name", available())
def test_order_conditions(name: str) -> None:
    tableau = integrator(name)
    allowed = PUBLISHED_ROUNDING.get(name, roundoff(8))
    for order in range(1, tableau.order + 1):
        assert defect(tableau, tableau.weights, order) <= allowed
    embedded = np.asarray(tableau.b_embedded)
    for order in range(1, tableau.embedded_order + 1):
        assert defect(tableau, embedded, order) <= allowed
    assert defect(tableau, tableau.weights, tableau.order + 1) > 1e-6
    assert defect(tableau, embedded, tableau.order) > 1e-6  # else there is no error to estimate


@pytest.mark.parametrize("name", available())
def test_both_parts_share_their_abscissae(name: str) -> None:
    tableau = integrator(name)
    np.testing.assert_allclose(tableau.implicit_matrix.sum(axis=1), tableau.c, atol=PUBLISHED_ROUNDING.get(name, 1e-15))


def test_a_wrong_digit_is_caught() -> None:
    good = integrator("kencarp4")
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


@pytest.mark.parametrize("name", available())
def test_steps_within_reach_damp_every_mode(name: str) -> None:
    """Up to damps / h nothing survives, and slow modes keep at least half their rate; soon after something does."""
    tableau = integrator(name)

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
STEPS = {"tsit5": (20, 40), "dopri8": (6, 12), "kencarp4": (40, 80), "kencarp5": (40, 80)}


@pytest.mark.parametrize("name", available())
def test_measured_order(name: str, reference: np.ndarray) -> None:
    tableau = integrator(name)
    coarse, fine = (error_after(tableau, steps, reference) for steps in STEPS[name])
    assert fine > roundoff(10)
    assert np.log2(coarse / fine) > tableau.order - 0.4


def test_unknown_integrator_names_the_nearest() -> None:
    with pytest.raises(ProblemError, match="did you mean 'kencarp5'"):
        integrator("kencarp")
