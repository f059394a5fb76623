"""What a published statement is, and where all of them are found."""

from ufm.catalogue.bibliography import bibliography
from ufm.catalogue.catalogue import catalogue, find
from ufm.catalogue.claims import At, AtLeast, AtMost, Claim, Equals, Formula, Increases
from ufm.catalogue.domain import Domain, Integers, LogReals, Values
from ufm.catalogue.theorem import Citation, Theorem

__all__ = [
    "At",
    "AtLeast",
    "AtMost",
    "Citation",
    "Claim",
    "Domain",
    "Equals",
    "Formula",
    "Increases",
    "Integers",
    "LogReals",
    "Theorem",
    "Values",
    "bibliography",
    "catalogue",
    "find",
]
