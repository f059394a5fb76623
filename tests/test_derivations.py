"""Every proof verifies, no planted fault does, and the formulae give the numbers of an independent minimisation."""

import importlib.util
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize

from ufm.catalogue import catalogue
from ufm.derivation import Derivation, Exchangeable, Lemma, Proof, SquaredNorm
from ufm.derivation.agree import agree
from ufm.derivation.course import agree_at, at_least, at_most, increases
from ufm.derivation.derivation import Step
from ufm.derivation.exchangeable import ONES, ONES_RULE
from ufm.derivation.load import available, has_proof, lemmas, prove
from ufm.derivation.regimes import ABOVE, AT, BALANCED_ONE_HOT, BELOW, CRITICAL, LOST, PLATEAU
from ufm.derivation.render import telling
from ufm.derivation.signs import Sign, sign_of, vanishes
from ufm.derivation.words import Rules, directional, scalar_words, words
from ufm.errors import UfmError
from ufm.share import locate
from ufm.symbols import K, c, d, lam_b, lam_H, lam_W, m, n

t_rel = c * K * sp.sqrt(n)
lam_b_star = t_rel / (1 - t_rel)


# the proofs


@pytest.mark.parametrize("theorem_id", available())
def test_every_proof_is_verified_step_by_step(theorem_id):
    derivation = prove(theorem_id)
    assert derivation.failed == ()
    assert derivation.ok
    assert derivation.formulae or derivation.claims


@pytest.mark.parametrize(
    "theorem_id",
    [
        *("class_encoding:transition", "class_encoding:null", "class_encoding:bias_invariant"),
        *("class_encoding:mean_invariant", "massion2026:etf_to_of", "massion2026:bias_centring", "massion2026:nc1"),
    ],
)
def test_the_theorems_rest_on_no_lemma(theorem_id):
    assert has_proof(theorem_id)
    assert prove(theorem_id).verdict == "proved"


def test_a_proof_that_uses_a_lemma_says_so():
    assert prove("foundations:convex_form").verdict == "proved, given lemma nuclear_norm"


def test_a_missing_proof_names_those_there_are():
    with pytest.raises(UfmError, match="class_encoding:transition"):
        prove("class_encoding:nothing")


# the lemmas


@pytest.mark.parametrize("lemma", lemmas().values(), ids=lambda lemma: lemma.name)
def test_a_lemma_survives_attack(lemma: Lemma):
    rng = np.random.default_rng(0)
    assert max(lemma.attack(rng) for _ in range(5)) <= 1e-12


@pytest.mark.parametrize("lemma", lemmas().values(), ids=lambda lemma: lemma.name)
def test_a_lemma_is_cited_from_the_bibliography(lemma: Lemma):
    bibliography = locate("ufm", "theorems", "references.bib") if locate("ufm").is_dir() else None
    assert bibliography is not None
    assert f"{{{lemma.cite}," in bibliography.read_text()
    assert lemma.locator
    assert lemma.statement


# planted faults


def _with_fault(file: str, right: str, wrong: str, folder: Path):
    """The proofs of a file in which one passage has been changed, every time it occurs."""
    source = (locate("derivations") / f"{file}.py").read_text()
    flat = re.sub(r"\s+", r"\\s+", re.escape(right).replace(r"\ ", " "))
    changed, count = re.subn(flat, lambda _: wrong, source)
    assert count, f"{right!r} is no longer in the proof; plant the fault elsewhere"
    path = folder / f"faulty_{file}.py"
    path.write_text(changed)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PROOFS


