"""Pictures: functions that take records and return Axes, in one style. Theory is a line, witnesses are points."""

from ufm.plot.overlay import angles, overlay, steps
from ufm.plot.phases import (
    class_diagram,
    critical_regularisation,
    depth_diagram,
    last_regularisation,
    order_parameter,
    phase_diagram,
    phases,
)
from ufm.plot.style import WITNESS_STYLE, network_style, style
from ufm.plot.sweep import along_weight, sweep_figure
from ufm.plot.transition import Series, against_weight, cosine_matrices, distance_to_theorem, transition

__all__ = [
    "WITNESS_STYLE",
    "Series",
    "against_weight",
    "along_weight",
    "angles",
    "class_diagram",
    "cosine_matrices",
    "critical_regularisation",
    "depth_diagram",
    "distance_to_theorem",
    "last_regularisation",
    "network_style",
    "order_parameter",
    "overlay",
    "phase_diagram",
    "phases",
    "steps",
    "style",
    "sweep_figure",
    "transition",
]
