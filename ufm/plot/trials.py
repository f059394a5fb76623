"""Networks of one trial against the optimum of their own problem: all singular values along what is swept."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import UfmError
from ufm.plot.against import ladder_colours
from ufm.plot.style import network_style, panel
from ufm.plot.words import words
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def spectra(
    theory: Record, networks: Record, *, local: Record | None = None, unit: float = 1.0, ax: "Axes | None" = None
) -> "Axes":
    """Singular values along what was swept: theory as lines, networks as their mean with the spread of seeds.

    `plot.spectra(theory, ufm.load("trial.nc"))`, where theory is a record of optima along the same field, as fine as
    you like (`ufm.solve(problem, over=...).record()`). local: another optimum, dashed, NaN where there is none. unit:
    what all are divided by. Infinity stands at the right edge, apart. UfmError where networks have no seeds or nothing
    swept.
    """
    from ufm.expected import swept

    along = swept(networks)
    fine, lines = _along(theory, along)
    values, points = _along(networks, along)
    r = min(lines.shape[-1], points.shape[-1])
    with panel(ax) as drawn:
        places, apart = _places(values)
        for i, colour in enumerate(ladder_colours(r)):
            _theory(drawn, fine, lines[:, i] / unit, apart, colour)
            if local is not None:
                other, dashed = _along(local, along)
                drawn.plot(other, dashed[:, i] / unit, color=colour, linewidth=1.1, linestyle=(0, (4, 2)))
            _seeds(drawn, places, points[..., i] / unit, colour)
        _axis(drawn, fine, places, apart)
        top = max(np.nanmax(lines[:, :r]), points.max()) / unit
        drawn.set_ylim(-0.04 * top, 1.06 * top)
        drawn.set_xlabel(words(along))
        if ax is None:
            drawn.set_ylabel(words("singular_values"))
    return drawn


def _along(record: Record, along: str) -> tuple[np.ndarray, np.ndarray]:
    """What was swept, and the singular values there: (values, [seeds,] directions)."""
    found = record["singular_values"]
    if along not in found.dims:
        dims = ", ".join(map(str, found.dims))
        raise UfmError(f"the networks were swept along {along}; this {record.witness} record has only {dims}.")
    return record.values[along].values.astype(float), found.transpose(along, ..., "direction").values


def _places(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Where values are drawn, and where infinity is."""
    apart = values[-1] * 4 if np.isfinite(values[-1]) else values[np.isfinite(values)][-1] * 6
    return np.where(np.isfinite(values), values, apart), float(apart)


def _theory(ax: "Axes", fine: np.ndarray, line: np.ndarray, apart: float, colour: Any) -> None:
    finite = np.isfinite(fine)
    ax.plot(fine[finite], line[finite], color=colour, linewidth=1.1)
    if not finite.all():
        ax.plot([apart / 1.5, apart * 1.5], [line[~finite][0]] * 2, color=colour, linewidth=1.1)


def _seeds(ax: "Axes", places: np.ndarray, networks: np.ndarray, colour: Any) -> None:
    """The mean of the seeds (places x seeds), half their spread up and down."""
    mean, spread = networks.mean(axis=1), np.ptp(networks, axis=1) / 2
    look: dict[str, Any] = {**network_style(0, "mnist5k"), "color": colour, "markersize": 3.4, "label": None}
    ax.errorbar(places, mean, yerr=spread, linestyle="none", markeredgecolor="black", markeredgewidth=0.4, **look)


def _axis(ax: "Axes", fine: np.ndarray, places: np.ndarray, apart: float) -> None:
    """A logarithmic axis with few ticks, and infinity apart where it is there."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    finite = np.isfinite(fine)
    decade = (1.0,) if places.max() / places.min() > 30 else (1.0, 2.0, 5.0)
    low, high = fine[finite][0] / 1.3, fine[finite][-1] * 1.3
    ticks = [tick for tick in LogLocator(subs=decade).tick_values(low, high) if low <= tick <= high]
    minor = [tick for tick in LogLocator(subs=tuple(range(1, 10))).tick_values(low, high) if low <= tick <= high]
    if finite.all():
        ax.set_xlim(low, high)
    else:
        ticks.append(apart)
        ax.axvspan(apart / 2.2, apart * 2.2, color="0.94", linewidth=0)
        ax.set_xlim(low, apart * 2.2)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "∞" if x == ticks[-1] and x > high else f"{x:g}"))
    ax.xaxis.set_minor_locator(FixedLocator(minor))
    ax.xaxis.set_minor_formatter(NullFormatter())