FAULTS = [
    ("class_encoding", "null", "- Y) / (2 * N) +", "- Y) / N +", "the loss splits"),
    ("class_encoding", "null", "/ (2 * N) + (lam_W", "/ (2 * N) - (lam_W", "the loss splits"),
    ("class_encoding", "null", "Y.T / sp.sqrt(n)", "Y.T / n", "orthonormal"),
    ("class_encoding", "null", "ZERO: n * (K - 1 + rho) / 2", "ZERO: n * (K + 1 + rho) / 2", "sum of squares (zero)"),
    ("class_encoding", "null", "b - E * q / (N * lam_b)", "b + E * q / (N * lam_b)", "sum of squares (zero)"),
    ("class_encoding", "null", "ZERO: Exchangeable(sp.sqrt(n), rho * sp.sqrt(n))", "ZERO: Exchangeable(tau, tau)", ""),
    ("class_encoding", "null", "sp.S.Zero), 1 / (K * (1 + lam_b))", "sp.S.Zero), 1 / (K + lam_b)", "residual (zero)"),
    ("class_encoding", "bias_invariant", "(1 + lam_b) * _B", "(1 - lam_b) * _B", "bias invariant"),
    ("class_encoding", "mean_invariant", "N * lam_H * _H_MEAN", "lam_H * _H_MEAN", "mean invariant"),
    (
        "class_encoding",
        "mean_invariant",
        "residual / N + lam_H * H",
        "residual / N - lam_H * H",
        "gradient in the features",
    ),
    ("foundations", "balance", "upper.T * G_U - G_V * lower.T", "upper.T * G_U + G_V * lower.T", "balance"),
    ("foundations", "weak_duality", "- norm2(dual) / 2", "+ norm2(dual) / 2", "weak duality"),
    ("massion2026", "nc1", "(lam_H, H * DELTA)", "(2 * lam_H, H * DELTA)", "equal features"),
    ("massion2026", "etf_to_of", "(K * lam_b - THRESHOLD)", "(K * lam_b + THRESHOLD)", "above"),
    ("hong2023", "minority_collapse", "(X - Y) ** 2", "(X + Y) ** 2", "contradiction"),
    ("hong2023", "minority_collapse", "- K_B * x) / K_A", "+ K_B * x) / K_A", "probabilities"),
    ("thrampoulidis2022", "vanishing_weights", "N * (K - 1),", "N * K,", "keeps up"),
    ("softmax_codes", "margin", "** K - 1) / x,", "** 2 - 1) / x,", "comes near"),
    ("softmax_codes", "tammes", "(corner - right)", "(corner + right)", "distance"),
    ("liu2023", "separation", "(2 * K - 1 - j))", "(2 * K - j))", "blocks"),
    ("liu2023", "separation", "sp.Rational(794, 21)", "sp.Rational(795, 21)", "large excess is enough"),
    ("fang2021", "minority_collapse", "(1 + 1 / S) * lost", "(1 - 1 / S) * lost", "threshold"),
    ("braun2022", "limit", "(kappa * weight + gain", "(weight + gain", "push-through"),
    ("tirer2023", "thm3_1_limit", "T.T * T * G", "2 * T.T * T * G", "share"),
]


@pytest.mark.parametrize(("file", "name", "right", "wrong", "where"), FAULTS, ids=[f"{f[1]}: {f[3]}" for f in FAULTS])
def test_a_planted_fault_is_refused_by_name(file, name, right, wrong, where, tmp_path):
    derivation = _with_fault(file, right, wrong, tmp_path)[name]()
    assert not derivation.ok
    assert any(where in failed for failed in derivation.failed)
    assert "not proved" in derivation.verdict
    assert "NOT VERIFIED" in derivation.text()


TRANSITION_FAULTS = [
    ("lam_b_star, t_rel / (1 - t_rel)", "lam_b_star, t_rel / (1 + t_rel)", "mean direction"),
    ("c * sp.sqrt(n) / lam_b", "c * n / lam_b", "bias"),
    ("gamma**2 * X", "gamma * X", "features (plateau)"),
    ("-lam_b_star / (K * lam_b - lam_b_star)", "-lam_b_star / (K * lam_b - 2 * lam_b_star)", "cosine"),
]


