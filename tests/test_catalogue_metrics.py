"""Statements about metrics: refutations by hand, planted faults that random, degenerate or adversarial arrays find."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from ufm.catalogue import Assumption, AtLeast, AtMost, Equals, catalogue
from ufm.catalogue.arrays import FEATURES, KINDS, Arrays, class_features, class_means, has_clear_rank
from ufm.catalogue.domain import Domain, Values
from ufm.derivation.load import lemma, prove
from ufm.metrics.detection import neco
from ufm.metrics.nc1 import nc1
from ufm.metrics.regression import deep_nrc1, linear_cka
from ufm.metrics.split import split_classes
from ufm.metrics.vci import vci
from ufm.referee import Verdict, check
from ufm.referee.arrays import arrays_oracle, gather_arrays
from ufm.referee.proof import prove_statement
from ufm.referee.relations import is_derived_relation
from ufm.referee.report import quiet
from ufm.report import describe
from ufm.symbols import K

CATALOGUE = catalogue()
FILES = ("ammar2023", "galanti2021", "haframe2023", "liu2023", "papyan2020", "rangamani2026", "wu2024", "xu2023")
ABOUT_ARRAYS = [theorem for theorem in CATALOGUE.values() if theorem.measures and theorem.file in FILES]


def claimed(name: str, case: Arrays) -> float:
    """The first claim's number for a case."""
    claim = CATALOGUE[name].claims[0]
    assert isinstance(claim, Equals)
    return float(claim.predict(case))  # pyright: ignore[reportArgumentType]


# Refutations by hand


def test_proposition_1_fails_by_hand():
    # singular values 4 and 2 of H along a and b; Y has them along a and c: CKA = 16^2/(16^2 + 4^2) = 16/17
    H = np.array([[2.0, 2, -2, -2], [1, -1, 1, -1]])
    Y = np.array([[2.0, 2, -2, -2], [1, -1, -1, 1]])
    assert deep_nrc1(H, 2) == pytest.approx(0, abs=1e-15)
    assert linear_cka(H, Y) == pytest.approx(16 / 17, rel=1e-14)
    case = Arrays({"H": H, "Y": Y})
    outside = math.sqrt(4 / 20)  # b is all of it
    assert arrays_oracle(CATALOGUE["rangamani2026:prop1"].measures)(case)["outside_targets"] == pytest.approx(outside)
    assert claimed("rangamani2026:prop1", case) == pytest.approx(math.sqrt(1 / 17))
    assert math.sqrt(1 / 17) < outside
    assert claimed("rangamani2026:prop1_corrected", case) == pytest.approx((2 * 33 / 17**2) ** 0.25)
    assert outside < (2 * 33 / 17**2) ** 0.25


def test_the_corrected_proposition_keeps_its_fourth_root():
    # a direction with the share x of the top one's variance: 1 - CKA goes as x^2 while the energy outside goes as x
    for x in (1e-1, 1e-2, 1e-3):
        a, b = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
        case = Arrays({"H": np.stack([a, math.sqrt(x) * b]), "Y": np.stack([a, 0 * b])})
        found = float(arrays_oracle(CATALOGUE["rangamani2026:prop1"].measures)(case)["outside_targets"].values)
        assert found == pytest.approx(math.sqrt(x / (1 + x)), rel=1e-10)
        assert found > claimed("rangamani2026:prop1", case) / math.sqrt(x)
        assert found <= claimed("rangamani2026:prop1_corrected", case) <= 1.5 * found


def test_the_probe_loss_is_not_the_index_for_unequal_classes_by_hand():
    # H = (1, 2, -2), classes {1}, {2, 3}: hbar = 1/3, total variance 26/9; class means 1 and 0, so the between-class
    # variance is 1/3 (2/3)^2 + 2/3 (1/3)^2 = 2/9 and VCI = 1 - 2/26 = 12/13
    H, labels = np.array([[1.0, 2, -2]]), np.array([0, 1, 1])
    assert vci(split_classes(H, labels)) == pytest.approx(12 / 13, rel=1e-14)
    case = Arrays({"H": H, "labels": labels})
    assert claimed("xu2023:probe", case) == pytest.approx(6 / 13)
    # one-hot variances are 2/9 each, the covariance with H is +-2/9: 2 (2/9 - (2/9)^2/(26/9)) = 16/39
    found = arrays_oracle(CATALOGUE["xu2023:probe"].measures)(case)["probe_loss"]
    assert float(found.values) == pytest.approx(16 / 39, rel=1e-12)
    # targets e_k/sqrt(n_k/N) put (K - 1) VCI right
    weighted = arrays_oracle(CATALOGUE["xu2023:probe_weighted"].measures)(case)["weighted_probe_loss"]
    assert float(weighted.values) == pytest.approx(12 / 13, rel=1e-12)


