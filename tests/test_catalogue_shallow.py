"""The shallow section of the catalogue: paper's weights, formulae with indices and matrices, refutations by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

from ufm import encodings, symbols
from ufm.catalogue import Equals, catalogue
from ufm.catalogue.formula import Formula
from ufm.derivation.agree import agree, agree_matrix
from ufm.derivation.directions import DIRECTIONS
from ufm.errors import UfmError
from ufm.optimum import solve
from ufm.problem import Problem, classes, samples
from ufm.problem.scaling import scaling
from ufm.referee import Verdict, check
from ufm.referee.evidence import optimum_oracle
from ufm.referee.proof import prove_statement
from ufm.symbols import COV_ROOT, N, SoftThreshold, cov, delta_kl, lam_H, lam_W, m, n_k, sigma, sigma_c

Total: Any = symbols.Total
CATALOGUE = catalogue()


def square() -> Problem:
    """Y = +-(2, 2), +-(1, -1), so Sigma = [[2.5, 1.5], [1.5, 2.5]] with eigenvalues 4 and 1; c = 1.5 * 1.5 = 2.25."""
    Y = [[2.0, -2.0, 1.0, -1.0], [2.0, -2.0, -1.0, 1.0]]
    ours = scaling("andriopoulos2024").to_ours({"lam_W": 1.5, "lam_H": 1.5}, 1, 4)
    return Problem(targets=samples(Y), lam_b=0.0, **ours)


def test_theorem_4_1_as_printed_fails_by_hand():
    # the leading direction u = (1, 1)/sqrt 2 has sqrt(4) - sqrt(2.25) = 1/2 left, so WW' = uu'/2: all entries 1/4.
    # A^{1/2} = sqrt(1/2) uu' has the first column sqrt(1/8) (1, 1)'; it alone gives entries 1/8
    problem, printed = square(), CATALOGUE["andriopoulos2024:thm4_1"]
    optimum = solve(problem)
    np.testing.assert_allclose(optimum.product @ optimum.product.T, np.full((2, 2), 1 / 4), atol=1e-12)
    np.testing.assert_allclose(printed.claims_in_ours[0].predict(problem), np.full((2, 2), 1 / 8), atol=1e-12)  # pyright: ignore
    corrected = CATALOGUE["andriopoulos2024:thm4_1_corrected"].claims_in_ours[0]
    np.testing.assert_allclose(corrected.predict(problem), np.full((2, 2), 1 / 4), atol=1e-12)  # pyright: ignore


def test_lemma_d1_counts_the_samples_by_hand():
    # singular values 4 and 2, tau = sqrt(4) 1.5 = 3: eta = 1 and 0, so 1/2 (9 + 4) + 3 = 9.5; the objective is 9.5/4
    problem = square()
    assert solve(problem).value == pytest.approx(9.5 / 4, rel=1e-12)
    predictions = {
        name: CATALOGUE[f"andriopoulos2024:{name}"].claims_in_ours[0].predict(problem)  # pyright: ignore
        for name in ("lemma_d1_value", "lemma_d1_value_corrected")
    }
    assert predictions == pytest.approx({"lemma_d1_value": 9.5, "lemma_d1_value_corrected": 9.5 / 4}, rel=1e-12)


@pytest.mark.parametrize("name", ["thm4_1", "lemma_d1_value"])
def test_a_refutation_is_small_and_confirmed(name):
    found = check(CATALOGUE[f"andriopoulos2024:{name}"], samples=4).counterexample
    assert found is not None
    assert found.problem.N <= 4  # pyright: ignore[reportAttributeAccessIssue]
    assert found.in_tolerances >= 1e3
    assert found.independent == pytest.approx(found.found, rel=1e-4)
    assert "Y = [[" in found.sentence()


def test_claims_are_read_in_the_papers_weights():
    ours = scaling("tirer2022").to_ours({"lam_W": 0.5, "lam_H": 0.125}, 2, 6)
    problem = Problem(targets=classes(encodings.one_hot(2), 3), **ours)
    # c = 1/4, so rho = (1 - 1/4) sqrt(4) = 3/2
    gram = CATALOGUE["tirer2022:thm3_1"].claims_in_ours[0]
    np.testing.assert_allclose(gram.predict(problem), 1.5 * np.eye(2), rtol=1e-12)  # pyright: ignore


def test_a_value_is_read_in_the_papers_objective():
    minimum = Equals("value", sp.Symbol("K", integer=True, positive=True) / 2)  # of 1/2 ||WH - Y||^2 at W = 0, n = 1
    stated = replace(CATALOGUE["zhou2022:product"], claims=(minimum,), scaling="zhou2022_sum")
    problem = Problem(targets=classes(encodings.one_hot(3), 1), lam_W=1.0, lam_H=1.0)
    (claim,) = stated.claims_in_ours
    assert claim.violation(problem, optimum_oracle()).ratio <= 1


def test_formulae_with_indices_sums_and_matrices():
    problem = Problem(targets=classes(encodings.one_hot(3), [1, 4, 9]), lam_W=0.1, lam_H=0.1)
    np.testing.assert_allclose(Formula(sp.sqrt(n_k))(problem), [1, 2, 3])
    np.testing.assert_allclose(Formula(n_k * delta_kl)(problem), np.diag([1, 4, 9]))
    np.testing.assert_allclose(Formula(sp.Piecewise((n_k, n_k > 2), (0, True)))(problem), [0, 4, 9])
    np.testing.assert_allclose(Formula(sigma)(problem), [3, 2, 1])
    assert Formula(m * Total(sigma**2) + 1)(problem) == pytest.approx(3 * 14 + 1)
    root = Formula(COV_ROOT)(problem)
    assert np.trace(root @ root) == pytest.approx(Formula(Total(cov))(problem))
    shrunk = Formula(SoftThreshold(COV_ROOT, sp.Rational(1, 10)))(problem)
    values = np.maximum(0, np.linalg.eigvalsh(root) - 0.1)
    np.testing.assert_allclose(np.linalg.eigvalsh(shrunk), values, atol=1e-12)
    with pytest.raises(UfmError, match="no value is known"):
        Formula(sp.Symbol("unheard_of"))(problem)
    wrong_shape = Equals("cosine", n_k)
    with pytest.raises(UfmError, match="shape"):
        wrong_shape.violation(problem, optimum_oracle())


def test_sums_and_matrices_are_compared_by_algebra():
    half = sp.Rational(1, 2)
    assert agree(Total(half) + Total(sigma_c**2 / N), m * half + Total(cov), DIRECTIONS).verdict
    assert not agree(half, Total(half), DIRECTIONS).verdict
    assert not agree(Total(2 * cov), Total(cov), DIRECTIONS).verdict
    assert not agree(Total(cov) ** 2, Total(cov**2), DIRECTIONS).verdict
    threshold = sp.sqrt(lam_W * lam_H)
    part = SoftThreshold(COV_ROOT, threshold)
    scaled = SoftThreshold(N * COV_ROOT, N * threshold)
    assert agree_matrix(scaled, N * part, DIRECTIONS).verdict
    assert not agree_matrix(2 * part, part, DIRECTIONS).verdict
    assert not agree_matrix(SoftThreshold(COV_ROOT, 2 * threshold), part, DIRECTIONS).verdict


PERTURBED = {
    "dang2023_gof:thm4_1": lambda e: e.xreplace({N: N + 1}),
    "zhou2022:product": lambda e: e.xreplace({lam_W: 2 * lam_W}),
    "andriopoulos2024:cor4_2_classifier": lambda e: e.xreplace({lam_W: lam_H, lam_H: lam_W}),
    "andriopoulos2024:cor4_2_value": lambda e: 2 * e,
    "andriopoulos2024:thm4_1_corrected": lambda e: 2 * e,
    "liu2024:spectrum": lambda e: e.xreplace({N: 2 * N}),
}


@pytest.mark.parametrize("name", PERTURBED)
def test_a_proof_does_not_reach_a_perturbed_claim(name):
    theorem = CATALOGUE[name]
    first = theorem.claims[0]
    assert isinstance(first, Equals)
    changed = replace(first, expression=PERTURBED[name](first.expression))
    assert changed.expression != first.expression
    assert prove_statement(theorem).stands
    assert not prove_statement(replace(theorem, claims=(changed, *theorem.claims[1:]))).stands


def test_a_matrix_centred_on_the_other_side_is_refuted():
    def transposed(problem: Problem) -> np.ndarray:
        counts = problem.classes.counts.astype(float)
        right = np.eye(problem.K) - np.outer(np.ones(problem.K), counts) / problem.N
        return np.linalg.svd(right @ np.diag(np.sqrt(counts)), compute_uv=False)[: problem.K - 1]

    theorem = CATALOGUE["liu2024:spectrum"]
    first = theorem.claims[0]
    assert isinstance(first, Equals)
    wrong = replace(theorem, claims=(replace(first, letters={sigma_c: transposed}),), no_proof="planted")
    report = check(wrong, samples=8)
    assert report.verdict is Verdict.REFUTED
    assert report.counterexample is not None
    assert math.isfinite(report.counterexample.found)
