"""Symmetry: groups of exchangeable classes and merged roles change the cost, not the answer."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError
from ufm.optimum import OptimumStatus, solve
from ufm.optimum.squared.newton import solve_newton
from ufm.optimum.squared.shrinkage import ShrinkageProblem
from ufm.optimum.squared.solve import solve_wide, solve_with
from ufm.optimum.symmetry import find_groups, reduce_roles
from ufm.problem import Problem, classes, reduce_problem
from ufm.tolerance import roundoff


def grouped_problem(seed):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 12))
    codes = [encodings.one_hot(K), encodings.one_vs_rest(K), encodings.smoothed(K, 0.3), np.eye(K) * -2 + 0.5][seed % 4]
    counts = rng.choice([int(n) for n in 10 ** rng.uniform(0, 4, 3)], K)
    c = 10 ** rng.uniform(-3, 0) / math.sqrt(K * counts.sum())
    tilt = 10 ** rng.uniform(-2, 2)
    lam_b = float(rng.choice([0.0, math.inf, 10 ** rng.uniform(-4, 2)]))
    return Problem(targets=classes(codes, counts), lam_W=c * tilt, lam_H=c / tilt, lam_b=lam_b)


def ungrouped(problem):
    return solve_with(problem, lambda reduced: solve_wide(reduced, "auto"), grouped=False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_groups_say_what_all_classes_say(seed):
    problem = grouped_problem(seed)
    whole, quick, told = ungrouped(problem), solve(problem), solve(problem, method="groups")
    for one in (quick, told):
        assert one.status is OptimumStatus.CERTIFIED
        assert abs(one.gap) <= 1e-12 * max(1, one.value)
        assert one.value == pytest.approx(whole.value, rel=1e-12, abs=1e-14)
        assert one.certificate.rank == whole.certificate.rank
        assert one.certificate.balance <= roundoff(1, 1000)
        assert one.certificate.stationarity <= 1e-9
    member, K = told.member, problem.K
    size = max(float(np.linalg.norm(whole.H)), 1e-12)
    assert np.allclose(quick.gram, whole.gram, atol=1e-8 * size**2)
    assert np.allclose(told.norm[member], np.linalg.norm(whole.H, axis=0), atol=1e-7 * size)
    off = ~np.eye(K, dtype=bool)
    alive = told.norm[member] > 1e-6 * size  # the direction of a feature that is zero to round-off means nothing
    seen = off & alive & alive[:, None]
    assert np.allclose(told.cosine_between[np.ix_(member, member)][seen], whole.cosines[seen], atol=1e-6)
    logits = told.logit_between[np.ix_(member, member)]
    logits[np.diag_indices(K)] = told.logit_own[member]
    assert np.allclose(logits, whole.logits, atol=1e-8 * max(1, float(np.abs(whole.logits).max())))
    assert np.allclose(told.bias[member], whole.b, atol=1e-8)
    spread = np.repeat(told.singular_values, told.multiplicities)
    assert np.allclose(spread, whole.singular_values[: spread.size], atol=1e-8 * max(1, whole.singular_values[0]))
    assert spread.size == whole.certificate.rank


def test_a_million_classes_in_a_second():
    counts = np.repeat([500, 100, 7], [300_000, 300_000, 400_000])
    start = time.perf_counter()
    N = int(counts.sum())
    problem = Problem(targets=classes(encodings.one_hot(10**6), counts), lam_W=1 / N, lam_H=20 / N, lam_b=1e-4)
    optimum = solve(problem, method="groups")
    assert time.perf_counter() - start < 5  # a fraction of a second on an idle core
    assert optimum.status is OptimumStatus.CERTIFIED
    assert abs(optimum.gap) <= 1e-12
    assert 10**5 < optimum.certificate.rank < 10**6  # the small classes are lost
    assert 0 < optimum.norm[0] < 1e-2 * optimum.norm[2]
    assert optimum.cosine_within[0] == pytest.approx(1)  # the lost classes share one feature: the mean's
    assert optimum.record()["group_cosine"].shape == (3, 3)
    assert "groups" in repr(optimum)
    assert "codes" not in problem.classes.encoding.__dict__  # no K x K object was formed
    swept = solve(problem, over={"lam_b": [1e-4, math.inf]})
    assert swept.value[0] == pytest.approx(optimum.value, rel=1e-13)
    with pytest.raises(ProblemError, match="method='groups'"):
        solve(problem)


def assert_same_classes(told, whole, problem):
    """Norms, cosines, logits up to a shift of each column, and singular values: those of all classes written out."""
    member, K = told.member, problem.K
    size = max(float(np.linalg.norm(whole.H)), 1e-12)
    assert np.allclose(told.norm[member], np.linalg.norm(whole.H, axis=0), atol=1e-7 * size)
    alive = told.norm[member] > 1e-6 * size
    seen = ~np.eye(K, dtype=bool) & alive & alive[:, None]
    assert np.allclose(told.cosine_between[np.ix_(member, member)][seen], whole.cosines[seen], atol=1e-6)
    logits = told.logit_between[np.ix_(member, member)]
    logits[np.diag_indices(K)] = told.logit_own[member]
    off = logits - whole.logits
    assert np.allclose(off, off.mean(axis=0), atol=1e-7 * max(1, float(np.abs(whole.logits).max())))
    spread = np.repeat(told.singular_values, told.multiplicities)
    assert spread.size == told.certificate.rank == whole.certificate.rank
    assert np.allclose(spread, whole.singular_values[: spread.size], atol=1e-7 * max(1, whole.singular_values[0]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_groups_say_what_all_classes_say_under_cross_entropy(seed):
    problem = grouped_problem(seed)
    K, rng = problem.K, np.random.default_rng(seed)
    codes = [encodings.one_hot(K), encodings.smoothed(K, 0.3), 0.7 * np.eye(K) + 0.1, 1 - 0.9 * np.eye(K)][seed % 4]
    scale = 10 ** rng.uniform(-1.5, 0.5)
    targets = classes(codes, problem.classes.counts)
    weights = {"lam_W": scale * problem.lam_W[0], "lam_H": scale * problem.lam_H, "lam_b": problem.lam_b}
    problem = Problem(targets, **weights, loss="cross_entropy")
    whole, told = solve(problem), solve(problem, method="groups")
    assert told.status is OptimumStatus.CERTIFIED
    assert told.certificate.relative_gap <= 1e-9
    assert told.value == pytest.approx(whole.value, rel=1e-9)
    assert told.certificate.balance <= 1e-12
    assert told.certificate.stationarity <= 1e-7
    assert_same_classes(told, whole, problem)


@pytest.mark.parametrize("lam_b", [0.0, 0.02, 3.0, math.inf])
@pytest.mark.parametrize("layers", [2, 3])
def test_groups_say_what_all_classes_say_under_several_layers(layers, lam_b):
    cases = (encodings.one_hot, [60] * 6), (encodings.one_vs_rest, [60, 60, 9, 9, 9]), (np.eye, [5, 3, 2])
    for make, counts in cases:
        targets = classes(make(len(counts)), counts)
        problem = Problem(targets, lam_W=(0.02,) * (layers - 1) + (0.03,), lam_H=0.01, lam_b=lam_b)
        whole, told = solve(problem), solve(problem, method="groups")
        assert told.value == pytest.approx(whole.value, rel=1e-11)
        assert told.lower_bound <= told.value * (1 + 1e-15)
        assert told.certificate.stationarity <= 1e-10
        assert told.certificate.balance <= 1e-12
        assert_same_classes(told, whole, problem)
        if whole.status is OptimumStatus.PROVED or len(set(counts)) in (1, 3):
            assert told.status is whole.status


def test_where_groups_do_not_reach_is_said():
    targets = classes(encodings.one_hot(6), [5, 5, 5, 2, 2, 2])
    entropy = Problem(targets, lam_W=0.01, lam_H=0.01, loss="cross_entropy")
    with pytest.raises(ProblemError, match="not alpha I"):
        solve(entropy.replace(targets=classes(np.array(encodings.simplex(6)) + 1.0, 5)), "groups")
    with pytest.raises(ProblemError, match="targets >= 0"):
        solve(entropy.replace(targets=classes(encodings.one_vs_rest(6), 5)), "groups")
    with pytest.raises(ProblemError, match="width = 2"):
        solve(entropy.replace(width=2), "groups")
    with pytest.raises(ProblemError, match="one problem a call"):
        solve(entropy, "groups", over={"lam_b": [1.0]})
    for weights, status in (((0.0, 0.0), "AT_INFINITY"), ((0.0, 0.1), "AT_INFINITY")):
        bare = entropy.replace(lam_W=weights[0], lam_H=weights[1])
        found = solve(bare, "groups")
        assert found.status is OptimumStatus[status]
        assert found.value == pytest.approx(0, abs=1e-12)
        soft = bare.replace(targets=classes(encodings.smoothed(6, 0.1), targets.counts))
        told, whole = solve(soft, "groups"), solve(soft)
        assert told.status is whole.status
        assert told.value == pytest.approx(whole.value, rel=1e-12)
        assert_same_classes(told, whole, soft)


def test_a_planted_asymmetry_is_seen():
    K = 6
    problem = Problem(targets=classes(encodings.one_hot(K), 5), lam_W=0.01, lam_H=0.01)
    assert find_groups(problem.replace(targets=classes(np.eye(K), 5))) is not None
    spoilt = np.eye(K)
    spoilt[3, 4] = 1e-9
    assert find_groups(problem.replace(targets=classes(spoilt, 5))) is None
    with pytest.raises(ProblemError, match="no rotation of alpha I"):
        solve(problem.replace(targets=classes(encodings.ordinal(6), 5)), method="groups")
    with pytest.raises(ProblemError, match="width = 2"):
        solve(problem.replace(width=2), method="groups")


@pytest.mark.parametrize("lam_b", [0.0, 0.02, math.inf])
def test_groups_of_turned_codes_say_what_all_classes_say(lam_b):
    """Simplex and orthogonal codes are alpha I + beta 11' up to a rotation, which no norm, cosine or value sees."""
    rng = np.random.default_rng(1)
    turned = np.linalg.qr(rng.standard_normal((9, 6)))[0] @ (2 * np.eye(6) + 0.7)
    for codes in (encodings.simplex(6), encodings.hadamard(8), turned):
        K = np.asarray(codes).shape[1]
        counts = np.repeat([40, 5], [K // 2, K - K // 2])
        problem = Problem(classes(codes, counts), lam_W=0.004, lam_H=0.002, lam_b=lam_b)
        whole, told = solve(problem), solve(problem, method="groups")
        assert told.status is OptimumStatus.CERTIFIED
        assert told.value == pytest.approx(whole.value, rel=1e-12)
        assert told.certificate.rank == whole.certificate.rank
        assert np.allclose(told.norm[told.member], np.linalg.norm(whole.H, axis=0), atol=1e-9)
        off = ~np.eye(K, dtype=bool)
        assert np.allclose(told.cosine_between[np.ix_(told.member, told.member)][off], whole.cosines[off], atol=1e-9)
        spread = np.repeat(told.singular_values, told.multiplicities)
        assert np.allclose(spread, whole.singular_values[: spread.size], rtol=1e-9)
    spoilt = np.array(encodings.simplex(6).codes)
    spoilt[2, 3] += 1e-9
    with pytest.raises(ProblemError, match="no rotation"):
        solve(problem.replace(targets=classes(spoilt, 5)), method="groups")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_equal_codes_merge_into_one_role(seed):
    rng = np.random.default_rng(seed)
    roles, K = int(rng.integers(1, 5)), int(rng.integers(5, 9))
    m = K + int(rng.integers(0, 3))
    codes = rng.standard_normal((m, roles))[:, rng.integers(0, roles, K)]
    problem = Problem(targets=classes(codes, rng.integers(1, 50, K)), lam_W=0.02, lam_H=0.01, lam_b=0.2)
    merged = reduce_roles(problem)
    assert merged.A.shape[1] == np.unique(codes, axis=1).shape[1] < K
    plain = ShrinkageProblem.of(problem, reduce_problem(problem))
    direct, _ = solve_newton(plain)
    optimum = solve(problem)
    assert abs(optimum.gap) <= 1e-12 * max(1, optimum.value)
    assert np.allclose(optimum.b, direct.b, atol=1e-10)
    Z = direct.X / plain.u + direct.b[:, None]
    assert np.allclose(optimum.logits, Z, atol=1e-9)
    assert optimum.singular_values.size == min(m, K)


@pytest.mark.parametrize("lam_b", [0.0, 2.0, math.inf])
def test_classes_that_all_have_one_code_are_one_class(lam_b):
    """Such codes are exchangeable too: they must not be told as groups after they were merged."""
    weights = {"lam_W": 0.005, "lam_H": 0.005, "lam_b": lam_b}
    alike = solve(Problem(classes(np.ones((2, 2)), [1, 3]), **weights))
    one = solve(Problem(classes(np.ones((2, 1)), 4), **weights))
    assert alike.status is OptimumStatus.CERTIFIED
    assert alike.value == pytest.approx(one.value, rel=1e-12)
    np.testing.assert_allclose(alike.gram, np.full((2, 2), one.gram[0, 0]), atol=1e-12)