def test_nc1_is_zero_beside_any_spread_by_hand():
    H, labels = np.array([[1.0, 1, -1, -1], [5, -5, 5, -5]]), np.array([0, 0, 1, 1])
    assert nc1(split_classes(H, labels)) == 0


def test_the_released_grid_ends_too_early_by_hand():
    # E = [[1, 1/e], [1/e, 1]], 1'E^-1 1 = 2e/(e + 1), so s = -(e + 1)/(e - 1), where S = [[1, -1], [-1, 1]]
    case = Arrays({"D": np.array([[0.0, 1], [1, 0]]), "gamma": np.array(1.0)})
    s = -(math.e + 1) / (math.e - 1)
    assert claimed("haframe2023:most_negative", case) == pytest.approx(s)
    S = (1 - s) * np.exp(-case["D"]) + s
    np.testing.assert_allclose(S, [[1, -1], [-1, 1]], atol=1e-12)
    assert arrays_oracle(CATALOGUE["haframe2023:grid"].measures)(case)["grid_value"] == -1


def test_without_a_hierarchy_the_released_grid_may_hold_no_value():
    # 1 and 3 are far apart and both close to 2, as no leaves of a tree are: exp(-D) has a negative eigenvalue itself
    case = Arrays({"D": np.array([[0.0, 1, 9], [1, 0, 1], [9, 1, 0]]), "gamma": np.array(1.0)})
    assert np.linalg.eigvalsh(np.exp(-case["D"] / 9))[0] < -0.09
    theorem = CATALOGUE["haframe2023:grid"]
    assert not theorem.applies(case)  # pyright: ignore[reportArgumentType]
    assert float(arrays_oracle(theorem.measures)(case)["grid_value"].values) == math.inf


def test_the_printed_least_squares_classifier_is_n_times_too_large_by_hand():
    # h = -1, 1 and one sample a class: Sigma_T = 1, Mdot diag(n) = (-1, 1); the fit of (1, 0), (0, 1) has slopes -+1/2
    case = Arrays({"H": np.array([[-1.0, 1]]), "labels": np.array([0, 1])})
    excess = arrays_oracle(CATALOGUE["liu2023:least_squares"].measures)(case)["excess_loss"]
    assert float(excess.values) == pytest.approx(1 / 4)  # four residuals of 1/2, over 2 N
    corrected = arrays_oracle(CATALOGUE["liu2023:least_squares_corrected"].measures)(case)["excess_loss"]
    assert float(corrected.values) == pytest.approx(0, abs=1e-15)


def test_the_centred_score_sees_the_mean_of_the_class_means_by_hand():
    train, o = np.array([[2.0, 0], [0, 0]]), np.array([[0.0], [1]])  # class means (2, 0) and (0, 0), o = (0, 1)
    assert neco(o, train, 1, centred=False) == pytest.approx([0])
    assert neco(o, train, 1) == pytest.approx([1 / math.sqrt(2)])  # o - (1, 0) = (-1, 1)


# Every statement about arrays


REFUTED = [theorem for theorem in ABOUT_ARRAYS if theorem.no_proof.startswith("It is refuted")]


@pytest.mark.parametrize("theorem", REFUTED, ids=lambda t: t.id)
def test_refutations_are_small_and_confirmed_another_way(theorem):
    report = check(theorem, samples=2)
    assert report.verdict is Verdict.REFUTED
    found = report.counterexample
    assert found is not None
    assert found.in_tolerances >= 1e3
    arrays = list(found.problem.values.values())  # pyright: ignore
    assert max(array.size for array in arrays) <= 12
    assert all(np.array_equal(array, np.round(array)) for array in arrays), "whole numbers"
    assert found.independent == pytest.approx(found.found, rel=1e-9)
    assert "=" in found.sentence()
    assert "the metric" in found.sentence()
    json.dumps(report.to_dict())


