"""Pictures: functions that take records and return Axes, in one style. Theory is a line, witnesses are points."""

from ufm.plot.phases import class_diagram, critical_regularisation, order_parameter, phase_diagram, phases
from ufm.plot.style import WITNESS_STYLE, network_style, style
from ufm.plot.transition import Series, against_weight, cosine_matrices, distance_to_theorem, transition

__all__ = [
    "WITNESS_STYLE",
    "Series",
    "against_weight",
    "class_diagram",
    "cosine_matrices",
    "critical_regularisation",
    "distance_to_theorem",
    "network_style",
    "order_parameter",
    "phase_diagram",
    "phases",
    "style",
    "transition",
]
