"""Time of one flow against the number of samples, the width and the number of classes, as the benchmark recorded it."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

RECORD = "flow_scaling.json"  # numerics/benchmarks/flow.py writes it
PANELS = {
    "N": ("a   samples", "samples $N$   ($K=10$, $d=64$)"),
    "d": ("b   width", "width $d$   ($K=10$, $N=5000$)"),
    "K": ("c   classes", "classes $K$   ($d=256$, $N=100K$)"),
}
LOOKS: dict[str, dict[str, Any]] = {
    "kencarp4": {"color": "#0072B2", "marker": "o", "label": "kencarp4 (IMEX)"},
    "kencarp5": {"color": "#D55E00", "marker": "^", "label": "kencarp5 (IMEX)"},
    "rkc2": {"color": "#009E73", "marker": "s", "label": "rkc2 (stabilised)"},
    "full": {"color": "#000000", "marker": "x", "linestyle": ":", "label": "all samples, naive gradient (estimated)"},
}
BELOW = 0.35  # where a guide ends, in units of the last point
GUIDES = {"N": (("full", 1),), "d": (("kencarp4", 3),), "K": (("kencarp4", 2),)}  # powers that operations grow by


def draw(_: "FigureSpec", __: "Witnesses | None") -> "Figure":
    """Measured seconds as points, one panel an axis; powers that the operations grow by as grey lines."""
    axes = json.loads((locate("numerics", "records") / RECORD).read_text(encoding="utf-8"))["axes"]
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.9), layout="constrained")
        panels = list(np.ravel(figure.subplots(1, 3, sharey=True)))
        for panel, (axis, (title, label)) in zip(panels, PANELS.items(), strict=True):
            against(panel, axis, axes[axis])
            panel.set_title(title, loc="left")
            panel.set_xlabel(label)
        panels[0].set_ylabel("one flow, CPU seconds")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def against(ax: "Axes", axis: str, curves: dict[str, list[tuple[float, float]]]) -> "Axes":
    """Seconds against one size, a line an integrator."""
    for name, look in LOOKS.items():
        sizes, seconds = np.transpose(curves[name])
        ax.loglog(sizes, seconds, linewidth=0.9, markersize=4, markerfacecolor="none", **{"linestyle": "-", **look})
    for name, power in GUIDES[axis]:
        sizes, seconds = np.transpose(curves[name])
        end = sizes[-3:] if name == "full" else sizes[-2:]
        rise = BELOW * seconds[-1] * (end / end[-1]) ** power
        ax.plot(end, rise, color="#777777", linewidth=0.8)
        letter = f"${axis}^{power}$" if power > 1 else f"${axis}$"
        ax.annotate(letter, (end[-1], rise[-1]), xytext=(2, -7), textcoords="offset points", color="#777777")
    if axis != "N":  # a decade or so: the sizes themselves
        sizes = np.transpose(curves["kencarp4"])[0]
        ax.set_xticks(sizes, [f"{size:.0f}" for size in sizes], minor=False)
        ax.set_xticks([], minor=True)
    return ax
