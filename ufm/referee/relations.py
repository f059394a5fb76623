"""Claims about metrics against proofs that arrive at relations: observable = formula, <= formula or >= formula."""

from typing import Any

import sympy as sp

from ufm.catalogue import AtLeast, AtMost, Claim, Equals
from ufm.derivation.derivation import Derivation
from ufm.derivation.signs import vanishes

_SENSE = {Equals: sp.Equality, AtMost: sp.LessThan, AtLeast: sp.GreaterThan}


def is_derived_relation(claim: Claim, derivation: Derivation) -> bool:
    """Whether one of the relations that were derived for this observable is the claim, letter for letter."""
    sense = _SENSE.get(type(claim))
    if sense is None or not isinstance(claim, Equals):
        return False
    derived = derivation.claims.get(claim.observable)
    relations: Any = derived if isinstance(derived, tuple) else (derived,)
    return any(
        isinstance(relation, sense)
        and getattr(relation.lhs, "name", "") == claim.observable
        and vanishes(_in_letters_of(relation.rhs, claim.expression) - claim.expression)
        for relation in relations
    )


def _in_letters_of(derived: Any, stated: Any) -> Any:
    """The derived formula in the stated one's letters: what has one name is one letter."""
    letters = {letter.name: letter for letter in stated.free_symbols}
    return derived.xreplace({x: letters[x.name] for x in derived.free_symbols if x.name in letters})
