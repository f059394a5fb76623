"""Claims as text: what the grammar has, where it points when it refuses, and that hostile text stays text."""

import math
import time

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import Problem, classes, encodings
from ufm.catalogue import AtLeast, AtMost, Equals
from ufm.catalogue.grammar import LETTERS, ClaimSyntaxError, parse_claim
from ufm.errors import UfmError
from ufm.referee import Verdict
from ufm.referee.conjecture import judge_here
from ufm.symbols import K, N, c, lam_b, n


def balanced(lam_b):
    return Problem(classes(encodings.one_hot(4), 2), lam_W=0.05, lam_H=0.05, lam_b=lam_b)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("cosine = -1/(K-1)", Equals, -1 / (K - 1)),
        ("cosine<=0", AtMost, 0),
        ("cosine >= - 1 / ( K - 1 )", AtLeast, -1 / (K - 1)),
        ("value = -2^2", Equals, -4),
        ("value = 2^3^2", Equals, 512),
        ("value = 2**-1", Equals, sp.Rational(1, 2)),
        ("value = 2 - 3 - 4", Equals, -5),
        ("value = 8/4/2", Equals, 1),
        ("value = 2 + 3*4 - 5/6", Equals, sp.Rational(79, 6)),
        ("value = +1.5e-1", Equals, sp.Rational(3, 20)),
        ("value = .5", Equals, sp.Rational(1, 2)),
        ("value = sqrt(n) * abs(-K) + log(exp(1))", Equals, sp.sqrt(n) * K + 1),
        ("value = c*K*sqrt(n)", Equals, LETTERS["t_rel"]),
        ("value = t_rel/(1 - t_rel)", Equals, LETTERS["lam_b_star"]),
        ("value = tau", Equals, N * c),
    ],
)
def test_it_reads(text, kind, expected):
    claim = parse_claim(text)
    assert type(claim) is kind
    assert sp.simplify(claim.expression - expected) == 0


def test_max_and_min_are_numbers_in_the_end():
    claim = parse_claim("value = max(0, 1 - t_rel, -2) + min(lam_b, 3)")
    t = 0.05 * 4 * 2**0.5
    assert claim.predict(balanced(2.0)) == pytest.approx(1 - t + 2)
    assert claim.predict(balanced(float("inf"))) == pytest.approx(1 - t + 3)


@pytest.mark.parametrize(
    ("text", "number"),
    [("sqrt(1" + "0" * 80 + ")", 1e40), ("log(2^90)", 90 * math.log(2)), ("K*2^60", 2.0**62), ("2^100/2^99", 2.0)],
)
def test_long_numbers_are_numbers(text, number):
    assert parse_claim(f"value = {text}").predict(balanced(1.0)) == pytest.approx(number)


def test_rho_has_its_limits():
    claim = parse_claim("value = rho")
    assert [claim.predict(balanced(b)) for b in (0.0, 1.0, float("inf"))] == [0.0, 0.5, 1.0]
    assert claim.expression.free_symbols == {lam_b}


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "a claim was expected"),
        (" \t", 1, "a claim was expected"),
        ("cosine", 7, "one of =, <=, >="),
        ("= 1", 1, "name of an observable"),
        ("cosine = ", 10, "a number, a letter"),
        ("cosine == 1", 9, "a number, a letter"),
        ("cosine < 1", 8, "LESS-THAN SIGN"),
        ("cosine = (1", 12, "')'"),
        ("cosine = 1)", 11, "end of the claim"),
        ("cosine = 2 K", 12, "an operator"),
        ("cosine = 1 = 2", 12, "an operator"),
        ("cosine = Kk", 10, "no letter 'Kk'"),
        ("cosine = lambda_b", 10, "Did you mean lam_b?"),
        ("cosine = K(2)", 10, "write * to multiply"),
        ("cosine = sqrt", 10, "no letter 'sqrt'"),
        ("cosine = sqrt(1, 2)", 10, "one argument"),
        ("cosine = max(1)", 10, "2 to 10 arguments"),
        ("cosine = 1/0", 11, "no real number"),
        ("cosine = K/(1 - 1)", 11, "divides by zero"),
        ("cosine = sqrt(-1)", 10, "no real number"),
        ("cosine = (-8)^(1/3)", 14, "no real number"),
        ("cosine = 1e999", 10, "between"),
    ],
)
def test_it_points_at_the_column(text, column, expected):
    with pytest.raises(ClaimSyntaxError) as caught:
        parse_claim(text)
    assert caught.value.column == column
    assert expected in str(caught.value)
    assert f"column {column}:" in str(caught.value)


