"""Deep linear models from the engine: verified steps, roots that solve their equation, numbers of certified optima."""

import math
from typing import Any

import numpy as np
import pytest
import sympy as sp
from whole_proof import whole_proof

import ufm
from ufm.derivation import Proof
from ufm.derivation.engine import direction, roots
from ufm.derivation.engine.deep import deep
from ufm.derivation.engine.roots import LargestRoot
from ufm.symbols import K, N, Y, lam_b, lam_H, n, n_k, sigma, sigma_c
from ufm.tolerance import tolerance

LAYERS = sp.symbols("lambda_W1:8", positive=True)
LEMMAS = "proved, given lemmas product_penalty, von_neumann"


def root(t: Any, p: Any) -> Any:
    return LargestRoot(t, p)


def problem(targets: Any, p: int, bias: Any) -> ufm.Problem:
    return ufm.Problem(targets, lam_W=LAYERS[: p - 1], lam_H=lam_H, lam_b=bias)


def equal_classes(p: int, bias: Any, encoding: str = "one_hot") -> ufm.Problem:
    return problem(ufm.classes(getattr(ufm.encodings, encoding)(K), n), p, bias)


SYMBOLIC = {
    "one-hot, no bias, p = 3": equal_classes(3, math.inf),
    "one-hot, penalised, p = 4": equal_classes(4, lam_b),
    "one-hot, free bias, p = 5": equal_classes(5, 0),
    "unequal one-hot, p = 3": problem(ufm.classes(ufm.encodings.one_hot(K), n_k), 3, math.inf),
    "regression, free bias, p = 4": problem(ufm.samples(Y), 4, 0),
}
SLOW = {
    "one-hot, penalised, p = 3": equal_classes(3, lam_b),
    "simplex, penalised, p = 3": equal_classes(3, lam_b, "simplex"),
    "+-1, no bias, p = 3": equal_classes(3, math.inf, "one_vs_rest"),
    "+-1, free bias, p = 4": equal_classes(4, 0, "one_vs_rest"),
    "regression, no bias, p = 5": problem(ufm.samples(Y), 5, math.inf),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_every_step_from_the_loss_to_the_roots_is_verified(name):
    whole_proof(SYMBOLIC[name], LEMMAS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_step_is_verified_for_more_codes_and_depths(name):
    whole_proof(SLOW[name], LEMMAS)


# the root


@pytest.mark.parametrize("p", [3, 4, 5, 8])
def test_the_root_solves_its_equation_to_any_digit_and_is_the_largest(p):
    for part in (sp.Rational(1, 10**6), sp.Rational(1, 3), sp.Rational(999999, 10**6)):
        t = sp.N(part * roots.spinodal(p), 60)
        share = sp.N(root(t, p), 50)
        assert abs(sp.N(roots.pull(share, p) - t, 50)) < sp.Float(10) ** -45
        assert share > roots.turning_share(sp.Integer(p))  # beyond the turn there is one root
        if p < 5:
            assert abs(sp.N(sp.expand_func(root(t, p)), 50) - share) < sp.Float(10) ** -20
        else:
            assert sp.expand_func(root(t, p)) == root(t, p)
    assert sp.N(root(roots.coexistence(p), p), 30) == pytest.approx(float((p - 2) / (p - 1)), rel=1e-15)
    assert root(2 * roots.spinodal(p), p) is sp.nan


def test_the_root_of_one_layer_is_soft_thresholding_and_has_a_derivative():
    t = sp.Symbol("t", positive=True)
    assert root(t, 2) == 1 - t
    slope = root(t, 5).diff(t).subs(t, 0.1).evalf()
    near = [float(root(sp.Float(x), 5).evalf()) for x in (0.1 - 1e-6, 0.1 + 1e-6)]
    assert float(slope) == pytest.approx((near[1] - near[0]) / 2e-6, rel=1e-8)
    with pytest.raises(sp.core.function.ArgumentIndexError):
        root(t, sp.Symbol("p")).fdiff(2)


def test_the_root_draws_a_curve():
    t = sp.Symbol("t", positive=True)
    drawn = sp.lambdify(t, root(t, 3), "numpy")(np.array([0.0, 0.2, 0.5]))
    assert drawn[0] == 1
    assert drawn[1] == pytest.approx(float(root(sp.Rational(1, 5), 3).evalf()), rel=1e-15)
    assert np.isnan(drawn[2])  # beyond the spinodal


# the numbers


def numeric(p: int, rng: np.random.Generator, bias: float, encoding: str) -> tuple[ufm.Problem, dict[Any, float]]:
    """A random problem between deep in the kept phase and just beyond its loss, and its letters."""
    classes, size = int(rng.integers(2, 6)), int(rng.integers(1, 6))
    level = rng.uniform(0.02, 1.2) * float(roots.coexistence(p))
    if encoding == "one_vs_rest":
        level *= 2 ** (2 - 2 / p)
    mean = level / (classes * size ** (1 / p))
    tilts = 10 ** rng.uniform(-0.7, 0.7, p)
    weights = mean * tilts / np.prod(tilts) ** (1 / p)
    targets = ufm.classes(getattr(ufm.encodings, encoding)(classes), size)
    found = ufm.Problem(targets, lam_W=tuple(weights[1:]), lam_H=weights[0], lam_b=bias)
    letters = {K: classes, n: size, lam_H: weights[0], **dict(zip(LAYERS, weights[1:], strict=False))}
    return found, letters | ({lam_b: bias} if 0 < bias < math.inf else {})


def agrees(name: str, derived: Any, optimum: Any) -> bool:
    return bool(np.all(tolerance("optimum", name).allows(np.asarray(derived), np.asarray(optimum))))


def agree_with_optima(p: int, encoding: str, bias: Any, biases: tuple[float, ...], points: int) -> None:
    rng = np.random.default_rng(p)
    derived = ufm.derive(equal_classes(p, bias, encoding))
    for number in biases:
        for _ in range(points):
            stated, letters = numeric(p, rng, number, encoding)
            found = ufm.solve(stated).record()
            values = derived.at(letters)  # simplex codes: no formula has lam_b
            names = [name for name in values if name in found and not np.any(np.isnan(values[name]))]
            assert {"value", "singular_values_centred", "gram"} <= set(names)
            for name in names:
                assert agrees(name, values[name], found[name].values), (stated, name)


def test_the_formulae_are_those_of_certified_deep_optima():
    agree_with_optima(3, "one_hot", math.inf, (math.inf,), 4)
    agree_with_optima(4, "one_hot", lam_b, (0.02, 0.5, 20.0), 3)
    agree_with_optima(5, "one_hot", 0, (0.0,), 4)


@pytest.mark.slow
@pytest.mark.parametrize("p", [3, 4, 5, 6])
@pytest.mark.parametrize("encoding", ["one_hot", "simplex", "one_vs_rest"])
def test_the_formulae_are_those_of_certified_deep_optima_of_every_code(p, encoding):
    agree_with_optima(p, encoding, math.inf, (math.inf,), 8)
    agree_with_optima(p, encoding, 0, (0.0,), 8)
    if encoding != "one_vs_rest":
        agree_with_optima(p, encoding, lam_b, (0.01, 0.3, 3.0), 5)


def test_one_vs_rest_has_a_penalised_bias_where_the_mean_direction_is_the_least():
    targets = ufm.classes(ufm.encodings.one_vs_rest(4), 3)
    stated = ufm.Problem(targets, lam_W=(0.03, 0.02), lam_H=0.05, lam_b=0.4)
    assert agrees("value", ufm.derive(stated).at()["value"], ufm.solve(stated).value)
    with pytest.raises(ufm.OutOfReachError, match=r"lam_b = 0.4 with one_vs_rest codes and 2 layers"):
        ufm.derive(stated.replace(targets=ufm.classes(ufm.encodings.one_vs_rest(7), 3)))


def test_the_metastable_band_is_that_of_the_optimum():
    derived = ufm.derive(equal_classes(3, math.inf))
    for level, there in ((0.5, False), (1.05, True), (1.18, True), (1.3, False)):
        weight = level * float(roots.coexistence(3)) / (4 * 2 ** (1 / 3))
        letters = {K: 4, n: 2, lam_H: weight, LAYERS[0]: weight, LAYERS[1]: weight}
        values = derived.at(letters)
        assert (values["singular_values_centred"] > 0) is (level < 1)
        assert bool(np.isfinite(values["metastable"])) is there
        if there:
            stated = ufm.Problem(ufm.classes(ufm.encodings.one_hot(4), 2), lam_W=(weight, weight), lam_H=weight)
            local = ufm.solve(stated, method="metastable").record()
            assert agrees("singular_values_centred", values["metastable"], local["singular_values_centred"].values)


def test_unequal_classes_and_regression_have_the_optimum_direction_by_direction():
    counts, weights = (9, 4, 1), (0.02, 0.01, 0.003)
    letters = {N: sum(counts), LAYERS[0]: weights[0], LAYERS[1]: weights[1], lam_H: weights[2]}
    stated = ufm.Problem(ufm.classes(ufm.encodings.one_hot(3), counts), lam_W=weights[:2], lam_H=weights[2])
    found = ufm.solve(stated).record()
    values = ufm.derive(SYMBOLIC["unequal one-hot, p = 3"]).at({**letters, n_k: counts, sigma: np.sqrt(counts)})
    for name in ("gram", "classifier_gram", "logits", "singular_values", "value"):
        assert agrees(name, values[name], found[name].values), name
    assert ufm.derive(stated).at({n_k: counts, sigma: np.sqrt(counts)})["value"] == pytest.approx(values["value"])

    rng = np.random.default_rng(0)
    targets = rng.standard_normal((3, 20))
    stated = ufm.Problem(ufm.samples(targets), lam_W=(0.02, 0.03, 0.02), lam_H=0.02, lam_b=0)
    lengths = np.linalg.svd(targets - targets.mean(axis=1, keepdims=True), compute_uv=False)
    letters = {N: 20, **dict(zip(LAYERS, (0.02, 0.03, 0.02), strict=False)), lam_H: 0.02, sigma_c: lengths}
    values = ufm.derive(SYMBOLIC["regression, free bias, p = 4"]).at(letters)
    optimum = ufm.solve(stated)
    assert agrees("value", values["value"], optimum.value)
    assert agrees("singular_values_centred", values["singular_values_centred"], optimum.singular_values[:3])


def test_numbers_are_asked_for_by_name():
    derived = ufm.derive(equal_classes(3, math.inf))
    by_name = {"K": 3, "n": 2, "lambda_W1": 0.02, "lambda_W2": 0.02, "lam_H": 0.02}
    assert derived.at(by_name)["cosine"] == 0
    with pytest.raises(ufm.UfmError, match=r"t_rel: give numbers for .*lambda_W2"):
        derived.at({name: by_name[name] for name in ("K", "n", "lam_H")})
    with pytest.raises(ufm.UfmError, match=r"values\[lam_b\]: the formulae have no such letter"):
        derived.at({**by_name, "lam_b": 1})
    for letter, value, says in (
        ("n", math.nan, "give numbers"),
        ("n", "two", "give numbers"),
        ("lam_H", math.inf, "give numbers"),
        ("lam_H", [0.1, 0.2, 0.3], "give one number"),
        ("K", 2.5, "give an integer"),
        ("lam_H", -1, "give a positive number"),
    ):
        with pytest.raises(ufm.UfmError, match=rf"values\[{letter}\] = .*: {says}"):
            derived.at({**by_name, letter: value})
    sizes = {N: 6, n_k: (3, 2, 1, 1), sigma: 1, lam_H: 0.1, LAYERS[0]: 0.1, LAYERS[1]: 0.1}
    with pytest.raises(ufm.UfmError, match=r"values\[n_k\] has 4 sizes for K = 3 classes: give one a class"):
        ufm.derive(problem(ufm.classes(ufm.encodings.one_hot(3), n_k), 3, math.inf)).at(sizes)


def test_a_letter_of_ones_own_comes_before_ours_of_that_name():
    own = sp.Symbol("lam_W", positive=True)
    derived = ufm.derive(ufm.Problem(ufm.classes(ufm.encodings.one_hot(4), 5), lam_W=own, lam_H=0.02))
    assert derived.at({"lam_W": 0.01})["value"] == derived.at({own: 0.01})["value"]


# refusals and faults

REFUSED = {
    r"lam_b = lambda_b with targets = samples\(Y.*letters leave open": problem(ufm.samples(Y), 3, lam_b),
    r"lam_b = lambda_b with targets = classes\(one_hot.*letters leave open": problem(
        ufm.classes(ufm.encodings.one_hot(K), n_k), 3, lam_b
    ),
    r"lam_W\[1\] = 0": ufm.Problem(ufm.classes(ufm.encodings.one_hot(K), n), lam_W=(0.1, 0), lam_H=0.1),
    r"width = 2": equal_classes(3, 0).replace(targets=ufm.classes(ufm.encodings.one_hot(4), 2), width=2),
    r"mean lies among the directions that vary": problem(ufm.classes(ufm.encodings.binary(6), 2), 3, lam_b),
}


@pytest.mark.parametrize("says", REFUSED)
def test_a_deep_problem_out_of_reach_is_refused_with_the_reason(says):
    with pytest.raises(ufm.OutOfReachError, match=says):
        ufm.derive(REFUSED[says])


FAULTS = {
    "a wrong exponent": (direction, "at_stationarity", lambda s, e: e * s ** (1 - 1 / direction.p), "stationary"),
    "a wrong sign": (roots, "pull", lambda x, p: (1 + x) * x ** (1 - 2 / sp.sympify(p)), "relative shrinkage"),
    "a wrong spinodal": (roots, "spinodal", lambda p: p / (2 * p - 1), "spinodal"),
    "a wrong coexistence": (roots, "coexisting_share", lambda p: (p - 2) / p, "coexistence"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_in_a_direction_is_refused_by_name(name, monkeypatch):
    module, function, wrong, where = FAULTS[name]
    deep.cache_clear()
    direction.direction.cache_clear()
    monkeypatch.setattr(module, function, wrong)
    try:
        assert where in direction.direction().failed
        assert where in deep("none").failed
    finally:
        deep.cache_clear()
        direction.direction.cache_clear()


RADICALS = {
    "resolvent": (lambda t: (1 + t) ** sp.Rational(1, 3), 3, "resolvent"),
    "quartic_root": (lambda u: (sp.sqrt(u) - sp.sqrt(2 / sp.sqrt(u) - u)) / 2, 3, "the larger one"),
    "cubic_angle": (lambda t: sp.acos(3 * sp.sqrt(3) * t / 2) / 3, 4, "root of four"),
}


@pytest.mark.parametrize("function", RADICALS)
def test_a_planted_fault_in_the_radicals_is_caught(function, monkeypatch):
    wrong, order, where = RADICALS[function]
    t = sp.Rational(1, 5)
    right = sp.N(root(t, order), 20)
    monkeypatch.setattr(roots, function, wrong)
    sp.core.cache.clear_cache()  # SymPy remembers what it has expanded
    assert abs(sp.N(sp.expand_func(root(t, order)), 20) - right) > 0.01
    proof = Proof("a title", "a statement")
    direction.radicals(proof, order)
    failed = proof.conclude().failed
    sp.core.cache.clear_cache()
    assert where in failed
