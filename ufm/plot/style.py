"""One style for every figure: colours that survive colour blindness and grey print, sizes of journal columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    return _shown_by_notebooks()(**look)


@cache
def _shown_by_notebooks() -> type:
    from matplotlib.figure import Figure

    class Sheet(Figure):
        """A figure that knows how notebooks ask for a picture; pyplot, which would teach them, is not needed."""

        def _repr_png_(self) -> bytes:
            picture = BytesIO()
            with style():
                self.savefig(picture, format="png", dpi=150)
            return picture.getvalue()

    return Sheet
