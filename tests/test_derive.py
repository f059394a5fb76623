"""The derivation engine: closed forms from problems in letters, equal to certified optima, or a refusal."""

import ast
import json
import math
from typing import Any

import numpy as np
import pytest
import sympy as sp
from whole_proof import whole_proof

import ufm
from ufm.derivation import Proof, memory
from ufm.derivation.engine import any_classes, shallow
from ufm.derivation.engine.shallow import shrinkage
from ufm.share import locate
from ufm.symbols import K, N, SoftThreshold, Y, delta_kl, lam_b, lam_H, lam_W, n, n_k
from ufm.tolerance import tolerance

ENCODINGS = ("one_hot", "simplex", "one_vs_rest")


def equal_classes(encoding: str, bias: Any, classes: Any = K, size: Any = n, weights: Any = (lam_W, lam_H)):
    codes = getattr(ufm.encodings, encoding)(classes)
    return ufm.Problem(ufm.classes(codes, size), lam_W=weights[0], lam_H=weights[1], lam_b=bias)


SYMBOLIC = {
    "one-hot, no bias": equal_classes("one_hot", math.inf),
    "one-hot, free bias": equal_classes("one_hot", 0),
    "simplex, free bias": equal_classes("simplex", 0),
    "simplex, penalised": equal_classes("simplex", lam_b),
    "+-1, free bias": equal_classes("one_vs_rest", 0),
    "unequal one-hot": ufm.Problem(ufm.classes(ufm.encodings.one_hot(K), n_k), lam_W=lam_W, lam_H=lam_H),
    "regression, no bias": ufm.Problem(ufm.samples(Y), lam_W=lam_W, lam_H=lam_H),
    "regression, free bias": ufm.Problem(ufm.samples(Y), lam_W=lam_W, lam_H=lam_H, lam_b=0),
}
SLOW = {
    "one-hot, penalised": equal_classes("one_hot", lam_b),
    "+-1, no bias": equal_classes("one_vs_rest", math.inf),
    "+-1, penalised": equal_classes("one_vs_rest", lam_b),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_every_step_from_the_loss_to_the_closed_form_is_verified(name):
    assert whole_proof(SYMBOLIC[name], "proved").lemmas == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_step_is_verified_where_more_regimes_are(name):
    assert whole_proof(SLOW[name], "proved").lemmas == ()


POINTS = ((4, 3, 0.05, 0.02, 0.3), (4, 3, 0.05, 0.02, 0.02), (2, 4, 0.1, 0.1, 0.4), (6, 2, 0.3, 0.3, 1.0))


def number(formula: Any, classes: int) -> Any:
    """A float, or the matrix over pairs of classes where the formula speaks of pairs."""
    if not sp.sympify(formula).has(delta_kl):
        return complex(formula).real
    at = [complex(formula.subs(delta_kl, same)).real for same in (0, 1)]
    return np.where(np.eye(classes) == 1, at[1], at[0])


def agrees_with_the_optimum(encoding: str, biases: tuple[float, ...]) -> None:
    for classes, size, weight_W, weight_H, _ in POINTS:
        for bias in biases:
            problem = equal_classes(encoding, bias, classes, size, (weight_W, weight_H))
            found, derived = ufm.solve(problem).record(), ufm.derive(problem).formulae
            names = {name for name in derived if name in found and derived[name] is not sp.nan}
            assert {"value", "singular_values_centred", "gram"} <= names
            for name in names:
                expected = np.asarray(found[name].values)
                derived_number = np.asarray(number(derived[name], classes))
                assert np.all(tolerance("optimum", name).allows(derived_number, expected)), (problem, name)


def test_the_formulae_are_those_of_certified_optima():
    agrees_with_the_optimum("one_hot", (0.0, math.inf))
    agrees_with_the_optimum("simplex", (0.0, 0.3))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_formulae_are_those_of_certified_optima_with_any_bias(encoding):
    agrees_with_the_optimum(encoding, (0.0, 0.02, 0.3, 1.0, math.inf))


def test_unequal_classes_have_the_value_of_the_optimum():
    sizes = sp.symbols("n_1:4", positive=True, integer=True)
    problem = ufm.Problem(ufm.classes(ufm.encodings.one_hot(3), sizes), lam_W=lam_W, lam_H=lam_H)
    value = ufm.derive(problem).formulae["value"]
    for counts in ((7, 2, 1), (9, 4, 4)):
        at = {**dict(zip(sizes, counts, strict=True)), lam_W: 0.1, lam_H: 0.2}
        numbers = ufm.Problem(ufm.classes(ufm.encodings.one_hot(3), counts), lam_W=0.1, lam_H=0.2)
        assert_same_value(float(value.subs(at)), ufm.solve(numbers).value)
        assert_same_value(float(ufm.derive(numbers).formulae["value"]), ufm.solve(numbers).value)


def test_a_problem_in_letters_of_ones_own():
    k, size, w, h = sp.symbols("k size w h", positive=True)
    derivation = ufm.derive(equal_classes("one_hot", 0, k, size, (w, h)))
    assert derivation.formulae["value"].free_symbols == {k, size, w, h}
    assert derivation.steps[-1].section == "This problem"


def assert_same_value(derived: float, optimum: float) -> None:
    assert abs(derived - optimum) <= tolerance("optimum", "value").allowed(optimum)


@pytest.mark.parametrize(("encoding", "bias"), [("one_hot", 0.0), ("simplex", math.inf)])
@pytest.mark.parametrize("layers", [(0.05,), (0.05, 0.03)])
def test_centred_targets_need_no_more_than_their_rank(encoding, bias, layers):
    targets = ufm.classes(getattr(ufm.encodings, encoding)(4), 3)
    problem = ufm.Problem(targets, width=3, lam_W=layers, lam_H=0.02, lam_b=bias)
    assert_same_value(ufm.derive(problem).at()["value"], ufm.solve(problem).value)


def test_regression_targets_in_numbers_need_their_singular_values_alone():
    targets = np.random.default_rng(0).standard_normal((3, 8))
    for layers in ((0.02,), (0.02, 0.01)):
        problem = ufm.Problem(ufm.samples(targets), width=3, lam_W=layers, lam_H=0.02)
        found = ufm.derive(problem).at({"sigma_i": np.linalg.svd(targets, compute_uv=False)})
        assert_same_value(found["value"], ufm.solve(problem).value)


@pytest.mark.parametrize("layers", [(0.02,), (0.02, 0.015)])
@pytest.mark.parametrize("bias", [0.0, math.inf])
@pytest.mark.parametrize("encoding", ["one_hot", "binary", "simplex", "one_vs_rest", "samples"])
def test_targets_in_numbers_leave_nothing_to_give(encoding, bias, layers):
    targets = ufm.samples(np.random.default_rng(1).standard_normal((3, 8)))
    if encoding != "samples":
        targets = ufm.classes(getattr(ufm.encodings, encoding)(4), np.array([5, 1, 2, 3]))
    problem = ufm.Problem(targets, lam_W=layers, lam_H=0.01, lam_b=bias)
    found, optimum = ufm.derive(problem).at(), ufm.solve(problem).record()
    shared = [name for name in found if name in optimum]
    assert {"value", "singular_values" if bias else "singular_values_centred"} <= set(shared)
    for name in shared:
        assert np.all(tolerance("optimum", name).allows(found[name], optimum[name].values)), name


def test_a_letter_of_the_problem_is_welcome_where_no_formula_has_it():
    w, h, beta = sp.symbols("w h beta", positive=True)
    derived = ufm.derive(ufm.Problem(ufm.classes(ufm.encodings.simplex(K), n), lam_W=w, lam_H=h, lam_b=beta))
    numbers = {"K": 4, "n": 5, "w": 0.01, "h": 0.02}
    assert derived.at({**numbers, "beta": 0.3})["value"] == derived.at(numbers)["value"]  # simplex codes have no mean
    with pytest.raises(ufm.UfmError, match=r"lam_b.*no such letter"):
        derived.at({**numbers, "lam_b": 0.3})


@pytest.mark.parametrize("bias", [0.0, math.inf])
@pytest.mark.parametrize("encoding", ["one_hot", "binary", "simplex"])
@pytest.mark.parametrize("layers", [(0.03,), (0.03, 0.02)])
def test_classes_without_symmetry_need_the_singular_values_of_their_targets(encoding, bias, layers):
    counts = np.array([5, 1, 2, 3])
    problem = ufm.Problem(
        ufm.classes(getattr(ufm.encodings, encoding)(4), counts), lam_W=layers, lam_H=0.01, lam_b=bias
    )
    free, optimum, derived = bias == 0, ufm.solve(problem), ufm.derive(problem)
    assert derived.ok
    if encoding == "one_hot" and not free:
        assert_same_value(float(derived.formulae["value"]), optimum.value)  # the sizes are all that it needs
        return
    A = (problem.targets.columns - free * problem.targets.mean[:, None]) * np.sqrt(counts)
    _, s, Vt = np.linalg.svd(A, full_matrices=False)
    assert_same_value(derived.at({"sigma^c_i" if free else "sigma_i": s})["value"], optimum.value)
    (columns,) = [step.claims[0] for step in derived.steps if step.name == "columns of classes"]
    assert columns.has(any_classes.MEAN) is free  # which matrix it is that has these singular values
    assert "logits" not in derived.formulae  # the carried ones speak of samples
    if len(layers) == 1:
        inverse = next(letter for letter in derived.formulae["gram"].atoms(sp.MatrixSymbol) if letter.name == "D^{-1}")
        (part,) = derived.formulae["gram"].atoms(SoftThreshold)
        numbers = {inverse: np.diag(counts**-0.5), part: (Vt.T * np.maximum(s - float(part.args[1]), 0)) @ Vt}
        gram = float(derived.formulae["gram"].as_coeff_mmul()[0]) * numbers[inverse] @ numbers[part] @ numbers[inverse]
        np.testing.assert_allclose(gram, optimum.gram, atol=1e-9)


CROSS = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
APART = {  # targets whose covariance takes their mean to zero, and those whose mean is zero
    "hadamard": ufm.classes(ufm.encodings.hadamard(4), 3),
    "codes": ufm.classes(np.vstack([CROSS, np.full(4, 2.0)]), [2, 2, 3, 3]),
    "samples": ufm.samples(np.array([[1.0, -1, 2, -2, 0], [3, 3, 3, 3, 3]])),
    "no mean": ufm.classes(CROSS, [2, 2, 1, 1]),
    "samples without a mean": ufm.samples(np.array([[1.0, -1, 2, -2, 0], [0, 3, -2, -1, 0]])),
}


@pytest.mark.parametrize("lam_b", [0.3, 2.0])
@pytest.mark.parametrize("name", APART)
def test_a_penalised_bias_is_derived_where_the_mean_target_is_apart(name, lam_b):
    problem = ufm.Problem(APART[name], lam_W=0.1, lam_H=0.05, lam_b=lam_b)
    derived, optimum = ufm.derive(problem), ufm.solve(problem).record()
    assert derived.verdict == "proved"
    found = derived.at()
    assert ("singular_value_mean" in found) is ("mean" not in name)
    for each in found:
        if each in optimum:
            assert np.all(tolerance("optimum", each).allows(found[each], optimum[each].values)), each


def test_a_mean_target_of_zero_needs_no_bias_at_any_depth():
    problem = ufm.Problem(APART["no mean"], lam_W=(0.1, 0.08), lam_H=0.05, lam_b=0.5)
    assert_same_value(ufm.derive(problem).at()["value"], ufm.solve(problem).value)
    with pytest.raises(ufm.OutOfReachError, match="has a proof for one layer"):
        ufm.derive(problem.replace(targets=APART["codes"]))


REFUSED = {
    "constraint": equal_classes("one_hot", math.inf, 3, 2, (0.1, 0.1)).replace(
        constraint=ufm.constraints.NonNegative()
    ),
    r"classes\(one_hot.*letters leave open": ufm.Problem(
        ufm.classes(ufm.encodings.one_hot(K), n_k), lam_W=lam_W, lam_H=lam_H, lam_b=lam_b
    ),
    r"samples\(Y.*letters leave open": ufm.Problem(ufm.samples(Y), lam_W=lam_W, lam_H=lam_H, lam_b=lam_b),
    "0 times the most it could|mean lies among the directions that vary": ufm.Problem(
        ufm.classes(ufm.encodings.binary(6), 2), lam_W=0.1, lam_H=0.1, lam_b=1.0
    ),
    "width = 1: below 2": ufm.Problem(ufm.classes(ufm.encodings.binary(4), 2), width=1, lam_W=0.1, lam_H=0.1),
    "width = 2: below 3": equal_classes("one_hot", 0, 4, 2, (0.1, 0.1)).replace(width=2),
    "width = 3: below 4": equal_classes("one_hot", math.inf, 4, 2, (0.1, 0.1)).replace(width=3),
    r"width = 2: below Min\(N, m\)": ufm.Problem(ufm.samples(Y), width=2, lam_W=lam_W, lam_H=lam_H),
    r"width = 1: below 3": ufm.Problem(ufm.classes(ufm.encodings.one_hot(3), n_k), width=1, lam_W=lam_W, lam_H=lam_H),
    "lam_W = 0": equal_classes("one_hot", 0, 4, 2, (0, 0.1)),
}


@pytest.mark.parametrize("says", REFUSED)
def test_a_problem_out_of_reach_is_refused_with_the_reason(says):
    with pytest.raises(ufm.OutOfReachError, match=says):
        ufm.derive(REFUSED[says])


def test_letters_never_reach_the_numeric_solvers():
    for action in (ufm.solve, lambda problem: ufm.simulate(problem, start=0)):
        with pytest.raises(ufm.UfmError, match=r"letters|symbols"):
            action(equal_classes("one_hot", 0))


def test_a_planted_fault_in_a_carried_step_is_refused(monkeypatch):
    shrinkage.cache_clear()
    monkeypatch.setattr(shallow, "KEPT_PART", shallow.S_1 - 2 * shallow.tau * sp.Identity(shallow.j))
    try:
        assert {"residual", "attained", "the product"} <= set(shrinkage("none").failed)
    finally:
        shrinkage.cache_clear()


def test_the_engine_reads_no_statement():
    for path in locate("ufm", "derivation").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(("ufm.theorems", "ufm.catalogue")), path


def test_the_sizes_of_targets_in_letters_are_checked():
    half = sp.Symbol("h", integer=False)
    with pytest.raises(ufm.ProblemError, match="positive integers"):
        ufm.classes(ufm.encodings.one_hot(K), half)
    with pytest.raises(ufm.ProblemError, match="one size for all"):
        ufm.classes(ufm.encodings.one_hot(3), (n, N))
    with pytest.raises(ufm.ProblemError, match="letter"):
        ufm.encodings.one_hot(half)
    with pytest.raises(ufm.ProblemError, match="letters"):
        ufm.classes(ufm.encodings.one_hot(K), n).matrix()


def test_verified_steps_are_remembered_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_path", lambda: tmp_path / "deep" / "steps.json")
    memory._known.cache_clear()
    asked: list[str] = []

    def decide(answer: bool, name: str) -> bool:
        return memory.decided("rule", (K, name), lambda: asked.append(name) or answer)

    try:
        assert decide(True, "a")
        assert not decide(False, "b")
        memory.save()
        memory._known.cache_clear()  # as another process would
        assert decide(True, "a")
        assert not decide(False, "b")
        assert asked == ["a", "b", "b"]
        with memory.anew():
            assert decide(True, "a")
        assert asked[-1] == "a"
        (tmp_path / "deep" / "steps.json").write_text('{"broken": ')
        memory._known.cache_clear()
        assert decide(True, "a")
        assert asked[-1] == "a"
        memory.save()
        assert len(json.loads((tmp_path / "deep" / "steps.json").read_text())) == 1
    finally:
        memory._known.cache_clear()


def test_a_step_that_takes_too_long_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(memory, "STEP_SECONDS", 0.05)
    proof = Proof("a title", "a statement")

    def forever(*_: Any) -> bool:
        while True:
            pass

    monkeypatch.setattr(proof, "_holds", forever)
    with memory.anew():
        proof.sign("endless", "", sp.Gt(K, 0, evaluate=False))
    (step,) = proof.conclude().steps
    assert step.how == "refused"
    assert "not settled within" in step.justification
