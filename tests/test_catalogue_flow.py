"""Statements about flows on their way: closed forms against mpmath, planted errors, and what starts are asked for."""

import dataclasses
from dataclasses import replace
from functools import partial
from typing import Any

import mpmath  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import pytest
import sympy as sp

from ufm import encodings
from ufm.catalogue import Along, Conserved, Falls, LateSlope, Motion, Rises, Tends, catalogue
from ufm.catalogue.motion import x
from ufm.catalogue.riccati import Riccati
from ufm.catalogue.starts import stacked_targets
from ufm.errors import UfmError
from ufm.flow import balanced_start
from ufm.problem import Problem, classes
from ufm.referee import Verdict, check
from ufm.referee.paths import path_oracle
from ufm.referee.proof import prove_statement
from ufm.symbols import N, lam_H, sigma, time

CATALOGUE = catalogue()
LOGISTIC = CATALOGUE["trajectories:logistic_modes"]
CURVE: Any = LOGISTIC.along[0]


def first_motion(theorem, **point) -> Motion:
    """The simplest flow of a statement."""
    return theorem.motion({**next(theorem.domain.small()), **point})


def textbook(F: np.ndarray, Q0: np.ndarray, N: int, t: float) -> np.ndarray:
    """The Riccati solution as printed, in six hundred digits."""
    with mpmath.workdps(600):
        f, V = mpmath.eigsy(mpmath.matrix(F.tolist()))
        gains = [(mpmath.exp(2 * e * t) - 1) / (2 * e) if abs(e) > mpmath.mpf(10) ** -30 else mpmath.mpf(t) for e in f]
        E, G = V * mpmath.diag([mpmath.exp(e * t) for e in f]) * V.T, V * mpmath.diag(gains) * V.T
        Q = mpmath.matrix(Q0.tolist())
        inner = mpmath.eye(Q0.shape[1]) + Q.T * G * Q / N
        return np.array((E * Q * inner**-1 * Q.T * E).tolist(), dtype=float)


@pytest.mark.parametrize(("m", "K", "d", "l"), [(3, 3, 3, 0.01), (3, 3, 5, 0.05), (3, 4, 4, 0.0), (4, 3, 2, 0.02)])
def test_the_riccati_solution_keeps_its_digits(m, K, d, l):
    rng, samples = np.random.default_rng(m + d), 9
    A = rng.standard_normal((m, K)) / samples
    F = np.block([[np.zeros((m, m)), A], [A.T, np.zeros((K, K))]]) - l * np.eye(m + K)
    Q0 = 0.3 * rng.standard_normal((m + K, d))
    flow = Riccati.of(F, Q0, samples)
    for t in (0.0, 1.0, 30.0, 1000.0):
        expected = textbook(F, Q0, samples, t)
        np.testing.assert_allclose(flow.at(t), expected, atol=1e-13 * np.abs(expected).max())
    assert np.all(np.isfinite(flow.at(1e9)))


def test_a_saddle_bound_start_is_reported_and_still_followed():
    """W = -H' along the leading direction: the exact flow never leaves the saddle, though every integrator does."""
    problem = Problem(targets=classes(encodings.one_hot(2), [1, 2]), lam_W=0.01, lam_H=0.01)
    F = stacked_targets(problem) - 0.01 * np.eye(4)
    W, Ht = np.eye(2, 3), np.eye(2, 3)
    Ht[1] *= -1  # sigma = sqrt(2) belongs to the second class
    flow = Riccati.of(F, np.vstack([W, Ht]), problem.N)
    assert flow.saddle_bound
    assert not Riccati.of(F, np.vstack([W, np.eye(2, 3)]), problem.N).saddle_bound
    for t in (1.0, 10.0, 200.0):
        expected = textbook(F, np.vstack([W, Ht]), problem.N, t)
        np.testing.assert_allclose(flow.at(t), expected, atol=1e-12)
    end = flow.at(1e6)
    np.testing.assert_allclose(end[1, 3], 0, atol=1e-12)  # the missed mode is never learned
    np.testing.assert_allclose(end[0, 2], 1 - 3 * 0.01, atol=1e-12)  # the other one is


