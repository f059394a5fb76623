"""The witness "optimum": the global minimum of a problem, with its certificate."""

from ufm.optimum.certificate import Certificate
from ufm.optimum.constrained.norm_budget import minority_collapse_threshold
from ufm.optimum.curvature import Curvature, curvature
from ufm.optimum.deep import Branches, branches
from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.optima import Optima
from ufm.optimum.optimum import Optimum
from ufm.optimum.solve import solve
from ufm.optimum.squared.check import certify, certify_logits
from ufm.optimum.status import OptimumStatus

__all__ = [
    "Branches",
    "Certificate",
    "Curvature",
    "GroupedOptimum",
    "Optima",
    "Optimum",
    "OptimumStatus",
    "branches",
    "certify",
    "certify_logits",
    "curvature",
    "minority_collapse_threshold",
    "solve",
]