TWO_WEIGHTS_FAULTS = [
    ("lam_0 * mean + lam_1", "lam_0 * mean + lam_0", "sum of squares (both)"),
    ("mean = root - tau_0 / rho", "mean = root - tau_1 / rho", "residual (both)"),
    ("g_0 = centred / sp.sqrt(lam_1), mean / sp.sqrt(lam_0)", "g_0 = centred, mean", "cosine"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("right", "wrong", "where"), TWO_WEIGHTS_FAULTS, ids=[f[1] for f in TWO_WEIGHTS_FAULTS])
def test_a_planted_fault_in_the_two_weights_is_refused(right, wrong, where, tmp_path):
    derivation = _with_fault("two_weights", right, wrong, tmp_path)["transition"]()
    assert (
        not derivation.ok
        or not agree(
            catalogue()["two_weights:transition"].symbolic["cosine"], derivation.formulae["cosine"], derivation.regimes
        ).verdict
    )
    assert where in derivation.failed or where == "cosine"


@pytest.mark.slow
@pytest.mark.parametrize(("right", "wrong", "where"), TRANSITION_FAULTS, ids=[fault[1] for fault in TRANSITION_FAULTS])
def test_a_planted_fault_in_the_transition_is_refused(right, wrong, where, tmp_path):
    derivation = _with_fault("class_encoding", right, wrong, tmp_path)["transition"]()
    assert where in derivation.failed


# the formulae


def _minimum(classes: int, per_class: int, weight_W: float, weight_H: float, weight_b: float) -> dict[str, Any]:
    """The same observables from a numerical minimisation of the loss as it stands, over W, H and b."""
    rng = np.random.default_rng(1)
    N, width = classes * per_class, classes
    Y = np.repeat(np.eye(classes), per_class, axis=1)

    def unpack(x):
        W, H, b = np.split(x, [classes * width, classes * width + width * N])
        return W.reshape(classes, width), H.reshape(width, N), b

    def loss(x):
        W, H, b = unpack(x)
        R = W @ H + b[:, None] - Y
        gradient = [R @ H.T / N + weight_W * W, W.T @ R / N + weight_H * H, R.sum(1) / N + weight_b * b]
        value = np.sum(R**2) / (2 * N) + (weight_W * np.sum(W**2) + weight_H * np.sum(H**2) + weight_b * b @ b) / 2
        return value, np.concatenate([g.ravel() for g in gradient])

    start = rng.standard_normal(classes * width + width * N + classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 20000, "ftol": 1e-16, "gtol": 1e-10})
    W, H, b = unpack(found.x)
    means = H.reshape(width, classes, per_class).mean(2)
    spectrum = np.linalg.svd(W @ H, compute_uv=False)
    mean_direction = np.linalg.norm(W @ H.mean(1)) * math.sqrt(N)
    lengths = np.linalg.norm(means, axis=0)
    return {
        "value": found.fun,
        "bias": b[0],
        "cosine": means[:, 0] @ means[:, 1] / (lengths[0] * lengths[1]),
        "class_mean_norm": lengths[0],
        "classifier_norm": np.linalg.norm(W[0]),
        "singular_value_mean": mean_direction,
        "singular_values_centred": float(np.median(spectrum)),
    }


@pytest.mark.parametrize("ratio", [0.4, 2.5, 20.0])
@pytest.mark.parametrize(("classes", "per_class", "weight_W", "weight_H"), [(3, 2, 0.05, 0.02), (4, 1, 0.02, 0.3)])
def test_the_formulae_give_the_minimum_of_the_loss(classes, per_class, weight_W, weight_H, ratio):
    derivation = prove("class_encoding:transition")
    at: dict[Any, Any] = {K: classes, n: per_class, lam_W: weight_W, lam_H: weight_H}
    threshold = float(lam_b_star.subs(at))
    found = _minimum(classes, per_class, weight_W, weight_H, ratio * threshold)
    for name, value in found.items():
        formula = float(derivation.formulae[name].subs({**at, lam_b: ratio * threshold}))
        assert value == pytest.approx(formula, rel=2e-4, abs=2e-4), name


