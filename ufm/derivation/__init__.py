"""Executable proofs: builder, verified steps, lemmas, and comparison of what is stated with what is derived."""

from ufm.derivation.derivation import Derivation, Step
from ufm.derivation.exchangeable import Exchangeable
from ufm.derivation.lemma import Lemma
from ufm.derivation.proof import Proof
from ufm.derivation.words import SquaredNorm

__all__ = ["Derivation", "Exchangeable", "Lemma", "Proof", "SquaredNorm", "Step"]
