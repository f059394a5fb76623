"""The witness "optimum": the global minimum of a problem, with its certificate."""

from ufm.optimum.certificate import Certificate
from ufm.optimum.grouped import GroupedOptimum
from ufm.optimum.optima import Optima
from ufm.optimum.optimum import Optimum
from ufm.optimum.solve import solve
from ufm.optimum.status import OptimumStatus

__all__ = ["Certificate", "GroupedOptimum", "Optima", "Optimum", "OptimumStatus", "solve"]
