"""What a published statement is, and where all of them are found."""

from ufm.catalogue.bibliography import bibliography
from ufm.catalogue.catalogue import catalogue, find
from ufm.catalogue.claims import (
    Among,
    At,
    AtLeast,
    AtMost,
    Beaten,
    Claim,
    Differs,
    Equals,
    Increases,
    Named,
    Unbeaten,
)
from ufm.catalogue.domain import Domain, Integers, LogReals, Values
from ufm.catalogue.formula import Formula
from ufm.catalogue.motion import Along, Conserved, Falls, LateSlope, Motion, PathClaim, Rises, StartAssumption, Tends
from ufm.catalogue.runs import Networks, Observed, Run
from ufm.catalogue.theorem import Assumption, Citation, Theorem

__all__ = [
    "Along",
    "Among",
    "Assumption",
    "At",
    "AtLeast",
    "AtMost",
    "Beaten",
    "Citation",
    "Claim",
    "Conserved",
    "Differs",
    "Domain",
    "Equals",
    "Falls",
    "Formula",
    "Increases",
    "Integers",
    "LateSlope",
    "LogReals",
    "Motion",
    "Named",
    "Networks",
    "Observed",
    "PathClaim",
    "Rises",
    "Run",
    "StartAssumption",
    "Tends",
    "Theorem",
    "Unbeaten",
    "Values",
    "bibliography",
    "catalogue",
    "find",
]
