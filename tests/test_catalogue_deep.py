"""The deep section of the catalogue: refutations and thresholds by hand, competitors, what a proof must not reach."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from ufm import encodings
from ufm.catalogue import Beaten, Equals, Named, Unbeaten, catalogue
from ufm.errors import UfmError, UncertifiedError
from ufm.optimum import solve
from ufm.problem import Problem, classes, objective
from ufm.referee import Verdict, check
from ufm.referee.descent import descend
from ufm.referee.evidence import optimum_oracle
from ufm.referee.proof import prove_statement
from ufm.symbols import N, lam_H, n
from ufm.theorems import dang2023_deep_ce, dang2023_deep_mse, garrod2024, sukenik2023, symmetric_bias
from ufm.theorems.dang2023_deep_ce import BLOCKS, COLLAPSE, blocks, deep, simplex
from ufm.theorems.dang2023_deep_mse import PREDICTED, ZERO, kept_roots, printed_threshold, roots, strength

CATALOGUE = catalogue()


def fifth() -> Problem:
    """K = 2, n = 1, M = 2, all weights 1/5: n lam_H lam_W^2 = 1/125, just above the threshold 1/128."""
    return Problem(classes(encodings.one_hot(2), 1), lam_W=(0.2, 0.2), lam_H=0.2)


def test_the_largest_root_fails_by_hand():
    # b = 2 * 2 (2/125)^(1/2) = 0.50596..; 2x = b (x^2 + 1)^2 has the roots 0.3347 and 0.9812, and zero costs 1/2
    problem, b = fifth(), 4 * math.sqrt(2 / 125)
    assert strength(problem) == pytest.approx([b, b], rel=1e-14)
    real = [z.real for z in np.roots([b, 0, 2 * b, -2, b]) if abs(z.imag) < 1e-9]
    assert roots(problem) == pytest.approx([max(real)] * 2, rel=1e-12)
    x = max(real)
    assert x**2 < 1  # M - 1
    kappa = x**2 / (x**2 + 1)
    assert PREDICTED.value(problem) == pytest.approx((1 - kappa) * (1 + 2 * kappa) / 2, rel=1e-12)
    assert PREDICTED.value(problem) > 0.5 + 1e-3
    assert ZERO.value(problem) == 0.5
    assert solve(problem).value == pytest.approx(0.5, rel=1e-14)
    assert descend(problem)["value"].values == 0.5
    assert np.all(kept_roots(problem) == 0)


def test_the_papers_own_experiments_lie_outside_the_metastable_band():
    for layers in (1, 3, 6):
        for counts in ([100] * 4, [200, 100, 50, 50]):
            problem = Problem(classes(encodings.one_hot(4), counts), lam_W=(5e-4,) * layers, lam_H=5e-4)
            assert np.all(roots(problem) == kept_roots(problem))
            if layers > 1:
                assert solve(problem).value == pytest.approx(PREDICTED.value(problem), rel=1e-12)


@pytest.mark.parametrize(("K", "n", "layers"), [(2, 1, 2), (3, 5, 3), (7, 40, 6)])
def test_the_printed_threshold_is_where_zero_takes_over(K, n, layers):
    def rank(level):
        point = {"K": K, "n": n, "M": layers, "level": level, "aspect": 2.0, "tilt": 1.5}
        problem = dang2023_deep_mse.no_bias(point)
        assert printed_threshold(problem) == pytest.approx(level, rel=1e-12)
        return solve(problem).certificate.rank

    assert rank(1 - 1e-9) == K
    assert rank(1 + 1e-9) == 0


def test_two_classes_have_the_threshold_of_sukenik2023_by_hand():
    # L = 2: 1^1/(2^3 2^4) = 1/128
    assert sukenik2023.threshold.subs(sukenik2023.L, 2) == sp.Rational(1, 128)
    for weight, rank in ((1 / 125, 0), (1 / 129, 2)):
        problem = fifth().replace(lam_W=(1.0, 1.0), lam_H=weight)
        assert solve(problem).certificate.rank == rank


def nc_and_blocks(K, layers, margin):
    """Fit and penalty (in units of p/2 Lam n^(q/2)) of both, in scalars."""
    q, pairs, triple = 2 / (layers + 1), (K - 3 * (K % 2)) // 2, K % 2
    y = math.exp(-margin)
    collapse = math.log(1 + (K - 1) * y), (K - 1) * margin**q
    fit = 2 * pairs * math.log(1 + y**2 + (K - 2) * y) + 3 * triple * math.log(1 + 2 * y**1.5 + (K - 3) * y)
    return collapse, (fit / K, pairs * (2 * margin) ** q + 2 * triple * (1.5 * margin) ** q)


@pytest.mark.parametrize(("K", "layers"), [(4, 3), (5, 3), (6, 2), (7, 2), (9, 5)])
def test_blocks_of_two_beat_deep_collapse_in_scalars(K, layers):
    collapse, low_rank = nc_and_blocks(K, layers, 8.0)
    assert low_rank[0] < collapse[0]
    assert low_rank[1] < collapse[1]
    problem = deep({"K": K, "n": 3, "M": layers, "margin": 8.0, "aspect": 1.5})
    q = 2 / (layers + 1)
    unit = (layers + 1) / 2 * problem.Lam * 3 ** (q / 2)
    assert COLLAPSE.value(problem) == pytest.approx(collapse[0] + unit * collapse[1], rel=1e-10)
    assert BLOCKS.value(problem) == pytest.approx(low_rank[0] + unit * low_rank[1], rel=1e-10)


def test_where_the_condition_of_garrod2024_fails_the_blocks_pay_more():
    assert garrod2024.THEOREMS[1].applies(garrod2024.THEOREMS[1].problem({"K": 4, "n": 1, "M": 3, "margin": 8.0}))
    shallow = garrod2024.THEOREMS[1].problem({"K": 4, "n": 1, "M": 2, "margin": 8.0})
    assert not garrod2024.THEOREMS[1].applies(shallow)  # 2 * 2^(2/3) = 3.17 > 3
    collapse, low_rank = nc_and_blocks(4, 2, 8.0)
    assert low_rank[1] > collapse[1]


def test_blocks_keep_every_margin():
    for K in range(2, 12):
        Z = blocks(K)
        margins = np.diag(Z)[None, :] - Z
        assert np.all(margins[~np.eye(K, dtype=bool)] >= 1 - 1e-12)


@pytest.mark.parametrize("name", ["dang2023_deep_ce:thmA_1", "dang2023_deep_mse:released_code"])
def test_a_refutation_is_small_and_confirmed(name):
    report = check(CATALOGUE[name], samples=4)
    found = report.counterexample
    assert report.verdict is Verdict.REFUTED
    assert found is not None
    assert isinstance(found.problem, Problem)
    assert found.problem.K <= 4
    assert found.problem.N <= 4
    assert found.in_tolerances >= 1e3
    assert found.independent is not None
    assert found.independent <= found.found + 1e-9  # descents from random starts know of no candidate
    assert found.independent < found.claimed - 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("layers", [2, 3])
def test_descents_do_not_beat_collapse_of_two_classes(layers):
    problem = deep({"K": 2, "n": 3, "M": layers, "margin": 4.0, "aspect": 1.5})
    assert float(descend(problem, starts=20)["value"].values) >= COLLAPSE.value(problem) - 1e-9


PERTURBED = {
    "dang2023_deep_mse:released_code_corrected": lambda e: e.xreplace({N: N + 1}),
    "dang2023_deep_mse:thm3_1": lambda e: 2 * e,
    "dang2023_deep_mse:thm3_2": lambda e: e.xreplace({lam_H: lam_H**2}),
    "symmetric_bias:every_depth": lambda e: e.xreplace({n: n + 1}),
    "sukenik2023:threshold": lambda e: e.xreplace({n: 2 * n}),
}


@pytest.mark.parametrize("name", PERTURBED)
def test_a_proof_does_not_reach_a_perturbed_claim(name):
    theorem = CATALOGUE[name]
    first = theorem.claims[0]
    assert isinstance(first, Equals)
    changed = replace(first, expression=PERTURBED[name](first.expression))
    assert prove_statement(theorem).stands
    assert not prove_statement(replace(theorem, claims=(changed, *theorem.claims[1:]))).stands


def test_a_mean_direction_without_its_weight_is_refuted():
    """tau for tau/rho in the mean direction: the proof of the symmetric bias speaks of letters, the numbers do not."""
    theorem = CATALOGUE["symmetric_bias:every_depth"]
    claims = []
    for claim in theorem.claims:
        assert isinstance(claim, Equals)
        claims.append(replace(claim, letters={**claim.letters, symmetric_bias.x_0: claim.letters[symmetric_bias.x]}))
    report = check(replace(theorem, claims=tuple(claims)), samples=8)
    assert report.verdict is Verdict.REFUTED
    assert report.counterexample is not None
    assert report.counterexample.in_tolerances >= 1e3


def test_a_proof_does_not_reach_the_reverse_comparison():
    theorem = CATALOGUE["garrod2024:thm1"]
    assert prove_statement(theorem).stands
    reverse = replace(theorem, claims=(Beaten(BLOCKS, COLLAPSE),))
    assert not prove_statement(reverse).stands
    report = check(replace(reverse, no_proof="planted"), samples=4)
    assert report.verdict is Verdict.REFUTED
    assert report.counterexample is not None
    assert report.counterexample.independent is None  # the best of all points says nothing about these two
    assert "no second computation confirms" in report.meaning


def test_named_points_are_compared_with_the_optimum():
    oracle, problem = optimum_oracle(), fifth()
    assert Unbeaten(ZERO).violation(problem, oracle).ratio < 1e-3
    assert Unbeaten(PREDICTED).violation(problem, oracle).found == pytest.approx(0.5, rel=1e-14)


@pytest.mark.slow
def test_named_points_are_compared_with_what_a_search_found():
    oracle = optimum_oracle()
    uncertified = deep({"K": 4, "n": 1, "M": 3, "margin": 6.0, "aspect": 1.0})
    with pytest.raises(UncertifiedError) as error:
        oracle(uncertified)
    found = Unbeaten(COLLAPSE).violation(uncertified, oracle)
    assert found.by == "the best point of a search"
    assert found.found == error.value.value < COLLAPSE.value(uncertified)
    scaled = Named("twice the margin", lambda p: simplex(p, 12.0))
    assert Beaten(scaled, COLLAPSE).violation(uncertified, oracle).ratio <= 1
    assert float(objective(uncertified, *scaled.build(uncertified))) == scaled.value(uncertified)


def test_descents_agree_with_certified_optima_and_refuse_what_they_cannot_do():
    from ufm.constraints import HardMargin, NonNegative

    problem = Problem(classes(encodings.one_hot(3), [3, 2, 1]), lam_W=0.05, lam_H=0.05, lam_b=0.3)
    assert float(descend(problem, starts=3)["value"].values) == pytest.approx(solve(problem).value, abs=1e-9)
    relu = problem.replace(loss="cross_entropy", lam_b=math.inf, constraint=NonNegative())
    assert float(descend(relu, starts=3)["value"].values) == pytest.approx(solve(relu).value, abs=1e-8)
    with pytest.raises(UfmError, match="HardMargin"):
        descend(relu.replace(constraint=HardMargin()))


def test_margins_are_found_and_absent_ones_reported():
    problem = deep({"K": 5, "n": 2, "M": 2, "margin": 7.0, "aspect": 2.0})
    assert dang2023_deep_ce.best_margin(problem) == pytest.approx(7.0, rel=1e-9)
    assert dang2023_deep_ce.best_margin(problem.replace(lam_H=1e6)) == 0
