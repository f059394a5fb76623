"""The witness "optimum": the global minimum of a problem, with its certificate."""

from ufm.optimum.certificate import Certificate
from ufm.optimum.solve import Optimum, solve
from ufm.optimum.status import OptimumStatus

__all__ = ["Certificate", "Optimum", "OptimumStatus", "solve"]