@pytest.mark.parametrize("d", [2, 3, 5])
def test_equal_rates_share_the_directions_that_there_are(d):
    """Equal classes: three equal rates, and a start that has two directions along them; no row is before another."""
    problem = Problem(targets=classes(encodings.one_hot(3), 2), lam_W=0.01, lam_H=0.01)
    F = stacked_targets(problem) - 0.01 * np.eye(6)
    Q0 = np.vstack([np.eye(3, d), np.eye(3, d)])
    Q0[2], Q0[5] = Q0[0], Q0[0]
    flow = Riccati.of(F, Q0, problem.N)
    assert flow.taken.size == 2
    assert flow.saddle_bound
    for t in (1.0, 10.0, 100.0):
        expected = textbook(F, Q0, problem.N, t)
        np.testing.assert_allclose(flow.at(t), expected, atol=1e-12 * np.abs(expected).max())


def _slowness(D, end, u):
    """dt/du of a mode of D layers on its way to `end`."""
    return 1 / (D * u ** (2 - mpmath.mpf(2) / D) * (end - u))


def test_deep_modes_against_many_digits():
    from ufm.theorems.saxe2014 import deep_mode

    with mpmath.workdps(30):
        for D, start, end, t in [(3, 0.1, 1.5, 2.0), (4, 2.5, 1.5, 0.7), (5, 0.05, 2.0, 1.5)]:
            s = deep_mode(t, start, end, D)
            clock: Any = mpmath.quad(partial(_slowness, D, end), [start, s])
            assert float(clock) == pytest.approx(t, rel=1e-10)
    assert deep_mode(3.0, 1.5, 1.5, 3) == 1.5


def test_a_critical_mode_dies_out_algebraically():
    """At l = sigma/N the logistic curve is s(0)/(1 + 2 s(0) t/N), which the formula itself cannot evaluate."""
    motion = first_motion(LOGISTIC, l_rel=1.0, K=2)
    modes = LOGISTIC.follow(motion)["modes"].values
    start, samples = modes[0, 0], motion.problem.N
    np.testing.assert_allclose(modes[:, 0], start / (1 + 2 * start * motion.times / samples), rtol=1e-12)


def test_a_start_that_is_not_meant_is_named():
    motion = first_motion(LOGISTIC)
    tilted = dataclasses.replace(motion, H=motion.H + 0.1)
    assert LOGISTIC.watches(motion)
    assert not LOGISTIC.watches(tilted)
    with pytest.raises(UfmError, match="the start is aligned"):
        LOGISTIC.follow(tilted)