def test_known_numbers_at_one_point():
    # K = 3, n = 1, lam_W = lam_H = 1/6: t_rel = 1/2 and lam_b* = 1, by hand
    formulae = prove("class_encoding:transition").formulae
    at = {K: 3, n: 1, lam_W: sp.Rational(1, 6), lam_H: sp.Rational(1, 6), lam_b: 2}
    expected = {
        "t_rel": sp.Rational(1, 2),
        "lam_b_star": 1,
        "singular_values_centred": sp.Rational(1, 2),
        "singular_value_mean": sp.Rational(1, 4),
        "cosine": -sp.Rational(1, 5),
        "class_mean_norm": sp.sqrt(sp.Rational(5, 12)),
        "classifier_norm": sp.sqrt(sp.Rational(5, 12)),
        "bias": sp.Rational(1, 12),
    }
    for name, value in expected.items():
        assert sp.simplify(formulae[name].subs(at) - value) == 0, name
    assert formulae["cosine"].subs({**at, lam_b: sp.Rational(1, 2)}) == -sp.Rational(1, 2)


# comparison of formulae

SAME = [
    ("singular_value_mean", sp.sqrt(n) * sp.Max(0, 1 - t_rel - t_rel / lam_b)),
    ("singular_value_mean", sp.sqrt(n) * sp.Max(0, 1 - t_rel * (1 + 1 / lam_b))),
    ("bias", sp.Min(1 / (1 + lam_b), t_rel / lam_b) / K),
    ("cosine", sp.Piecewise((-1 / (K - 1), lam_b <= lam_b_star), (-lam_b_star / (K * lam_b - lam_b_star), True))),
    ("cosine", -1 / (K * sp.Max(1, lam_b * (1 - t_rel) / t_rel) - 1)),
    ("lam_b_star", 1 / (1 / t_rel - 1)),
]
DIFFERENT = [
    ("singular_value_mean", sp.sqrt(n) * sp.Max(0, 1 - t_rel + t_rel / lam_b)),
    ("singular_value_mean", sp.sqrt(n) * sp.Max(0, 1 - t_rel - 2 * t_rel / lam_b)),
    ("bias", sp.Min(1 / (1 + lam_b), t_rel / lam_b**2) / K),
    ("cosine", sp.Piecewise((-1 / (K - 1), lam_b <= lam_b_star), (-1 / K, True))),
    ("cosine", -1 / (K * sp.Max(1, lam_b * (1 - t_rel) / t_rel) + 1)),
    ("lam_b_star", t_rel / (1 - t_rel) ** 2),
    ("class_mean_norm", sp.sqrt(sp.sqrt(lam_H / lam_W) * (1 - t_rel) / sp.sqrt(n))),
]


@pytest.mark.parametrize(("name", "stated"), SAME)
def test_other_ways_to_write_a_formula_agree(name, stated):
    assert agree(stated, prove("class_encoding:transition").formulae[name]).verdict is True


@pytest.mark.parametrize(("name", "stated"), DIFFERENT)
def test_another_formula_is_told_apart_with_a_witness(name, stated):
    outcome = agree(stated, prove("class_encoding:transition").formulae[name])
    assert outcome.verdict is False
    assert outcome.stated != outcome.derived
    assert "lambda_W" in outcome.witness


def test_a_formula_that_differs_only_on_the_boundary_is_told_apart():
    derived = prove("class_encoding:transition").formulae["bias"]
    stated = sp.Piecewise((0, sp.Eq(lam_b, lam_b_star)), (derived, True))
    outcome = agree(stated, derived)
    assert outcome.verdict is False
    assert outcome.regime == "at"


def test_the_course_of_the_cosine_is_decided():
    cosine = prove("class_encoding:transition").formulae["cosine"]
    assert agree_at(0, -1 / (K - 1), cosine).verdict is True
    assert agree_at(sp.oo, 0, cosine).verdict is True
    assert agree_at(sp.oo, -1 / K, cosine).verdict is False
    assert at_least(-1 / (K - 1), cosine).verdict is True
    assert at_most(0, cosine).verdict is True
    assert increases(cosine).verdict is True
    assert at_least(0, cosine).verdict is None
    assert increases(-cosine).verdict is None


def test_a_jump_is_no_increase():
    jump = sp.Piecewise((1, lam_b < lam_b_star), (0, True))
    assert increases(jump, (BELOW, AT, ABOVE)).verdict is None


def test_what_cannot_be_decided_is_not_guessed():
    unknown = sp.Symbol("x", real=True)
    assert agree(sp.sin(unknown) ** 2 * lam_b + K, K).verdict is None