@pytest.mark.parametrize("theorem", ABOUT_ARRAYS, ids=lambda t: t.id)
def test_the_domain_reaches_the_statement(theorem):
    cases = [theorem.problem(point) for point in theorem.domain.sample(32, 0)]
    assert sum(theorem.applies(case) for case in cases) >= 8


def times(factor: float, name: str):
    """The statement with every formula multiplied."""
    theorem = CATALOGUE[name]
    claims = tuple(
        replace(claim, expression=factor * claim.expression) if isinstance(claim, Equals) else claim
        for claim in theorem.claims
    )
    return replace(theorem, claims=claims)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("xu2023:range", 1 / 2),
        ("xu2023:invariance", 1 + 1e-4),
        ("xu2023:probe_balanced", 1 + 1e-4),
        ("xu2023:probe_weighted", 1 - 1e-4),
        ("papyan2020:nc1_zero_corrected", 1 + 1e-4),
        ("papyan2020:nc2", 1 + 1e-4),
        ("galanti2021:similarity", 1 + 1e-4),
        ("galanti2021:least", 1 + 1e-4),  # only the equality case, equally distant means, gives this one away
        ("wu2024:uniformity_bound", 1 - 1e-4),  # only the simplex does
        ("wu2024:uniformity_simplex", 1 + 1e-4),
        ("ammar2023:range", 1 / 2),
        ("haframe2023:most_negative", 1 + 1e-4),
        ("haframe2023:simplex_allowed", 1 + 1e-4),
        ("rangamani2026:prop1_corrected", 1 / 4),
        ("rangamani2026:prop1_scalar", 1 - 1e-2),
        ("liu2023:separation", 1 - 1e-2),
        ("softmax_codes:margin", 1 - 1e-4),
        ("softmax_codes:tammes", 1 - 1e-4),  # only the simplex does
    ],
)
def test_a_planted_factor_is_refuted_and_the_proof_no_longer_counts(name, factor):
    planted = times(factor, name)
    assert not prove_statement(planted).stands
    assert check(planted, samples=16).verdict is Verdict.REFUTED


def test_the_adversary_finds_what_random_arrays_do_not():
    # a bound five thousandths too small breaks at the simplex alone, and uphill steps lead there
    theorem = CATALOGUE["wu2024:uniformity_bound"]
    letters = {K: lambda case: case["M"].shape[1]}
    tight = replace(theorem, claims=(AtMost("distance_geometric_mean", 2 * K / (K - 1) * (1 - 5e-3), letters),))
    start = Arrays({"M": np.eye(3) - 1 / 3 + 0.2 * np.random.default_rng(0).standard_normal((3, 3))})
    asked, pushed = gather_arrays(tight, [start] * 60, "one start", 0, quiet)
    assert asked.agrees
    assert not pushed.agrees


def test_an_undefined_metric_is_no_agreement():
    theorem = replace(CATALOGUE["xu2023:range"], assumes=())  # without it, coincident class means have no index
    flat = replace(theorem, domain=Domain({**FEATURES, "kind": Values(("flat",))}), problem=lambda point: _flat())
    assert check(flat, samples=2).verdict is Verdict.REFUTED


def _flat() -> Arrays:
    return Arrays({"H": np.ones((2, 4)), "labels": np.array([0, 0, 1, 1])})


def test_a_users_own_statement_about_a_metric(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from ufm.catalogue import AtMost, Citation, Domain, Theorem\n"
        "from ufm.catalogue.arrays import CLEAR_RANK, FEATURES, class_features\n"
        "from ufm.metrics.nc1 import nc1\n"
        "from ufm.metrics.split import split_classes\n"
        "THEOREMS = tuple(\n"
        "    Theorem(name=name, title='NC1 is bounded', statement=f'NC1 is at most {bound}.',\n"
        "            citation=Citation('ufm', 'mine', 'own'), kind='upper', claims=(AtMost('nc1', bound),),\n"
        "            domain=Domain(FEATURES), problem=class_features, assumes=(CLEAR_RANK,),\n"
        "            measures={'nc1': lambda case: nc1(split_classes(case['H'], case['labels']))})\n"
        "    for name, bound in (('by_one', 1), ('by_nothing', 10**9))\n"
        ")\n"
    )
    reports = check(mine, samples=8)
    assert reports["by_one"].verdict is Verdict.REFUTED
    assert reports["by_nothing"].verdict is Verdict.VERIFIED
    assert "H = [[" in str(reports["by_one"])