PLANTED = {
    "a lost factor 2": lambda: replace(CURVE, expression=CURVE.expression.subs(time, time / 2), evaluate=None),
    "decay at the wrong rate": lambda: Conserved("grams_difference", sp.exp(lam_H * time) * x + 1),
    "a rise for a fall": lambda: Falls("modes"),
    "no change where there is one": lambda: Rises("value", strict=True),
    "a limit that is missed": lambda: Tends("modes", sigma),
    "a slope that is too steep": lambda: LateSlope("modes", 4 * sigma / N, reading=sp.log(x)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_is_refuted_with_its_start(name):
    theorem = replace(LOGISTIC, along=(PLANTED[name](),))
    report = check(theorem, samples=4)
    assert not report.proof.stands
    if name in ("decay at the wrong rate", "a slope that is too steep"):  # balanced: zero decays at any rate
        assert report.verdict is not Verdict.PROVED
        return
    assert report.verdict is Verdict.REFUTED, str(report)
    found = report.counterexample
    assert found is not None
    assert found.motion is not None
    assert found.independent == pytest.approx(found.found, rel=1e-5, abs=1e-7)
    assert "from the start" in found.sentence()
    assert report.to_dict()["counterexample"]["motion"]["start"]["W"]


def test_a_strict_claim_is_broken_by_a_run_that_stays():
    """Balanced Gram matrices differ by zero for ever: not a strict decrease."""
    report = check(replace(LOGISTIC, along=(Falls("grams_difference", strict=True),), no_proof="planted"), samples=2)
    assert report.verdict is Verdict.REFUTED
    assert report.counterexample is not None
    assert report.counterexample.in_tolerances == float("inf")


PERTURBED = {
    "trajectories:logistic_modes": lambda e: e.subs(time, 2 * time),
    "trajectories:saturation": lambda e: 2 * e,
    "trajectories:early_growth": lambda e: e / 2,
    "trajectories:within_class": lambda e: e**2,
    "trajectories:riccati": lambda e: 2 * e,
}


@pytest.mark.parametrize("name", PERTURBED)
def test_a_proof_does_not_reach_a_perturbed_claim(name):
    theorem = CATALOGUE[name]
    first = theorem.along[0]
    assert isinstance(first, Along)
    changed = replace(first, expression=PERTURBED[name](first.expression))
    assert prove_statement(theorem).stands
    assert not prove_statement(replace(theorem, along=(changed, *theorem.along[1:]))).stands


def test_the_paths_of_two_integrators_agree():
    motion = first_motion(CATALOGUE["trajectories:riccati"])
    ours, scipys = (path_oracle(name)(motion)["factors_gram"].values for name in ("auto", "lsoda"))
    np.testing.assert_allclose(ours, scipys, atol=1e-8)


def test_a_statement_that_waits_for_records_says_so():
    waiting = replace(LOGISTIC, needs="recorded networks (campaign none)", no_proof="planted")
    report = check(waiting, samples=2)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.headline().endswith("inconclusive: needs recorded networks (campaign none)")


@pytest.mark.parametrize("ratio", [0.0, 0.5, 3.0, np.inf])
def test_the_least_eigenvalue_is_that_of_the_optimum(ratio):
    """The blocks of the statement against the optimum's own Hessian, rotations left out, features collapsed."""
    from ufm.optimum import solve
    from ufm.optimum.curvature import curvature
    from ufm.theorems.hessian_spectrum import eigenvalues

    t, K, n = 0.3, 3, 2
    l = t / (K * n**0.5)
    targets = classes(encodings.one_hot(K), n)
    problem = Problem(targets=targets, lam_W=l, lam_H=l, lam_b=ratio * t / (1 - t), width=K + 1)
    optimum = solve(problem)
    found = curvature(problem, optimum.W, optimum.H, optimum.b)
    assert min(eigenvalues(problem)) == pytest.approx(found.least, rel=1e-8)


def test_theorem_4_2_fails_by_hand_for_one_sample_a_class():
    """c = 1/4, lam_W = lam_H: no features within a class, so the least is 10/(10 + 4 (1/4)(3/4)), not 1 - 1/10."""
    found = check(CATALOGUE["tirer2023:thm4_2"], samples=2).counterexample
    assert found is not None
    assert found.found == pytest.approx(10 / 10.75, rel=1e-9)
    assert found.claimed == pytest.approx(0.9, rel=1e-12)
    assert found.independent == pytest.approx(found.found, rel=1e-7)


def test_class_means_that_coincide_stay_together_on_the_central_path():
    theorem = CATALOGUE["tirer2023:thm3_1_between"]
    motion = first_motion(theorem, start="within")
    between = path_oracle()(motion)["trace_between"].values
    assert np.all(between < 1e-28)
    assert not CATALOGUE["tirer2023:thm3_1_between_corrected"].watches(motion)


def test_logistic_modes_arrive_and_stay_there():
    """At late times e^{at} is beyond the largest double; the mode is at its end, sigma - N l, or gone."""
    for l in (0.002, 0.08):  # s_inf > 0, and < 0
        problem = Problem(classes(encodings.one_hot(4), 25), lam_W=l, lam_H=l, width=8)
        start = balanced_start(problem, 0, scale=0.4)
        motion = Motion(problem, start.W, np.repeat(start.H, 25, axis=1), np.array([0.0, 10.0, 1e5]))
        modes = catalogue()["trajectories:logistic_modes"].follow(motion)["modes"].values
        s, end, a = 0.16, 5 - 100 * l, 2 * (5 - 100 * l) / 100
        np.testing.assert_allclose(modes[0], s, rtol=1e-12)
        np.testing.assert_allclose(modes[1], end / (1 + (end / s - 1) * np.exp(-10 * a)), rtol=1e-12)
        np.testing.assert_allclose(modes[2], max(end, 0.0), rtol=1e-12, atol=1e-100)


def test_what_claims_no_number_of_an_optimum_says_what_it_speaks_of():
    problem = Problem(classes(encodings.one_hot(4), 25), lam_W=0.002, lam_H=0.002, width=8)
    for name, said in (("trajectories:logistic_modes", "follow"), ("trajectories:late_collapse", "ufm show")):
        with pytest.raises(UfmError, match=said):
            catalogue()[name].predict(problem)
