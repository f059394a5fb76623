"""Does the proof arrive at the statement? Each claim is compared with what the derivation of the same name reached."""

import math

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ufm.catalogue import (
    Along,
    Among,
    At,
    AtLeast,
    AtMost,
    Beaten,
    Claim,
    Equals,
    Increases,
    PathClaim,
    Theorem,
    Unbeaten,
)
from ufm.catalogue.claims import Approaches
from ufm.catalogue.decoding import NearestCode
from ufm.derivation.agree import Agreement, agree, agree_matrix
from ufm.derivation.course import agree_at, at_least, at_most, increases
from ufm.derivation.derivation import Derivation
from ufm.derivation.load import has_proof, prove
from ufm.referee.relations import is_derived_relation
from ufm.referee.report import Proof


def prove_statement(theorem: Theorem) -> Proof:
    """Run the derivation of the same id, and compare every claim with what it arrives at."""
    if theorem.no_proof:
        return Proof(None, f"no proof: {theorem.no_proof}")
    if not has_proof(theorem.id):
        return Proof(None, f"no proof: derivations/ holds none for {theorem.id}")
    derivation = prove(theorem.id)
    if not derivation.ok:
        return Proof(derivation, f"the derivation fails at: {', '.join(derivation.failed)}")
    for claim in theorem.claims_in_ours:
        reason = _differs(claim, derivation)
        if reason:
            return Proof(derivation, reason)
    for claim in theorem.along_in_ours:
        reason = _differs_along(claim, derivation)
        if reason:
            return Proof(derivation, reason)
    return Proof(derivation, "")


def _differs_along(claim: PathClaim, derivation: Derivation) -> str:
    """Why a claim about flows on their way is not what the derivation arrives at; empty where it is."""
    if not isinstance(claim, Along):
        derived = derivation.claims.get(claim.text())
        reached = derived is not None and not isinstance(derived, str)
        return "" if reached else f"the derivation does not reach the claim {claim.text()!r}"
    if claim.name not in derivation.formulae or claim.relation != "=":
        return f"the derivation does not reach the claim {claim.text()!r}"
    compare = agree_matrix if isinstance(claim.expression, MatrixExpr) else agree
    outcome = compare(claim.expression, derivation.formulae[claim.name], derivation.regimes)
    return "" if outcome.verdict else f"{claim.text()}: {outcome}"


def _differs(claim: Claim, derivation: Derivation) -> str:
    """Why a claim is not what the derivation arrives at; empty where it is."""
    if isinstance(claim, Approaches | Unbeaten | Beaten | NearestCode):
        derived = derivation.claims.get(claim.text())
        reached = derived is not None and not isinstance(derived, str)
        return "" if reached else f"the derivation does not reach the claim {claim.text()!r}"
    if isinstance(claim, Among):
        claim = claim.claim
    if claim.observable in derivation.formulae:
        outcome = _compare(claim, derivation)
        if outcome is not None:
            return "" if outcome.verdict else f"{claim.text()}: {outcome}"
    elif _is_derived_equation(claim, derivation) or is_derived_relation(claim, derivation):
        return ""
    return f"the derivation does not reach the claim {claim.text()!r}"


def _compare(claim: Claim, derivation: Derivation) -> Agreement | None:
    """The claim held against the derived formula of its observable, in every regime; None for an unknown kind."""
    derived, regimes = derivation.formulae[claim.observable], derivation.regimes
    inner = claim.claim if isinstance(claim, At) else claim
    if isinstance(derived, MatrixExpr) and not (type(inner) is Equals and isinstance(inner.expression, MatrixExpr)):
        return None  # a number, or a bound on the entries, is not what was derived of a matrix
    if isinstance(claim, At) and claim.field == "lam_b" and claim.value in (0, math.inf):
        end = sp.oo if math.isinf(claim.value) else sp.Integer(0)
        return agree_at(end, claim.claim.expression, derived * claim.claim.unit, regimes)
    if isinstance(claim, Equals):
        derived = derived * claim.unit
    if isinstance(claim, AtLeast):
        return at_least(claim.expression, derived, regimes)
    if isinstance(claim, AtMost):
        return at_most(claim.expression, derived, regimes)
    if isinstance(claim, Increases) and claim.in_field == "lam_b":
        return increases(derived, regimes)
    if isinstance(claim, Equals) and isinstance(claim.expression, MatrixExpr):
        return agree_matrix(claim.expression, derived, regimes)
    return agree(claim.expression, derived, regimes) if isinstance(claim, Equals) else None


def _is_derived_equation(claim: Claim, derivation: Derivation) -> bool:
    """Structural claims: the observable is the norm of left - right of an equation that was derived, so it is zero."""
    inner = claim.claim if isinstance(claim, At) else claim
    if type(inner) is not Equals or inner.expression != 0:
        return False
    derived = derivation.claims.get(claim.observable)
    return derived is not None and not isinstance(derived, str)
