"""Observables against the weight of the bias in units of one of its own values, and their distance to a theorem."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ufm.errors import UfmError
from ufm.plot.style import WITNESS_STYLE, network_style, panel
from ufm.plot.words import words
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BEYOND = 2.6  # where lam_b = inf is drawn: this factor right of the largest finite value
_TICKS = (1.0, 2.0, 5.0)  # in a decade, where few fit
_LINE = {"theorem": "theorem", "optimum": "optimum"}  # what the line is called, by who says it

Looks = Sequence[Mapping[str, Any]]


def against_weight(
    theory: Record,
    *witnesses: Record,
    observable: str = "cosine",
    unit: float = 1.0,
    looks: Looks = (),
    ax: "Axes | None" = None,
) -> "Axes":
    """An observable against lam_b/unit: theory as a line, each witness in its own marker, lam_b = inf set apart.

    `plot.against_weight(theory, optimum, flow, networks, unit=lam_b_star)`: records along lam_b, the theory's on a fine
    grid; networks may have seeds, whose spread is drawn. An observable with several entries is averaged over them.
    looks: how each witness is drawn, by default as the gallery does. UfmError where a record is not along lam_b, or
    lacks the observable.
    """
    with panel(ax) as drawn:
        edge, line = _edge(theory, unit), _leading(theory, observable)
        weights = np.asarray(theory.values.lam_b, dtype=float)
        finite = np.isfinite(weights)
        look = {**WITNESS_STYLE["theorem"], "label": _LINE.get(theory.witness, theory.witness)}
        drawn.plot(weights[finite] / unit, line.values[finite], **look, zorder=1)
        if not finite.all():
            last = line.values[~finite][0]
            drawn.plot([edge / 1.25, edge * 1.25], [last, last], **{**look, "label": "_"})
        for record, look in zip(witnesses, looks or _looks(witnesses), strict=True):
            _points(drawn, look, _positions(record, unit, edge), _leading(record, observable))
        _weight_axis(drawn, weights[finite] / unit, None if finite.all() else edge, unit)
        drawn.set_ylabel(words(observable))
        if ax is None:
            drawn.figure.legend(loc="outside upper center", ncols=3)
    return drawn


def distance_to_theorem(
    theory: Record,
    *witnesses: Record,
    observable: str = "cosine",
    unit: float = 1.0,
    looks: Looks = (),
    ax: "Axes | None" = None,
) -> "Axes":
    """|witness - theory| (the worst seed) against lam_b/unit, on logarithmic axes.

    `plot.distance_to_theorem(theory, optimum, networks)`: the theory's record has every lam_b of the witnesses.
    UfmError where it lacks one, where a record is not along lam_b, or where one lacks the observable.
    """
    with panel(ax) as drawn:
        edge, reference = _edge(theory, unit), _leading(theory, observable)
        for record, look in zip(witnesses, looks or _looks(witnesses), strict=True):
            swept = _leading(record, observable)
            missing = set(swept.lam_b.values.tolist()) - set(reference.lam_b.values.tolist())
            if missing:
                raise UfmError(f"the theory's record has no lam_b = {', '.join(f'{v:g}' for v in sorted(missing))}.")
            gap = abs(swept - reference.sel(lam_b=swept.lam_b))
            gap = gap.max("seed") if "seed" in gap.dims else gap
            _points(drawn, look, _positions(record, unit, edge), gap.clip(min=1e-17))
        drawn.set_yscale("log")
        weights = np.asarray(theory.values.lam_b, dtype=float)
        finite = np.isfinite(weights)
        _weight_axis(drawn, weights[finite] / unit, None if finite.all() else edge, unit)
        drawn.set_ylabel(f"{words(observable)},\n|witness $-$ theory|")
        if ax is None:
            drawn.figure.legend(loc="outside upper center", ncols=3)
    return drawn


def _looks(witnesses: Sequence[Record]) -> Looks:
    """Each in the look of its witness; networks in one of their own each."""
    networks = [record for record in witnesses if record.witness == "measured"]
    return [
        WITNESS_STYLE[record.witness]
        if record.witness in WITNESS_STYLE
        else network_style(networks.index(record), str(record.provenance.get("images", "yours")))
        for record in witnesses
    ]


def _along(record: Record) -> np.ndarray:
    if "lam_b" not in record.values.dims:
        dims = ", ".join(map(str, record.values.dims)) or "nothing"
        raise UfmError(f"this {record.witness} record is along {dims}; a picture against lam_b needs one along lam_b.")
    return np.asarray(record.values.lam_b, dtype=float)


def _edge(theory: Record, unit: float) -> float:
    weights = _along(theory)
    return float(weights[np.isfinite(weights)].max()) / unit * _BEYOND


def _positions(record: Record, unit: float, edge: float) -> np.ndarray:
    weights = _along(record) / unit
    return np.where(np.isfinite(weights), weights, edge)


def _leading(record: Record, observable: str) -> xr.DataArray:
    """The mean over every dimension but lam_b and seed."""
    _along(record)
    array = record[observable]
    return array.mean([d for d in array.dims if d not in ("lam_b", "seed")])


def _points(ax: "Axes", look: Mapping[str, Any], x: np.ndarray, y: xr.DataArray) -> None:
    drawn = {**look, "linestyle": "none"}
    if "seed" in y.dims and y.sizes["seed"] > 1:
        centre = np.asarray(y.mean("seed"))
        low, high = centre - np.asarray(y.min("seed")), np.asarray(y.max("seed")) - centre
        ax.errorbar(x, centre, yerr=np.abs([low, high]), zorder=3, **drawn)
        return
    drawn.pop("capsize", None)
    ax.plot(x, np.asarray(y).reshape(x.size), zorder=2, **drawn)


def _weight_axis(ax: "Axes", weights: np.ndarray, edge: float | None, unit: float) -> None:
    """Logarithmic from the smallest weight to the largest; lam_b = inf, where it is, apart on a ground of its own."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullLocator

    low, high = weights[weights > 0].min() / 1.251, weights.max() * 1.251
    subs = _TICKS if high < 200 * low else (1.0,)
    ticks = [float(tick) for tick in LogLocator(subs=subs).tick_values(low, high) if low <= tick <= high]
    names = [f"{tick:g}" for tick in ticks]
    ax.set_xscale("log")
    if edge is not None:
        ticks, names = [*ticks, edge], [*names, "no bias\n($\\infty$)"]
        ax.axvspan(edge / 1.7, edge * 1.7, color="0.955", zorder=-1, linewidth=0)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FixedFormatter(names))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(low, high if edge is None else edge * 1.75)
    over = "" if unit == 1 else r"/\lambda_b^*"
    ax.set_xlabel(rf"weight of the bias, $\lambda_b{over}$")
