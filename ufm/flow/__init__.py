"""The gradient flow of a problem: exact coordinates, integrators as data, one driver, and a stop that is honest."""

from ufm.flow.driver import Progress
from ufm.flow.flow import Flow, Path
from ufm.flow.flows import Flows
from ufm.flow.many import simulate_many
from ufm.flow.plan import Options
from ufm.flow.simulate import simulate
from ufm.flow.start import balanced_start, random_start
from ufm.flow.state import State
from ufm.flow.status import Status

__all__ = [
    "Flow",
    "Flows",
    "Options",
    "Path",
    "Progress",
    "State",
    "Status",
    "balanced_start",
    "random_start",
    "simulate",
    "simulate_many",
]
