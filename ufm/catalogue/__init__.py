"""What a published statement is, and where all of them are found."""

from ufm.catalogue.catalogue import catalogue, find
from ufm.catalogue.claims import AtLeast, AtMost, Claim, Equals, Increases, Where
from ufm.catalogue.domain import Domain, Integers, LogReals, Values
from ufm.catalogue.theorem import Citation, Theorem

__all__ = [
    "AtLeast",
    "AtMost",
    "Citation",
    "Claim",
    "Domain",
    "Equals",
    "Increases",
    "Integers",
    "LogReals",
    "Theorem",
    "Values",
    "Where",
    "catalogue",
    "find",
]
