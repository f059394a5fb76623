"""Constraints on a problem, one file each: the folder is the registry, each file holds one CONSTRAINT."""

import importlib
import pkgutil
from typing import Any

from ufm.constraints.constraint import Constraint, Facts
from ufm.constraints.feature_metric import FeatureMetric
from ufm.constraints.fixed_classifier import FixedClassifier
from ufm.constraints.hard_margin import HardMargin
from ufm.constraints.near import Near
from ufm.constraints.non_negative import NonNegative
from ufm.constraints.norm_budget import NormBudget
from ufm.errors import ProblemError
from ufm.spelling import made, spelled

__all__ = [
    "Constraint",
    "Facts",
    "FeatureMetric",
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


def from_dict(spec: Any) -> Constraint:
    """A constraint from one word (`norm_budget:E_W=1,E_H=5`), or from the table of `to_dict`."""
    found, known = spelled("constraint", spec), available()
    if found.get("name") not in known:
        raise ProblemError("constraint", found.get("name"), f"choose one of {', '.join(known)}.")
    return made("constraint", known[found["name"]], found)
