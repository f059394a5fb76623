"""Feature collapse: the statement on equal targets, at classes with equal codes."""

from collections.abc import Callable

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import prove


def equal_codes() -> Derivation:
    """Two samples with one target have one feature, whether or not they are of one class."""
    collapse = prove("massion2026:nc1")
    proof = Proof("Equal codes", "Squared loss, any codes, any class sizes, with or without a bias.")
    proof.uses("equal targets", "Two samples with one target have one feature at every critical point.", collapse)
    return proof.conclude(claims={"role_spread": collapse.claims["role_spread"]})


PROOFS: dict[str, Callable[[], Derivation]] = {"equal_codes": equal_codes}
