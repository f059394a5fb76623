"""The class-encoding transition: observables against lam_b/lam_b*, and the cosines of the class means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ufm.errors import UfmError
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, network_style, sheet, style
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEYOND = 2.6  # where lam_b = inf is drawn: this factor right of the largest finite value


@dataclass(frozen=True, eq=False)
class Series:
    """A record along lam_b (perhaps with seeds), the theorem it is held against, and its look."""

    record: Record
    theorem: Record
    look: Mapping[str, Any]


Scale = Callable[[Record], float]  # what an observable of this record is divided by


def against_weight(
    ax: "Axes",
    observable: str,
    curve: Record,
    series: Sequence[Series],
    *,
    unit: float,
    scale: Scale = lambda record: 1.0,
    label: str = "",
) -> "Axes":
    """An observable against lam_b/unit: the theorem as a line, each witness in its own marker, lam_b = inf set apart.

    curve: the theorem on a fine grid of lam_b; scale: what the observable of a record is divided by.
    """
    edge = _edge(curve, unit)
    finite = curve.values.where(np.isfinite(curve.values.lam_b), drop=True)
    line = np.asarray(finite[observable]) / scale(curve)
    ax.plot(np.asarray(finite.lam_b) / unit, line, **WITNESS_STYLE["theorem"], zorder=1)
    last = curve.values.sel(lam_b=np.inf)[observable].item() / scale(curve)
    ax.plot([edge / 1.25, edge * 1.25], [last, last], **{**WITNESS_STYLE["theorem"], "label": "_"})
    for one in series:
        values = _leading(one.record[observable]) / scale(one.record)
        _points(ax, one.look, _positions(one.record, unit, edge), values)
    _weight_axis(ax, edge)
    ax.set_ylabel(label or observable)
    return ax


def distance_to_theorem(
    ax: "Axes",
    observable: str,
    series: Sequence[Series],
    *,
    unit: float,
    edge: float,
    scale: Scale = lambda record: 1.0,
    label: str = "",
) -> "Axes":
    """|witness - theorem| (the worst seed) against lam_b/unit, on logarithmic axes."""
    for one in series:
        reference = one.theorem.values.sel(lam_b=one.record.values.lam_b)[observable]
        gap = abs(_leading(one.record[observable]) - reference) / scale(one.record)
        gap = gap.max("seed") if "seed" in gap.dims else gap
        _points(ax, one.look, _positions(one.record, unit, edge), gap.clip(min=1e-17))
    ax.set_yscale("log")
    _weight_axis(ax, edge)
    ax.set_ylabel(label)
    return ax


def cosine_matrices(axes: Sequence["Axes"], cosines: Sequence[np.ndarray], titles: Sequence[str]) -> Any:
    """Cosines between class means as matrices (K x K each), in colours from -1/(K-1) to 1/(K-1); returns the image."""
    image = None
    for ax, matrix, title in zip(axes, cosines, titles, strict=True):
        K = matrix.shape[0]
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-1 / (K - 1), vmax=1 / (K - 1))
        ax.set_title(title)
        ax.set_xticks([0, K - 1], ["1", str(K)])
        ax.set_yticks([0, K - 1], ["1", str(K)])
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(True)
    return image


def transition(
    curve: Record,
    theorem: Record,
    optimum: Record,
    flow_theorem: Record,
    flow: Record,
    measured: Mapping[str, Record],
    live: Mapping[str, Record],
    *,
    lam_b_star: float,
) -> "Figure":
    """The whole figure: cosine, mean-direction singular value, distance to the theorem, and the cosine matrices.

    curve: the theorem on a fine grid; measured, live: {image set: record}; the matrices are of the first image set.
    """
    series = [Series(flow, flow_theorem, WITNESS_STYLE["flow"]), Series(optimum, theorem, WITNESS_STYLE["optimum"])]
    names = list(measured)
    series += [Series(r, theorem, network_style(names.index(k), k)) for k, r in measured.items()]
    series += [Series(r, theorem, network_style(names.index(k), k, now=True)) for k, r in live.items()]
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.1), layout="constrained")
        left, right = np.ravel(figure.subfigures(1, 2, width_ratios=[1.65, 1]))  # pyright: ignore
        axes = list(np.ravel(left.subplots(3, 1, sharex=True, height_ratios=[1.3, 1.1, 1])))
        weight: dict[str, Any] = {"unit": lam_b_star}
        against_weight(axes[0], "cosine", curve, series, **weight, label="cosine")
        label = r"$s_0/\sqrt{n}$"
        against_weight(axes[1], "singular_value_mean", curve, series, **weight, scale=_root_n, label=label)
        edge = _edge(curve, lam_b_star)
        distance_to_theorem(axes[2], "cosine", series, **weight, edge=edge, label="difference")
        shown = next(iter(measured.values()))
        _dress(axes, shown.values.sizes["class"])
        left.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, handlelength=1.6)
        _matrices(right, shown, lam_b_star)
    return figure


def _dress(axes: Sequence["Axes"], K: int) -> None:
    """Letters, the transition, and the two frames between which the cosine moves."""
    titles = (
        "a   cosine between class means",
        "b   singular value of the mean direction",
        "c   cosine, |witness $-$ theorem|",
    )
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, loc="left")
        ax.axvline(1, color="0.75", linewidth=0.7, zorder=0)
        ax.margins(y=0.12)
    for ax in axes[:2]:
        ax.tick_params(labelbottom=False)
        ax.set_xlabel("")
    frames = ((-1 / (K - 1), f"simplex ETF, $-1/{K - 1}$", 3.2), (0, "orthogonal frame, 0", 0.25))
    for level, name, x in frames:
        axes[0].axhline(level, color="0.75", linewidth=0.7, linestyle=":", zorder=0)
        axes[0].annotate(name, (x, level), (0, 2), textcoords="offset points", color="0.35", fontsize=6.5)
    axes[0].set_ylim(-1.16 / (K - 1), 0.22 / (K - 1))
    axes[2].set_ylim(3e-19, 1e-1)
    axes[2].set_yticks([1e-17, 1e-12, 1e-7, 1e-2])


def _matrices(right: Any, measured: Record, lam_b_star: float) -> None:
    """The networks' cosines before, at and after the transition, and without a bias."""
    ratios = np.asarray(measured.values.lam_b) / lam_b_star
    at = int(np.argmin(abs(ratios - 1)))
    shown = (0, at, int(np.argmin(abs(ratios - 2))), len(ratios) - 1)
    mean = measured["cosines"].mean("seed")
    axes = list(np.ravel(right.subplots(2, 2)))
    image = cosine_matrices(axes, [np.asarray(mean.isel(lam_b=i)) for i in shown], [_name_of(ratios[i]) for i in shown])
    right.suptitle("d   class means of trained networks", fontsize=8)
    bar = right.colorbar(image, ax=axes, orientation="horizontal", aspect=22, shrink=0.9, extend="max")
    bar.set_label("cosine")
    bar.set_ticks([-0.1, -0.05, 0, 0.05, 0.1])