@pytest.mark.parametrize("regime", BALANCED_ONE_HOT, ids=lambda regime: regime.name)
def test_the_slack_of_a_regime_stays_in_it(regime):
    letters = {x for value in regime.slack.values() for x in sp.sympify(value).free_symbols}
    rng = np.random.default_rng(2)
    for _ in range(20):
        point = {x: float(10 ** rng.uniform(-2, 2)) for x in letters}
        relative, bias = (float(regime.at(x).subs(point)) for x in (t_rel, lam_b))
        threshold = relative / (1 - relative) if relative < 1 else math.inf
        inside = {
            BELOW: relative < 1 and bias < threshold,
            ABOVE: relative < 1 and bias > threshold,
            LOST: relative > 1,
            CRITICAL: math.isclose(relative, 1),
        }
        assert inside.get(regime, relative < 1 and math.isclose(bias, threshold, rel_tol=1e-9))


# the engine


def test_words_know_the_gradient():
    W: Any = sp.MatrixSymbol("W", m, d)
    H, Y = sp.MatrixSymbol("H", d, n), sp.MatrixSymbol("Y", m, n)
    direction = sp.MatrixSymbol("D", d, n)
    along = directional(SquaredNorm(W * H - Y) / 2, H, direction)
    claimed = scalar_words(sp.Trace((W.T * (W * H - Y)).T * direction))
    assert all(vanishes(along.get(word, 0) - claimed.get(word, 0)) for word in {*along, *claimed})


def test_words_take_a_trace_up_to_rotation_and_transposition():
    A: Any = sp.MatrixSymbol("A", m, d)
    B: Any = sp.MatrixSymbol("B", d, m)
    assert scalar_words(sp.Trace(A * B)) == scalar_words(sp.Trace(B * A)) == scalar_words(sp.Trace(A.T * B.T))
    assert scalar_words(sp.Trace(sp.Identity(m))) == {(): m}
    assert words(A * B) != words((A * B).T)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_exchangeable_matrices_are_what_they_say(size):
    x, y = sp.symbols("x y")
    abstract = Exchangeable(x, y)
    matrix = x * (sp.eye(size) - sp.ones(size) / size) + y * sp.ones(size) / size
    assert sp.simplify(abstract.trace.subs(K, size) - matrix.trace()) == 0
    assert sp.simplify(abstract.squared_norm.subs(K, size) - (matrix.T * matrix).trace()) == 0
    assert sp.simplify(abstract.diagonal.subs(K, size) - matrix[0, 0]) == 0
    assert sp.simplify(abstract.off_diagonal.subs(K, size) - matrix[0, 1]) == 0
    trace = scalar_words(sp.Trace(abstract.matrix), Rules.of(ONES_RULE))
    assert vanishes(sum(trace.values()) - abstract.trace)
    assert ONES.shape == (K, 1)


def test_signs_are_decided_only_where_they_are_certain():
    x, y = sp.Symbol("x", positive=True), sp.Symbol("y", nonnegative=True)
    assert sign_of(1 / (x + y) - 1 / x) is Sign.NONPOSITIVE
    assert sign_of(x**2 + x * y + 1) is Sign.POSITIVE
    assert sign_of((x - y) ** 2) is Sign.NONNEGATIVE
    assert sign_of(x - y) is Sign.UNKNOWN
    assert sign_of(2 * x - sp.sqrt(3) * x + y) is Sign.POSITIVE  # one monomial, whose number is 2 - sqrt(3)
    assert sign_of(x - sp.sqrt(3) * x - 2 * y) is Sign.NEGATIVE
    assert sign_of(x + y * (1 - sp.sqrt(2))) is Sign.UNKNOWN
    assert sign_of(x**2 - x + 1) is Sign.UNKNOWN  # positive, but not coefficient by coefficient
    assert sign_of((x + 1) ** 2 - x**2 - 2 * x - 1) is Sign.ZERO