def test_plain_arithmetic_is_not_said_to_be_confirmed():
    """A metric of arrays that are written out refutes alone and says so; a second computation confirms it or not."""
    theorem = replace(CATALOGUE["papyan2020:nc1_zero"], confirms={})
    alone = check(theorem, samples=2)
    assert alone.verdict is Verdict.REFUTED
    assert alone.counterexample is not None
    assert not alone.counterexample.confirmed
    assert "no second computation confirms" in describe(alone, samples=2, seed=0)["meaning"]
    assert "no second computation confirms" in alone.counterexample.sentence()
    for other, verdict in ((2 / 3, Verdict.REFUTED), (0.0, Verdict.INCONCLUSIVE)):
        report = check(replace(theorem, confirms={"within_share": ("by hand", lambda case, x=other: x)}), samples=2)
        assert report.verdict is verdict
        assert (report.meaning == Verdict.REFUTED.value) is (verdict is Verdict.REFUTED)
        assert bool(report.needs) is (verdict is Verdict.INCONCLUSIVE)


# Relations, arrays, lemmas


def test_a_relation_counts_only_in_its_own_direction_and_letters():
    derivation = prove("xu2023:range")
    assert is_derived_relation(AtMost("vci", 1), derivation)
    assert is_derived_relation(AtLeast("vci", 0), derivation)
    for wrong in (AtLeast("vci", 1), AtMost("vci", 2), Equals("vci", 1), AtMost("other", 1), AtMost("vci", K)):
        assert not is_derived_relation(wrong, derivation)
    probe = prove("xu2023:probe_balanced")
    index = sp.Symbol("vci")
    assert is_derived_relation(Equals("probe_loss", (K - 1) * index / K), probe)
    assert not is_derived_relation(Equals("probe_loss", (K - 1) * index), probe)


def test_arrays_in_words_and_as_json():
    case = Arrays({"H": np.array([[1.0, -2]]), "x": np.array([[0.5]]), "big": np.zeros((9, 9))})
    assert repr(case) == "H = [[1, -2]], x = [[0.5]], big = (9 x 9)"
    assert json.loads(json.dumps(case.to_dict()))["arrays"]["H"] == [[1.0, -2.0]]
    assert case.replace(H=np.zeros((1, 1)))["H"].shape == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_what_their_kind_says(kind):
    point = {"K": 3, "n": 5, "d": 6, "kind": kind, "seed": 3, "sizes": "unequal"}
    case, again = class_features(point), class_features(point)
    np.testing.assert_array_equal(case["H"], again["H"])
    means, counts = class_means(case)
    within = case["H"] - means[:, case["labels"]]
    assert counts.sum() == case["labels"].size
    assert bool(np.max(np.abs(within)) < 1e-12) is (kind == "collapsed")
    if kind == "integers":
        assert np.array_equal(case["H"], np.round(case["H"]))
    if kind == "low rank":
        assert np.linalg.matrix_rank(case["H"]) == 2
    if kind == "outside the means":
        assert nc1(split_classes(case["H"], case["labels"])) < 1e-12 < np.max(np.abs(within))


def test_a_rank_between_zero_and_clear_is_no_fair_question():
    assert has_clear_rank(np.diag([1.0, 0.01, 0]))
    assert not has_clear_rank(np.diag([1.0, 1e-6]))
    assert not has_clear_rank(np.zeros((2, 2)))


@pytest.mark.parametrize("theorem", [t for t in ABOUT_ARRAYS if not t.no_proof], ids=lambda t: t.id)
def test_proofs_read_without_tex_on_a_terminal(theorem):
    assert not set("\\{}$") & set(prove(theorem.id).text())


@pytest.mark.parametrize("name", ["cauchy_schwarz", "inequality_of_means"])
def test_lemmas_survive_their_attacks(name):
    assert lemma(name).attack(np.random.default_rng(0)) < 1e-12


def test_claims_about_networks_say_what_they_need():
    waiting = [t for t in CATALOGUE.values() if t.needs]
    assert waiting
    for theorem in waiting:
        report = check(theorem, samples=2)
        assert theorem.kind == "statistical"
        assert report.verdict is Verdict.INCONCLUSIVE
        assert f"records with {', '.join(theorem.observed[0].fields)} of {theorem.needs}" in str(report)
    impossible = Assumption("never", lambda case: False)
    assert check(replace(ABOUT_ARRAYS[0], assumes=(impossible,)), samples=2).verdict is Verdict.INCONCLUSIVE
