"""The referee's verdicts as a table of marks, one row a file of the catalogue."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Shape, filling and colour all differ, so that any one of them tells; from what stands to what falls.
MARKS: dict[str, dict[str, Any]] = {
    "proved": {"marker": "o", "color": "#0072B2"},
    "verified": {"marker": "^", "color": "#009E73"},
    "inconclusive": {"marker": "s", "color": "0.45", "markerfacecolor": "none"},
    "refuted": {"marker": "X", "color": "#D55E00"},
}


def verdict_rows(ax: "Axes", rows: Mapping[str, Sequence[str]], *, widest: int, height: int) -> "Axes":
    """Verdicts by file: a mark each, in the order of MARKS. Axes are `widest` marks wide and `height` rows high."""
    for y, (name, verdicts) in enumerate(rows.items()):
        for x, verdict in enumerate(sorted(verdicts, key=list(MARKS).index)):
            ax.plot(x, y, markersize=4.6, linestyle="none", **MARKS[verdict])
        ax.annotate(name, (-0.9, y), ha="right", va="center", fontsize=6.5, annotation_clip=False)
    ax.set(xlim=(-0.7, widest - 0.3), ylim=(height - 0.4, -0.6))
    ax.set_axis_off()
    return ax


def verdict_legend(figure: Any, tally: Mapping[str, int]) -> None:
    """What the marks mean, with how many there are."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="none", markersize=5, label=f"{name} ({tally.get(name, 0)})", **look)
        for name, look in MARKS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
