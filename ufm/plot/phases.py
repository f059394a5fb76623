"""Phase diagrams: an observable over two swept coordinates as cells, and where theory changes as lines over them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ufm.errors import UfmError
from ufm.plot.style import ONE_COLUMN, panel
from ufm.plot.words import words
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BOUNDARIES: tuple[dict[str, Any], ...] = (
    {"color": "black", "linewidth": 1.2},
    {"color": "#D55E00", "linewidth": 1.5},
    {"color": "#009E73", "linewidth": 1.5, "linestyle": (0, (4, 2))},
    {"color": "#CC79A7", "linewidth": 1.5, "linestyle": (0, (1, 1))},
)


def phase_diagram(
    record: Record, observable: str = "cosine", *, theory: Record | None = None, ax: "Axes | None" = None
) -> "Axes":
    """An observable over the two dimensions that a record is swept along, the last one to the right.

    `plot.phase_diagram(optima.record(), "cosine")` of `ufm.solve(problem, over={"lam_H": ..., "lam_b": ...})`; whole
    numbers, as of "rank", get a colour each, and NaN stays grey. theory: a record whose values are boundaries, heights
    along the coordinate to the right, each drawn as a line under its name; along whole numbers they are steps. The
    image, for a colour bar beside several panels, is `ax.collections[0]`; fresh axes have their own. UfmError where the
    record is not swept along two coordinates, or lacks the observable.
    """
    cells = _cells(observable, record[observable])
    (y, x), (rows, columns) = cells.dims, (np.asarray(cells[dim], dtype=float) for dim in cells.dims)
    look = _ranks(cells.values) if cells.dtype.kind in "iu" else _shades(cells.values)
    with panel(ax, ONE_COLUMN, 0.8 * ONE_COLUMN) as drawn:
        shown = np.ma.masked_invalid(cells.values)
        image = drawn.pcolormesh(columns, rows, shown, shading="nearest", rasterized=True, **look)
        drawn.set_facecolor("0.88")
        for (label, heights), line in zip(_lines(theory), _BOUNDARIES, strict=False):
            drawn.plot(*heights, label=label, **line)
        _scales(drawn, columns, rows, whole=cells[x].dtype.kind in "iu")
        drawn.set_xlabel(words(str(x)))
        drawn.set_ylabel(words(str(y)))
        if ax is None:
            ticks = range(int(cells.max()) + 1) if cells.dtype.kind in "iu" else None
            drawn.figure.colorbar(image, ax=drawn, ticks=ticks, label=words(observable))
            if theory is not None:
                drawn.figure.legend(loc="outside upper center", ncols=2)
    return drawn


def _cells(name: str, values: xr.DataArray) -> xr.DataArray:
    bare = [str(dim) for dim in values.dims if dim not in values.coords]
    if values.ndim != 2 or bare:
        dims = f"the dimensions {', '.join(map(str, values.dims))}" if values.dims else "no dimension"
        raise UfmError(
            f"{name} has {dims}; a phase diagram needs one number at every pair of two swept coordinates, as from "
            'ufm.solve(problem, over={"lam_H": ..., "lam_b": ...}).record().'
        )
    return values


def _shades(cells: np.ndarray) -> dict[str, Any]:
    """From 0 to 1 where values lie there, else as far as they reach."""
    known = cells[np.isfinite(cells)]
    inside = known.size == 0 or (known.min() >= -1e-9 and known.max() <= 1 + 1e-9)
    return {"cmap": "cividis", **({"vmin": 0, "vmax": 1} if inside else {})}


def _ranks(cells: np.ndarray) -> dict[str, Any]:
    """Whole numbers from zero, a blue each, the darker the larger."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, ListedColormap

    most = max(int(cells.max()), 1)
    colours = colormaps["Blues"].resampled(2 * most + 1)(np.arange(most + 1))
    return {"cmap": ListedColormap(colours), "norm": BoundaryNorm(np.arange(most + 2) - 0.5, most + 1)}


def _lines(theory: Record | None) -> list[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Each boundary as points to join; over whole numbers as the edges of steps."""
    found = []
    for name, heights in ({} if theory is None else theory.values.data_vars).items():
        x = np.asarray(heights[heights.dims[0]])
        line = (x, heights.values)
        if x.dtype.kind in "iu":
            line = (np.repeat(np.arange(x[0], x[-1] + 2) - 0.5, 2)[1:-1], np.repeat(heights.values, 2))
        found.append((str(name), line))
    return found


def _scales(ax: "Axes", columns: np.ndarray, rows: np.ndarray, *, whole: bool) -> None:
    """Logarithmic where positive values span more than a decade; consecutive whole numbers stand side by side."""
    from matplotlib.ticker import NullFormatter

    beside = whole and np.all(np.diff(columns) == 1)
    for axis, values, name in ((ax.xaxis, columns, "x"), (ax.yaxis, rows, "y")):
        if name == "x" and beside:
            ax.set_xlim(values[0] - 0.5, values[-1] + 0.5)
            ax.set_xticks(values)
            continue
        if values.min() > 0 and values.max() > 10 * values.min():
            ax.set(**{f"{name}scale": "log"})
            axis.set_minor_formatter(NullFormatter())
        ax.set(**{f"{name}lim": (values[0], values[-1])})
