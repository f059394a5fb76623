"""What notebooks show: well-formed HTML with drawn formulae, nothing of the user's text taken for markup."""

import re
import xml.etree.ElementTree as ET
from html import unescape

import numpy as np
import pytest

import ufm
from ufm.derivation.render import closing_words
from ufm.display import card, listing, pill, prose
from ufm.mathml import mathml

ONE_HOT = ufm.classes(ufm.encodings.one_hot(4), 5)
PROBLEMS = {
    "shallow": ufm.Problem(ONE_HOT, lam_W=0.01, lam_H=0.002, lam_b=0.1),
    "deep, free bias": ufm.Problem(ONE_HOT, lam_W=(0.01, 0.01), lam_H=0.002, lam_b=0.0),
    "cross-entropy": ufm.Problem(ONE_HOT, lam_W=0.01, lam_H=0.002, loss="cross_entropy"),
    "constrained": ufm.Problem(ONE_HOT, lam_W=0.01, lam_H=0.002, constraint=ufm.constraints.NonNegative()),
    "regression": ufm.Problem(ufm.samples(np.eye(3, 6)), lam_W=0.01, lam_H=0.002, width=2),
}


def tree(html):
    """The HTML as XML: fails where a tag is left open."""
    return ET.fromstring(f"<root>{html}</root>")


def words(html):
    return " ".join(" ".join(tree(html).itertext()).split())


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_shows_its_objective_and_its_fields(name):
    html = PROBLEMS[name]._repr_html_()
    assert "<math" in html
    assert "\\" not in words(html)
    assert "0.002" in words(html)


def test_the_objective_names_every_layer_and_only_a_bias_that_is_there():
    deep, none = PROBLEMS["deep, free bias"].latex(), PROBLEMS["cross-entropy"].latex()
    assert "W_{2} W_{1} H" in deep
    assert r"\lambda_{W_1}" in deep
    assert "+ b" in deep
    assert r"\lambda_b" not in deep  # a free bias is not penalised
    assert "+ b" not in none
    assert "lambda_b" not in none


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_optimum_shows_value_bound_and_status(name):
    optimum = ufm.solve(PROBLEMS[name])
    seen = words(optimum._repr_html_())
    assert optimum.status.name in seen
    assert optimum.status.value in seen
    assert f"{optimum.value:.12g}" in seen


def test_an_optimum_by_groups_shows_its_sizes_and_how_often_a_singular_value_is_one():
    labels = ufm.classes(ufm.encodings.one_hot(1000), counts=[50] * 400 + [5] * 600)
    problem = ufm.Problem(labels, lam_W=1e-3, lam_H=1e-6)
    optimum = ufm.solve(problem, method="groups")
    seen = words(optimum._repr_html_())
    assert seen.startswith("GroupedOptimum")
    assert optimum.status.name in seen
    assert "400 with 50 samples each" in seen
    assert "(400 times)" in seen


def test_a_comparison_marks_what_disagrees():
    optimum = ufm.solve(PROBLEMS["shallow"]).record()
    flow = ufm.simulate(PROBLEMS["shallow"], t1=1.0).record()
    html = ufm.compare(optimum, flow)._repr_html_()
    assert "no" in words(html).split()
    same = words(ufm.compare(optimum, optimum)._repr_html_())
    assert same.startswith("observable agrees witness")
    assert "yes" in same.split()


def test_a_proof_is_drawn_without_a_script():
    """MathML in HTML, which notebooks prefer to Markdown and exports keep; a formula each that Markdown has."""
    from ufm.derivation.load import prove

    proof = prove("class_encoding:transition")
    html, markdown = proof._repr_html_(), proof._repr_markdown_()
    assert html.count('<math display="block">') == markdown.count("$$") // 2
    assert not re.search(r"[$\\]", words(html))
    assert "<script" not in html
    assert words(html).endswith(words(prose(closing_words(proof))))


def test_equations_line_up_at_their_relations():
    right, left = re.findall(r"<mtd style='text-align:(\w+);", mathml(r"\begin{aligned} a &= b \end{aligned}"))
    assert (right, left) == ("right", "left")


def test_claims_are_formulae():
    theorem = ufm.catalogue()["class_encoding:transition"]
    html = theorem._repr_html_()
    assert html.count("<math displaystyle") == len(theorem.claims)
    assert "lambda_H" not in words(html)


def test_the_words_of_evidence_are_those_of_the_terminal():
    report = ufm.check("class_encoding:transition", samples=2)["class_encoding:transition"]
    seen = words(report._repr_html_())
    for evidence in report.evidence:
        assert evidence.sentence() in seen
        assert evidence.sentence() in str(report)


def test_a_record_says_who_speaks_of_what():
    record = ufm.solve(PROBLEMS["shallow"]).record()
    html = record._repr_html_()
    assert "Record (optimum)" in html
    assert "lam_W=0.01" in html
    assert re.search(r"<input[^>]*checked[^>]*>\s*<label[^>]*>\s*Data variables", html)  # the list of arrays is open


def test_text_is_not_markup():
    hostile = "<script>alert(1)</script>"
    for html in (card(hostile, {hostile: hostile}, note=hostile), listing([hostile], [[hostile]], caption=hostile)):
        assert "<script" not in html
        assert hostile in unescape(html)
    assert "<script" not in pill(hostile, "#fff")


@pytest.mark.parametrize(
    ("tex", "drawn"),
    [
        (r"\frac12\lVert W\rVert", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        (r"\frac{12}5", "<mfrac><mrow><mn>12</mn></mrow><mn>5</mn></mfrac>"),
        (r"\frac1{2N}", "<mfrac><mn>1</mn><mrow><mn>2</mn><mi>N</mi></mrow></mfrac>"),
        (r"\frac1K", "<mfrac><mn>1</mn><mi>K</mi></mfrac>"),
        (r"\sqrt23", "<msqrt><mn>2</mn></msqrt><mn>3</mn>"),
        (r"x^{12}", "<mrow><mrow><mn>12</mn></mrow></mrow></msup>"),
        ("12 x", "<mn>12</mn><mi>x</mi>"),
    ],
)
def test_a_command_takes_one_digit_as_in_tex(tex, drawn):
    assert drawn in mathml(tex)


def test_a_statement_and_a_verdict_are_shown_as_tables_with_drawn_formulae():
    theorem = ufm.catalogue()["class_encoding:bias_invariant"]
    assert "<math" in theorem._repr_html_()
    assert "$" not in words(theorem._repr_html_())
    assert repr(theorem) == f"Theorem({theorem.id}: {theorem.title})"
    reports = ufm.check(theorem.id, samples=2)
    for shown in (reports._repr_html_(), reports[theorem.id]._repr_html_()):
        assert words(shown).startswith("verdict statement")
        assert "proved" in words(shown)
