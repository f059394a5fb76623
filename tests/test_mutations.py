"""The referee refutes wrong formulae: every tight statement with one thing wrong, ten ways, survivors with a reason."""

import logging
from dataclasses import replace

import pytest
import sympy as sp

from ufm.catalogue import Along, Theorem, catalogue
from ufm.errors import UfmError
from ufm.referee.mutants import WAYS, campaign, mutants, mutate
from ufm.referee.proof import prove_statement
from ufm.symbols import K, lam_b, lam_H, lam_W

TIGHT = [theorem for theorem in catalogue().values() if theorem.kind == "tight" and not theorem.needs]


def judged(theorem: Theorem) -> list[str]:
    """The mutants that survive without a reason; a statement that is itself refuted has none worth the name."""
    try:
        outcomes = campaign(theorem)
    except UfmError as error:
        if "is refuted as it stands" in str(error):
            pytest.skip(str(error))
        raise
    survivors = [outcome for outcome in outcomes if not outcome.refuted]
    for outcome in survivors:
        logging.getLogger(__name__).info("%s: %s: %s", outcome.text, outcome.mutant.way, outcome.reason)
    return [f"{outcome.mutant.way}: {outcome.text}" for outcome in survivors if not outcome.reason]


@pytest.mark.slow
@pytest.mark.parametrize("theorem", TIGHT, ids=lambda theorem: theorem.id)
def test_every_mutant_is_refuted_or_is_the_same_formula(theorem):
    assert judged(theorem) == []


@pytest.mark.parametrize("name", ["han2022:dynamics", "han2022:growth_by_map"])
def test_what_no_witness_was_asked_about_is_not_proved_with_one_thing_wrong(name):
    theorem = catalogue()[name]
    (claim,) = theorem.along
    assert isinstance(claim, Along)
    wrong = [replace(claim, expression=each) for _, each in mutate(claim.expression)]
    wrong += [replace(claim, reading=each) for _, each in mutate(claim.reading)]
    assert len(wrong) >= WAYS
    assert prove_statement(theorem).stands
    assert not any(prove_statement(replace(theorem, along=(each,))).stands for each in wrong)


@pytest.mark.parametrize("name", ["tirer2022:thm3_1", "dang2023_gof:thm4_1", "class_encoding:null"])
def test_mutants_of_a_few_statements(name):
    theorem = catalogue()[name]
    assert len(mutants(theorem)) == WAYS or name == "class_encoding:null"
    assert judged(theorem) == []


def test_a_mutant_differs_in_one_thing():
    formula = sp.Piecewise((sp.sqrt(lam_W / lam_H) / K, lam_b < K), (0, True))
    ways = dict(mutate(formula))
    assert {"sign", "factor 2", "squared", "lam_W for lam_H", "K + 1"} <= set(ways)
    assert any(way.startswith("exponent of") for way in ways)
    assert any(way.startswith("threshold") for way in ways)
    assert all(wrong != formula for wrong in ways.values())


def test_the_shape_of_a_matrix_is_no_letter_of_its_formula():
    matrix = sp.MatrixSymbol("M", K, K)
    assert dict(mutate(K * matrix))["K + 1"] == (K + 1) * matrix
    assert dict(mutate(2 * matrix)).get("K + 1", 2 * matrix) == 2 * matrix


def test_a_statement_that_fails_itself_has_no_mutants():
    with pytest.raises(UfmError, match="refuted as it stands"):
        campaign(catalogue()["andriopoulos2024:lemma_d1_value"])