def _root_n(record: Record) -> float:
    if record.problem is None:
        raise UfmError("the figure needs records with their problem, for the class sizes.")
    return float(np.sqrt(record.problem.classes.counts[0]))


def _name_of(ratio: float) -> str:
    if np.isinf(ratio):
        return "no bias"
    return r"$\lambda_b = \lambda_b^*$" if abs(ratio - 1) < 1e-9 else rf"$\lambda_b = {ratio:g}\,\lambda_b^*$"


def _edge(curve: Record, unit: float) -> float:
    weights = np.asarray(curve.values.lam_b)
    return float(weights[np.isfinite(weights)].max()) / unit * _BEYOND


def _positions(record: Record, unit: float, edge: float) -> np.ndarray:
    weights = np.asarray(record.values.lam_b) / unit
    return np.where(np.isfinite(weights), weights, edge)


def _leading(array: xr.DataArray) -> xr.DataArray:
    """The mean over every dimension but lam_b and seed."""
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


def _weight_axis(ax: "Axes", edge: float) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.set_xscale("log")
    ticks = [0.25, 0.5, 1, 2, 4, 10]
    ax.xaxis.set_major_locator(FixedLocator([*ticks, edge]))
    ax.xaxis.set_major_formatter(FixedFormatter([*(f"{t:g}" for t in ticks), "no bias\n($\\infty$)"]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.axvspan(edge / 1.7, edge * 1.7, color="0.955", zorder=-1, linewidth=0)
    ax.set_xlim(0.2, edge * 1.75)
    ax.set_xlabel(r"weight of the bias, $\lambda_b/\lambda_b^*$")