HOSTILE = [
    "cosine = __import__('os').system('true')",
    "cosine = K.__class__.__mro__",
    "cosine = __class__",
    "__dict__ = 1",
    "cosine = eval(K)",
    "cosine = exec(1)",
    "cosine = open(1)",
    "cosine = lambda_(1)",
    "cosine = lambda K: K",
    "cosine = [K for K in K]",
    "cosine = 1; import os",
    "cosine = 1\nimport os",
    "cosine = 1 # comment",
    "cosine = {1}",
    "cosine = 'a' * 9",
    "cosine = f'{K}'",
    "cosine = 1 if K else 2",
    "cosine = K @ K",
    "cosine = K // 2",
    "cosine = K % 2",
    "cosine = 0x10",
    "cosine = 1_000",
    "cosine = 1j",
    "cosine = nan",
    "cosine = oo",
    "cosine = \u041a",  # a Cyrillic K
    "cosine = \uff2b",  # a full-width K, which Python itself would read as K
    "cosine = -1\u2215(K-1)",  # a division slash
    "cosine \uff1d 1",
    "cosine = \u0661",  # an Arabic digit
    "cosine = 1\u200b",
    "cosine = \x00",
    "cosine = 9**9**9**9",
    "cosine = ((((9^64)^64)^64)^64)",
    "cosine = (1.000000001^100)^100",
    "cosine = 1e-99^99",
    "cosine = exp(exp(exp(9)))",
    "cosine = max(exp(exp(exp(9))), 1)",
    "cosine = K^1e9",
    "cosine = " + "(" * 200 + "1" + ")" * 200,
    "cosine = " + "(" * 60 + "1" + ")" * 60,
    "cosine = " + "-" * 200 + "1",
    "cosine = " + "2^" * 100 + "2",
    "cosine = " + "sqrt(" * 45 + "K" + ")" * 45,
    "cosine = " + "9" * 250,
    "cosine = " + "K+" * 100_000 + "K",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:40]))
def test_hostile_text_is_refused_at_once(text):
    start = time.perf_counter()
    with pytest.raises(ClaimSyntaxError) as caught:
        parse_claim(text)
    assert time.perf_counter() - start < 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="Kn0129.eE+-*/^(),=<> _x;'", max_size=40))
def test_any_text_is_a_claim_or_a_syntax_error(text):
    try:
        claim = parse_claim("value = " + text)
    except ClaimSyntaxError:  # anything else fails the test
        return
    assert claim.expression.free_symbols <= set().union(*(l.free_symbols for l in LETTERS.values()))


def test_a_claim_that_holds_here_is_verified_here():
    report = judge_here(balanced(0.0), ("cosine = -1/(K-1)", "cosine <= 0", "value >= 0"))
    assert report.verdict is Verdict.VERIFIED
    assert {e.witness: e.checked for e in report.evidence} == {"optimum": 1, "flow": 1}
    assert report.counterexample is None
    assert "one problem" in report.proof.reason


def test_a_claim_that_fails_here_is_refuted_by_this_very_problem():
    problem = balanced(2.0)
    report = judge_here(problem, ("cosine <= 0", "cosine = -1/(K-1)"))
    assert report.verdict is Verdict.REFUTED
    found = report.counterexample
    assert found is not None
    assert found.problem is problem
    assert found.claim == "cosine = -1/(K - 1)"
    assert found.independent == pytest.approx(found.found, abs=1e-5)


def test_what_cannot_be_judged_here_is_said():
    with pytest.raises(ClaimSyntaxError, match=r"Did you mean cosine\? Observables here: balance, bias"):
        judge_here(balanced(0.0), ("cosin = 1",))
    with pytest.raises(UfmError, match="no finite value here"):
        judge_here(balanced(0.0), ("cosine = 1/lam_b",))
    uneven = Problem(classes(encodings.one_hot(3), [1, 2, 3]), lam_W=0.05, lam_H=0.05)
    with pytest.raises(UfmError, match="no one value to n"):
        judge_here(uneven, ("cosine = 1/n",))


@pytest.mark.parametrize(
    ("text", "hint"),
    [("cosine < 0", "Write <=."), ("cosine == 0", "Equality is one =."), ("value = 1; cosine = 0", "its own --claim")],
)
def test_a_near_miss_is_told_how_it_is_written(text, hint):
    with pytest.raises(ClaimSyntaxError, match=hint):
        parse_claim(text, ("cosine", "value"))


def test_a_claim_that_is_off_by_little_is_open_and_says_by_how_much():
    report = judge_here(balanced(0.0), ("cosine = -1/(K-1) + 0.0000001",))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "tolerances off, and 1000 refute" in report.headline()


def test_a_cosine_of_class_means_that_are_zero_is_refuted_and_so_is_a_rank_that_depth_loses():
    targets = classes(encodings.one_hot(3), 1)
    lost = judge_here(Problem(targets, lam_W=0.7, lam_H=0.7), ("cosine = 0",))
    assert lost.verdict is Verdict.REFUTED
    assert lost.counterexample is not None
    assert math.isnan(lost.counterexample.found)
    deep = judge_here(Problem(targets, lam_W=(0.5, 0.5), lam_H=0.5), ("rank = 3",))
    assert deep.verdict is Verdict.REFUTED
    assert deep.counterexample is not None
    assert deep.counterexample.independent == 0
    kept = judge_here(Problem(targets, lam_W=(0.01, 0.01), lam_H=0.01), ("rank = 3", "cosine = 0"))
    assert kept.verdict is Verdict.VERIFIED
