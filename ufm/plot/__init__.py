"""Pictures: functions that take records and return Axes, in one style. Theory is a line, witnesses are points.

One rule for all: records first, then what to show, then `ax=None` (of several panels `axes=None`). Axes that are given
are drawn on as they are; without them there are fresh ones in the style of the gallery, which notebooks show by
themselves and `ax.figure.savefig("mine.pdf")` writes. Whole figures of the gallery are made in `ufm.figure`.
"""

from ufm.plot.course import against_time, course, modes
from ufm.plot.frames import cosines, frame
from ufm.plot.overlay import overlay, steps
from ufm.plot.phases import phase_diagram
from ufm.plot.style import ONE_COLUMN, TWO_COLUMNS, WITNESS_STYLE, network_style, style
from ufm.plot.sweep import along_weight, sweep
from ufm.plot.transition import against_weight, distance_to_theorem
from ufm.plot.trials import spectra

__all__ = [
    "ONE_COLUMN",
    "TWO_COLUMNS",
    "WITNESS_STYLE",
    "against_time",
    "against_weight",
    "along_weight",
    "cosines",
    "course",
    "distance_to_theorem",
    "frame",
    "modes",
    "network_style",
    "overlay",
    "phase_diagram",
    "spectra",
    "steps",
    "style",
    "sweep",
]
