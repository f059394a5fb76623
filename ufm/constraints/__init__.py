"""Constraints on a problem, one file each: the folder is the registry, each file holds one CONSTRAINT."""

import importlib
import pkgutil
from typing import Any

from ufm.constraints.constraint import Constraint, Facts
from ufm.constraints.fixed_classifier import FixedClassifier
from ufm.constraints.hard_margin import HardMargin
from ufm.constraints.near import Near
from ufm.constraints.non_negative import NonNegative
from ufm.constraints.norm_budget import NormBudget
from ufm.errors import ProblemError

__all__ = [
    "Constraint",
    "Facts",
    "FixedClassifier",
    "HardMargin",
    "Near",
    "NonNegative",
    "NormBudget",
    "available",
    "from_dict",
    "to_dict",
]


def available() -> dict[str, type]:
    """Every constraint by the name of its file."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "constraint")
    return {name: importlib.import_module(f"{__name__}.{name}").CONSTRAINT for name in names}


def to_dict(constraint: Constraint) -> dict[str, Any]:
    """A JSON- and TOML-ready form: the name and the fields."""
    name = type(constraint).__module__.rpartition(".")[2]
    return {"name": name, **constraint.to_dict()}


def from_dict(spec: dict[str, Any]) -> Constraint:
    """The inverse of `to_dict`; an unknown name or field is named."""
    known, fields = available(), {k: v for k, v in spec.items() if k != "name"}
    if spec.get("name") not in known:
        raise ProblemError("constraint", spec.get("name"), f"choose one of {', '.join(known)}.")
    try:
        return known[spec["name"]](**fields)
    except TypeError as error:
        raise ProblemError("constraint", spec, f"{error}.") from None
