"""Claims as formulae: the observable, a LaTeX relation where the claim is one, and where it is asked."""

from typing import TYPE_CHECKING, Any, NamedTuple

from ufm.catalogue.claims import Among, At, AtLeast, AtMost, Claim, Equals
from ufm.catalogue.motion import Along, LateSlope, PathClaim, Tends, x

if TYPE_CHECKING:
    from ufm.catalogue.theorem import Theorem

_SIGNS = {"=": "=", "<=": r"\le", ">=": r"\ge"}
_RELATIONS = {Equals: "=", AtMost: r"\le", AtLeast: r"\ge"}


class Typeset(NamedTuple):
    """A claim to be shown; tex is empty where the claim is no relation of formulae, and text says all."""

    observable: str
    tex: str
    where: str
    text: str


def typeset(theorem: "Theorem") -> list[Typeset]:
    """All claims of a statement, as formulae where they are: of the optimum, along flows, over trained networks."""
    return [
        *map(_of_optimum, theorem.claims),
        *(Typeset(claim.observable, _course(claim), "along the flow", claim.text()) for claim in theorem.along),
        *(Typeset(claim.observable, "", "over trained networks", claim.text()) for claim in theorem.observed),
    ]


def _of_optimum(claim: Claim) -> Typeset:
    """What stands on the left, the relation and its right side, and where it is asked."""
    inner, where = claim, ""
    if isinstance(claim, At):
        inner, where = claim.claim, f"at {claim.field} = {claim.value:g}"
    elif isinstance(claim, Among):
        inner, where = claim.claim, claim.words
    relation = _RELATIONS.get(type(inner))
    shown = f"{relation} {_formula(inner.expression)}" if relation and isinstance(inner, Equals) else ""
    return Typeset(claim.observable, shown, where, claim.text())


def _course(claim: PathClaim) -> str:
    """The relation of a claim along flows, where it is an equation for the observable itself."""
    if isinstance(claim, Along) and claim.reading == x and not isinstance(claim, Tends | LateSlope):
        return f"{_SIGNS[claim.relation]} {_formula(claim.expression)}"
    return ""


def _formula(expression: Any) -> str:
    from ufm.derivation.render import tex

    return tex(expression).replace(r"\operatorname{Total}", r"\sum_i")
