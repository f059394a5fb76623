"""The cross-entropy section: formulae against independent minimisations, refutations by hand, planted faults."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize_scalar, root_scalar

from ufm import encodings
from ufm.catalogue import Among, Differs, Equals, catalogue
from ufm.catalogue.claims import Approaches, Claim
from ufm.constraints import NonNegative
from ufm.optimum import minority_collapse_threshold, solve
from ufm.problem import Problem, classes
from ufm.problem.scaling import scaling
from ufm.referee import Verdict, check
from ufm.referee.descent import descend
from ufm.referee.evidence import optimum_oracle
from ufm.referee.proof import prove_statement
from ufm.symbols import K, N, delta_kl, lam_H, lam_W, m
from ufm.theorems import fang2021
from ufm.tolerance import tolerance

CATALOGUE = catalogue()


def predicted(name: str, claim: int, problem: Problem) -> np.ndarray:
    found = CATALOGUE[name].claims_in_ours[claim]
    assert isinstance(found, Equals)
    return np.asarray(found.predict(problem))


@pytest.mark.parametrize("t_rel", [0.01, 0.5, 0.99, 1.5])
def test_the_margin_of_zhu2021_minimises_the_scalar_problem(t_rel):
    # log(1 + (K-1) e^-a) + c sqrt(n) (K-1) a over the margin a >= 0
    size, count = 4, 9
    c = t_rel / (size * math.sqrt(count))
    problem = Problem(
        classes(encodings.one_hot(size), count), lam_W=2 * c, lam_H=c / 2, lam_b=1.0, loss="cross_entropy", width=size
    )
    found = minimize_scalar(
        lambda a: math.log1p((size - 1) * math.exp(-a)) + c * math.sqrt(count) * (size - 1) * a,
        bounds=(0, 40),
        method="bounded",
        options={"xatol": 1e-10},
    )
    margin = found.x if t_rel < 1 else 0.0  # pyright: ignore
    frame = np.eye(size) - 1 / size
    np.testing.assert_allclose(predicted("zhu2021:etf", 2, problem), margin * frame, atol=1e-5)
    np.testing.assert_allclose(predicted("zhu2021:etf", 2, problem), solve(problem).logits, atol=1e-10)


def test_the_two_conditions_of_dang2024_agree_at_every_size():
    theorem = CATALOGUE["dang2024:thm1"]
    for count, weight in itertools.product([1, 2, 5, 40], [0.01, 0.05, 0.2]):
        problem = Problem(
            classes(encodings.one_hot(3), [count, 7, 90]),
            lam_W=weight,
            lam_H=weight / 4,
            loss="cross_entropy",
            constraint=NonNegative(),
        )
        lost = count <= problem.N**2 * 3 / 2 * weight**2 / 4
        assert (predicted(theorem.id, 0, problem)[0, 0] == 0) == lost


def test_descents_over_non_negative_features_end_at_the_formula_of_dang2024():
    problem = Problem(
        classes(encodings.one_hot(3), [9, 4, 1]), lam_W=0.08, lam_H=0.08, loss="cross_entropy", constraint=NonNegative()
    )
    found = descend(problem)
    assert float(found["value"].values) == pytest.approx(solve(problem).value, abs=1e-9)
    np.testing.assert_allclose(found["gram"].values, predicted("dang2024:thm1", 0, problem), atol=1e-4)
    assert predicted("dang2024:thm1", 0, problem)[2, 2] == 0 < predicted("dang2024:thm1", 0, problem)[1, 1]


def hong(counts: list[int], lam_Z: float, lam_b: float = math.inf) -> Problem:
    ours = scaling("hong2023").to_ours({"lam_W": lam_Z / 2, "lam_H": lam_Z / 2}, len(counts), sum(counts))
    return Problem(classes(encodings.one_hot(len(counts)), counts), loss="cross_entropy", lam_b=lam_b, **ours)


@pytest.mark.parametrize("lam_b", [0.0, 1.0, math.inf])
@pytest.mark.parametrize(("K_A", "K_B", "R", "n_B"), [(2, 2, 4, 1), (3, 2, 9, 5), (2, 4, 6, 3)])
def test_the_minority_collapses_exactly_at_its_threshold(K_A, K_B, R, n_B, lam_b):
    counts = [R * n_B] * K_A + [n_B] * K_B
    edge = math.sqrt(n_B) / sum(counts)

    def apart(share):
        W = solve(hong(counts, share * edge, lam_b)).W[0]
        return float(np.max(np.linalg.norm(W[K_A:] - W[K_A:].mean(axis=0), axis=1)))

    assert apart(1 + 1e-6) <= 1e-9
    assert apart(1 - 1e-3) > 1e-3


def test_with_fixed_weights_no_etf_returns_by_hand():
    # lam_Z = 1/10: at N = 12 both groups live, as sqrt(2)/12 > 1/10; at N = 240 > 2/lam_Z^2 nothing does
    few, many = hong([4, 4, 2, 2], 0.1), hong([80, 80, 40, 40], 0.1)
    assert solve(few).certificate.rank == 3
    assert solve(many).certificate.rank == 0
    assert solve(many).value == pytest.approx(math.log(4), rel=1e-12)
    assert float(descend(many)["value"].values) == pytest.approx(math.log(4), rel=1e-9)
    report = check(CATALOGUE["hong2023:many_samples"], samples=4)
    found = report.counterexample
    assert report.verdict is Verdict.REFUTED
    assert found is not None
    assert found.found == 0
    assert found.independent == pytest.approx(0, abs=1e-6)  # cvxpy
    assert found.claimed >= 1e-3
    assert "as given here" in CATALOGUE["hong2023:many_samples"].no_proof


def test_classes_of_unequal_sizes_may_have_the_angles_of_an_etf_but_not_its_norms():
    def beyond(lam_Z):
        return float(solve(hong([2, 1, 1], lam_Z)).cosines[1, 2]) + 0.5

    tuned = hong([2, 1, 1], float(root_scalar(beyond, bracket=(0.02, 0.1), xtol=1e-15).root))
    found = solve(tuned)
    assert np.all(tolerance("optimum", "cosines").allows(found.cosines, (3 * np.eye(3) - 1) / 2))
    norms = np.sqrt(np.diag(found.gram))
    assert norms[1] / norms[0] == pytest.approx(1.0676, abs=5e-5)  # as many digits as the statement needs
    assert CATALOGUE["hong2023:no_etf"].claims_in_ours[0].violation(tuned, optimum_oracle()).ratio <= 1
    angles = Differs(Equals("cosines", (K * delta_kl - 1) / (K - 1)))
    assert angles.violation(tuned, optimum_oracle()).ratio > 1


@pytest.mark.parametrize("counts", [[1, 1, 1], [5, 3, 2], [1000, 40, 1, 1], [7, 7, 1, 1, 1]])
def test_the_multipliers_of_unit_margins_have_their_sign_at_any_sizes(counts):
    sizes, size = np.array(counts, dtype=float), len(counts)
    C = np.eye(size) - 1 / size
    inverse = np.diag(1 / sizes) - np.outer(1 / sizes, 1 / sizes) / np.sum(1 / sizes)
    np.testing.assert_allclose(inverse, np.linalg.pinv(C @ np.diag(sizes) @ C), atol=1e-10)
    values, vectors = np.linalg.eigh(inverse)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    assert np.all(root[~np.eye(size, dtype=bool)] < 0)


def test_minority_classifiers_merge_above_the_threshold_and_not_below():
    edge = minority_collapse_threshold(2, 2, 1.0, 1.0)
    claim = CATALOGUE["fang2021:minority_collapse"].claims[0]
    oracle = optimum_oracle()
    for factor, merged in ((1.2, True), (0.8, False)):
        problem = fang2021._budgeted([round(factor * edge)] * 2 + [1] * 2, {"E_W": 1.0, "E_H": 1.0})
        assert (claim.violation(problem, oracle).ratio <= 1) is merged


PERTURBED = {
    "zhu2021:etf": lambda e: 2 * e,
    "zhu2021:bias": lambda e: e + 1,
    "dang2024:thm1": lambda e: e / 2,
    "dang2024:cor4": lambda e: e + lam_W,
    "thrampoulidis2022:seli": lambda e: 2 * e,
    "hong2023:many_samples_null": lambda e: e + N,
    "hong2023:minority_collapse": lambda e: e + 1,
}


def test_a_proof_of_a_limit_does_not_reach_another_limit():
    for name in ("thrampoulidis2022:vanishing_weights", "hong2023:many_samples_rescaled"):
        theorem = CATALOGUE[name]
        (claim,) = theorem.claims
        assert isinstance(claim, Approaches)
        assert prove_statement(theorem).stands
        other = replace(claim, expression=delta_kl)
        assert not prove_statement(replace(theorem, claims=(other,))).stands
        assert not prove_statement(replace(theorem, claims=(replace(other, observable="logits"),))).stands


@pytest.mark.parametrize("name", PERTURBED)
def test_a_proof_does_not_reach_a_perturbed_claim(name):
    theorem = CATALOGUE[name]
    first = theorem.claims[0]
    inner = first.claim if isinstance(first, Among) else first
    assert isinstance(inner, Equals)
    changed: Claim = replace(inner, expression=PERTURBED[name](inner.expression))
    if isinstance(first, Among):
        changed = replace(first, claim=changed)
    assert prove_statement(theorem).stands
    assert not prove_statement(replace(theorem, claims=(changed, *theorem.claims[1:]))).stands


def planted(name: str, *claims: Claim):
    return replace(
        CATALOGUE[name], claims=claims, no_proof="planted", flow_domain=CATALOGUE["li2023:single_labels"].flow_domain
    )


WRONG = {
    "a limit that is another": (
        "thrampoulidis2022:vanishing_weights",
        Approaches(
            "logit_directions", (delta_kl - 1 / (K + 1)) / sp.sqrt(K), ("lam_W", "lam_H"), (1.0, 1e-2, 1e-4, 1e-6)
        ),
    ),
    "one multiple of the weights for another": (
        "zhu2021:etf",
        Equals("gram", 2 * sp.sqrt(lam_W / lam_H) * (delta_kl - 1 / K)),
    ),
    "no multiple, and it is one": (
        "zhu2021:etf",
        Differs(Equals("gram", K * delta_kl - 1), up_to_scale=True),
    ),
    "numbers that are said to differ, and do not": ("zhu2021:bias", Differs(Equals("bias", sp.Integer(0)))),
    "other entries than the chosen ones": (
        "li2023:single_labels",
        Among("everywhere", lambda p: np.ones((p.K, p.K), dtype=bool), Equals("cosines", -1 / (m - 1))),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_planted_error_is_not_verified(name):
    statement, claim = WRONG[name]
    report = check(planted(statement, claim), samples=4)
    assert report.verdict in (Verdict.REFUTED, Verdict.INCONCLUSIVE)
    assert not report.evidence[0].agrees


def test_what_cannot_be_judged_says_what_it_needs():
    asked = CATALOGUE["softmax_codes:margin"]
    report = check(replace(asked, claims=(), measures={}, no_proof="planted", needs="a solver on the sphere"))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "needs a solver on the sphere" in str(report)
