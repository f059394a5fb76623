"""One style for every figure: colours that survive colour blindness and grey print, sizes of journal columns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import UfmError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONE_COLUMN, TWO_COLUMNS = 3.35, 6.9  # inches

# Okabe and Ito's palette; each witness has its own marker as well, so that colour is never the only difference.
WITNESS_STYLE: dict[str, dict[str, Any]] = {
    "theorem": {"color": "#000000", "linestyle": "-", "linewidth": 1.2, "label": "theorem"},
    "optimum": {
        "color": "#0072B2",
        "marker": "+",
        "markersize": 9,
        "markeredgewidth": 1.3,
        "label": "certified optimum",
    },
    "flow": {
        "color": "#009E73",
        "marker": "o",
        "markersize": 8.5,
        "markerfacecolor": "none",
        "markeredgewidth": 1.1,
        "label": "gradient flow",
    },
}

# Image sets in the order of a campaign: filled when recorded over seeds, open when trained now.
_NETWORKS = (("#D55E00", "s", 3.2), ("#CC79A7", "^", 4.6), ("#E69F00", "v", 4.6), ("#56B4E9", "D", 3.2))
_IMAGE_SETS = {"mnist5k": "MNIST", "fashion": "Fashion-MNIST", "digits": "8x8 digits"}


def network_style(index: int, images: str, *, now: bool = False) -> dict[str, Any]:
    """The look of networks on the index-th image set of a campaign."""
    color, marker, size = _NETWORKS[index % len(_NETWORKS)]
    name = _IMAGE_SETS.get(images, images)
    look: dict[str, Any] = {"color": color, "marker": marker, "markersize": size, "label": f"networks, {name}"}
    if not now:
        return {**look, "capsize": 2.5}
    return {**look, "markersize": size + 3.5, "markerfacecolor": "none", "label": f"trained now, {name}"}


_RC: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "font.family": "sans-serif",
    "mathtext.fontset": "dejavusans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "legend.frameon": False,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "svg.fonttype": "path",
    "svg.hashsalt": "ufm",
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the package, for the duration of a `with` block.

    Only these are put back: a notebook that sets itself up at the first figure, inside the block, stays set up.
    """
    import matplotlib as mpl

    before: Any = {name: mpl.rcParams[name] for name in _RC}
    mpl.rcParams.update(_RC)
    try:
        yield
    finally:
        mpl.rcParams.update(before)


def sheet(**look: Any) -> "Figure":
    """A new figure in this style's hands: notebooks show it by itself, and no list of open figures keeps it alive."""
    return _sheet_class()(**look)


@contextmanager
def panel(
    ax: "Axes | None", width: float = ONE_COLUMN, height: float = 2.5, *, space: bool = False
) -> "Iterator[Axes]":
    """The axes that were given, as they are; or fresh ones in this style, on a sheet of their own (inches).

    space: of three dimensions. A notebook that ends a cell with fresh axes shows their sheet.
    """
    if ax is not None:
        yield ax
        return
    with style():
        figure = sheet(figsize=(width, height), layout=None if space else "constrained")
        if space:  # its box leaves room enough on all sides
            yield figure.add_axes((-0.2, -0.2, 1.4, 1.4), axes_class=_axes_class(space))
        else:
            yield figure.add_subplot(axes_class=_axes_class(space))


@contextmanager
def panels(
    axes: "Sequence[Axes] | Panels | None", count: int, width: float, height: float, **grid: Any
) -> "Iterator[Panels]":
    """Like `panel`, for several: an array of the axes that were given, or of fresh ones, in one row or in `nrows`."""
    if axes is not None:
        yield _gathered(list(np.ravel(np.asarray(axes, dtype=object))), count)
        return
    with style():
        figure = sheet(figsize=(width, height), layout="constrained")
        rows, look = grid.pop("nrows", 1), {"axes_class": _axes_class(False)}
        made = figure.subplots(rows, count // rows, squeeze=False, subplot_kw=look, **grid)
        yield _gathered(list(made.ravel()), count)


class Panels(np.ndarray):
    """An array of Axes; a notebook shows the sheet that they are on."""

    def _repr_png_(self) -> bytes | None:
        sheets = {id(ax.figure): ax.figure for ax in self.flat if hasattr(ax, "figure")}
        return picture(next(iter(sheets.values()))) if len(sheets) == 1 else None


def _gathered(axes: "list[Axes]", count: int) -> Panels:
    if len(axes) != count:
        raise UfmError(f"axes = {len(axes)} axes: this picture has {count} panels; give as many, or none.")
    gathered = np.empty(count, dtype=object)
    gathered[:] = axes
    return gathered.view(Panels)


def picture(figure: Any) -> bytes:
    """A figure as PNG, at the resolution of a screen."""
    drawn = BytesIO()
    with style():
        figure.savefig(drawn, format="png", dpi=150)
    return drawn.getvalue()


@cache
def _sheet_class() -> type:
    from matplotlib.figure import Figure

    class Sheet(Figure):
        """A figure that knows how notebooks ask for a picture; pyplot, which would teach them, is not needed."""

        def _repr_png_(self) -> bytes:
            return picture(self)

    return Sheet


@cache
def _axes_class(space: bool) -> type:
    """Axes that show their figure in a notebook, as the figure itself would."""
    from matplotlib.axes import Axes
    from mpl_toolkits.mplot3d import Axes3D

    def shown(ax: Axes) -> bytes:
        return picture(ax.figure)

    return type("Panel", (Axes3D if space else Axes,), {"_repr_png_": shown, "__doc__": "Axes of a `Sheet`."})