def test_logarithms_are_opened_only_where_their_factors_are_positive():
    x, y = sp.Symbol("x", positive=True), sp.Symbol("y", nonnegative=True)
    assert vanishes(sp.log(1 + x / (1 + y)) + sp.log(1 + y) - sp.log(1 + x + y))
    assert not vanishes(sp.log(1 + x / (1 + y)) - sp.log(1 + y) - sp.log(1 + x + y))
    assert not vanishes(sp.log(x * y, evaluate=False) - sp.log(x) - sp.log(y) - sp.log(2))
    assert not vanishes(
        sp.log((x - 1) * (x - 2), evaluate=False) - sp.log(x - 1) - sp.log(x - 2)
    )  # both may be negative


def _proof() -> Proof:
    return Proof("a title", "a statement")


def test_each_rule_refuses_what_does_not_hold():
    A, Z = sp.MatrixSymbol("A", m, d), sp.MatrixSymbol("Z", m, d)
    proof = _proof()
    proof.equal("equal", "", K + 1, K)
    proof.sign("sign", "", sp.Gt(K, 2, evaluate=False))
    proof.identity("identity", "", (A.T * A, A * A.T))
    proof.gradient("gradient", "", SquaredNorm(A) / 2, A, -A)
    proof.follows("follows", "", A, sp.ZeroMatrix(m, d), {Z: 2 * A}, Z)
    proof.follows("no zero in it", "", A, sp.ZeroMatrix(m, d), {Z: 2 * A}, A)
    proof.squares("negative coefficient", "", -SquaredNorm(A), 0, [(-1, A)])
    proof.squares("not a sum of squares", "", SquaredNorm(A), 0, [(2, A)])
    proof.limit("limit", "", lam_b, (lam_b, 0), 1, (PLATEAU, sp.Symbol("u_0", nonnegative=True), sp.oo))
    proof.closed_form("closed form", "", lam_b, {BELOW: lam_b, ABOVE: 2 * lam_b})
    derivation = proof.conclude()
    assert derivation.failed == tuple(step.name for step in derivation.steps)


def test_a_letter_cannot_be_defined_twice_or_by_itself():
    x, y = sp.symbols("x y")
    for first, second in [((x, K), (x, n)), ((x, K), (y, y + 1))]:
        proof = _proof()
        proof.define("first", "", *first)
        proof.define("second", "", *second)
        assert proof.conclude().failed == ("second",)


def test_definitions_alone_prove_nothing():
    proof = _proof()
    proof.define("only", "", sp.Symbol("x"), K)
    assert not proof.conclude().ok


def test_a_proof_falls_with_the_proof_it_uses():
    broken = _proof()
    broken.equal("wrong", "", K, n)
    proof = _proof()
    proof.equal("right", "", K, K)
    proof.uses("borrowed", "", broken.conclude())
    assert proof.conclude().failed == ("borrowed",)


# how it reads


@pytest.mark.parametrize("theorem_id", available())
def test_a_proof_can_be_typeset(theorem_id):
    derivation: Derivation = prove(theorem_id)
    latex, markdown, text = derivation.latex(), derivation.markdown(), derivation.text()
    for opening, closing in [
        (r"\[", r"\]"),
        (r"\begin{aligned}", r"\end{aligned}"),
        (r"\begin{proof}", r"\end{proof}"),
    ]:
        assert latex.count(opening) == latex.count(closing)
    assert latex.isascii()
    assert latex.count("{") == latex.count("}")
    assert markdown.count("$") % 2 == 0
    assert "\\" not in re.sub(r"[╲╱]", "", text)
    assert "$" not in text
    assert all(len(line) <= 140 for line in text.split("\n"))


def test_a_step_prints_what_tells_something():
    """Nothing for a relation that is plain truth, one side for two alike; a step that fails is printed whole."""
    x, y = sp.symbols("x y")
    same, zero, real = (sp.Eq(a, b, evaluate=False) for a, b in ((x * y, x * y), (0, 0), (x, y)))
    step = Step("name", "Words.", (sp.true, zero, same, real), "sympy", "")
    assert telling(step) == (x * y, real)
    assert telling(replace(step, how="refused")) == step.claims
    printed = [line.strip() for line in prove("zhou2022:product").markdown().splitlines()]
    assert not {r"\text{True}", "0 = 0", "1 = 1"} & set(printed)
