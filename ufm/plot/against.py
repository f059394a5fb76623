"""The strokes that figures are drawn with: formulae as lines, certified optima as crosses, flows as circles."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.plot.style import WITNESS_STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# For curves that are told apart by colour: from dark to light, readable in grey print and without colour vision.
LADDER = "viridis"


def ladder_colours(count: int) -> list[Any]:
    """So many colours of one scale, dark first; the lightest fifth is left out, which paper swallows."""
    from matplotlib import colormaps

    return [colormaps[LADDER](x) for x in np.linspace(0, 0.82, count)]


def line(ax: "Axes", x: np.ndarray, y: np.ndarray, colour: Any, label: str = "", *, dashed: bool = False) -> "Axes":
    """A formula: solid, or dashed where it is a local optimum only."""
    look: dict[str, Any] = {"linestyle": (0, (4, 2)) if dashed else "-", "linewidth": 1.2}
    ax.plot(x, y, color=colour, label=label or None, **look)
    return ax


def points(ax: "Axes", witness: str, x: np.ndarray, y: np.ndarray, colour: Any = None, label: str = "") -> "Axes":
    """What a witness says at single values, in its own marker."""
    look = {**WITNESS_STYLE[witness], "linestyle": "none", "label": label or None}
    if colour is not None:
        look["color"] = colour
    ax.plot(x, y, markeredgecolor=look["color"], **{k: v for k, v in look.items() if k != "markeredgecolor"})
    return ax


def witness_legend(ax: "Axes", witnesses: tuple[str, ...], **where: Any) -> Any:
    """A legend of markers alone, in grey."""
    from matplotlib.lines import Line2D

    handles = []
    for name in witnesses:
        look = {**WITNESS_STYLE[name], "color": "0.25"}
        handles.append(Line2D([], [], **({"linestyle": "none"} if name != "theorem" else {}), **look))
    legend = ax.legend(handles=handles, **where)
    legend.get_frame().set_edgecolor("none")
    ax.add_artist(legend)
    return legend
