"""Balanced cross-entropy from the engine: verified steps, numbers of certified optima, refusals in words."""

import math
from typing import Any

import numpy as np
import pytest
import sympy as sp
from whole_proof import whole_proof

import ufm
from ufm.derivation.engine import entropy
from ufm.losses import rescaled_mse
from ufm.symbols import K, Y, lam_b, lam_H, lam_W, n, n_k
from ufm.tolerance import tolerance

EPS = sp.Symbol("eps", nonnegative=True)


def problem(bias: Any, codes: Any = None, size: Any = n, weights: tuple[Any, ...] = (lam_W,)) -> ufm.Problem:
    codes = ufm.encodings.one_hot(K) if codes is None else codes
    return ufm.Problem(ufm.classes(codes, size), lam_W=weights, lam_H=lam_H, lam_b=bias, loss="cross_entropy")


@pytest.mark.parametrize("bias", [math.inf, 0, lam_b])
def test_every_step_from_the_loss_to_the_simplex_is_verified(bias):
    smoothed = ufm.encodings.smoothed(ufm.encodings.one_hot(K), EPS)
    derivation = whole_proof(problem(bias, smoothed), "proved, given lemma gibbs")
    assert [lemma.name for lemma in derivation.lemmas] == ["gibbs"]
    assert derivation.formulae["value"].free_symbols == {K, n, lam_W, lam_H, EPS}


def test_one_hot_labels_have_the_known_margin():
    margin = ufm.derive(problem(lam_b)).formulae["margin"]
    c = sp.sqrt(lam_W * lam_H)
    (value, alive), _ = margin.args
    assert sp.simplify(value - sp.log(1 / (c * sp.sqrt(n)) - (K - 1))) == 0
    assert alive.subs({K: 4, n: 1, lam_W: sp.Rational(1, 17), lam_H: 1}) == sp.true
    assert alive.subs({K: 4, n: 1, lam_W: sp.Rational(1, 15), lam_H: 1}) == sp.false


def test_the_formulae_are_those_of_certified_optima():
    rng = np.random.default_rng(0)
    smooth = ufm.encodings.smoothed(ufm.encodings.one_hot(K), EPS)
    for bias, number in ((math.inf, math.inf), (0, 0.0), (lam_b, 0.3)):
        derived = ufm.derive(problem(bias, smooth))
        for eps in (0.0, 0.1, 0.4):
            classes, size = int(rng.integers(2, 7)), int(rng.integers(1, 6))
            c, aspect = rng.uniform(0.05, 1.1) / (classes * math.sqrt(size)), 10 ** rng.uniform(-1, 1)
            letters = {K: classes, n: size, lam_W: c * aspect, lam_H: c / aspect, EPS: eps}
            codes = ufm.encodings.smoothed(classes, eps)
            stated = ufm.Problem(
                ufm.classes(codes, size), lam_W=c * aspect, lam_H=c / aspect, lam_b=number, loss="cross_entropy"
            )
            found, values = ufm.solve(stated, method="newton").record(), derived.at(letters)
            names = [name for name in values if name in found and not np.any(np.isnan(values[name]))]
            assert {"value", "singular_values_centred", "gram", "logits"} <= set(names)
            for name in names:
                expected = np.asarray(found[name].values)
                assert np.all(tolerance("optimum", name).allows(np.asarray(values[name]), expected)), (stated, name)
            assert ufm.derive(stated).at()["value"] == pytest.approx(values["value"], rel=1e-12)


REFUSED = {
    r"counts = n_k with loss = 'cross_entropy': unequal classes": problem(math.inf, size=n_k),
    r"lam_W of 2 layers: no global minimum is known in closed form": problem(math.inf, weights=(lam_W, lam_W)),
    r"targets = samples\(Y.*only classes": ufm.Problem(ufm.samples(Y), lam_W=lam_W, lam_H=lam_H, loss="cross_entropy"),
    r"binary codes with loss = 'cross_entropy': the closed form is that of one-hot": problem(
        math.inf, ufm.encodings.binary(4), 2
    ),
    r"loss = RescaledMSE.*: the engine derives 'mse' and 'cross_entropy'": ufm.Problem(
        ufm.classes(ufm.encodings.one_hot(3), 2), lam_W=0.1, lam_H=0.1, loss=rescaled_mse(2.0, 3.0)
    ),
    r"width = 2: below 3": problem(math.inf, ufm.encodings.one_hot(4), 2).replace(width=2),
}


@pytest.mark.parametrize("says", REFUSED)
def test_what_has_no_closed_form_is_refused_with_what_is_known(says):
    with pytest.raises(ufm.OutOfReachError, match=says):
        ufm.derive(REFUSED[says])


def test_smoothing_is_a_fraction_in_letters_too():
    with pytest.raises(ufm.ProblemError, match="between 0 and 1"):
        ufm.encodings.smoothed(3, -EPS - 1)
    with pytest.raises(ufm.ProblemError, match=r"letters K, eps: ufm\.derive reads them"):
        np.asarray(ufm.encodings.smoothed(ufm.encodings.one_hot(K), EPS))
    three = ufm.Problem(
        ufm.classes(ufm.encodings.smoothed(3, EPS), 2), lam_W=0.01, lam_H=0.01, loss="cross_entropy"
    )  # only the smoothing is a letter
    assert ufm.derive(three).formulae["value"].free_symbols == {EPS}


FAULTS = {
    "the dual point": ("_share", lambda regime: 2 * entropy.t_rel, "sum of squares (zero)"),
    "the loss of a margin": (
        "_loss_of_margin",
        lambda x, rate=entropy.off: sp.log(1 + K * sp.exp(-x)) + (K - 1) * rate * x,
        "loss of the margin",
    ),
    "the least loss": ("_entropy", lambda q: -(K - 1) * q * sp.log(q), "least loss"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_refused_by_name(name, monkeypatch):
    function, wrong, where = FAULTS[name]
    entropy.simplex.cache_clear()
    monkeypatch.setattr(entropy, function, wrong)
    try:
        assert where in entropy.simplex("penalised").failed
    finally:
        entropy.simplex.cache_clear()
