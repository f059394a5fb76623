"""What a published statement is, and where all of them are found."""

from ufm.catalogue.bibliography import bibliography
from ufm.catalogue.catalogue import catalogue, find
from ufm.catalogue.claims import At, AtLeast, AtMost, Claim, Equals, Increases
from ufm.catalogue.domain import Domain, Integers, LogReals, Values
from ufm.catalogue.formula import Formula
from ufm.catalogue.theorem import Assumption, Citation, Theorem

__all__ = [
    "Assumption",
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
