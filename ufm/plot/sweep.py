"""Observables along one swept weight: a line for every class or direction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ufm.errors import UfmError
from ufm.plot.against import ladder_colours
from ufm.plot.style import TWO_COLUMNS, Panels, panel, panels
from ufm.plot.words import words
from ufm.problem import ClassTargets
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = ("singular_values", "class_mean_norm", "cosine")
_SHOWN_OF_SAMPLES = ("singular_values", "classifier_norm", "bias")  # a regression has no classes
_CONSTANT = 1e-9  # spread below which values are one
_MOST = 12  # lines of a panel; of more, every so-manieth


def sweep(record: Record, observables: Sequence[str] = (), *, axes: "Sequence[Axes] | None" = None) -> Panels:
    """One panel an observable, along the one weight that is swept: `plot.sweep(optima.record())`.

    By default singular values, class means and their cosine; of a regression singular values, the rows of W and, where
    it is there, the bias. Returns an array of as many Axes; UfmError where the record is swept along no weight or
    several, or lacks an observable.
    """
    along = swept_weight(record)
    names = list(observables) or [name for name in _shown(record, along) if name in record]
    with panels(axes, len(names), TWO_COLUMNS * min(1.0, 0.45 * len(names)), 2.7) as drawn:
        for ax, name, letter in zip(drawn, names, "abcdefgh", strict=False):
            along_weight(record, name, ax=ax)
            ax.set_ylabel("")
            ax.set_title(f"{letter}   {words(name)}" if len(names) > 1 else words(name), loc="left")
        named = [found for found in (ax.get_legend_handles_labels() for ax in drawn) if found[0]]
        if named:  # beside the panels: a sweep leaves no corner free
            place: Any = {"loc": "outside right center"} if axes is None else {}
            where = drawn[0].figure if axes is None else drawn[-1]
            where.legend(*named[0], title="samples", title_fontsize=7, **place)
    return drawn


def _shown(record: Record, along: str) -> tuple[str, ...]:
    problem = record.problem
    if problem is None or isinstance(problem.targets, ClassTargets):
        return _SHOWN
    return _SHOWN_OF_SAMPLES if problem.has_bias or along == "lam_b" else _SHOWN_OF_SAMPLES[:-1]


def swept_weight(record: Record) -> str:
    """The one weight that a record is swept along; UfmError where there is none, or more."""
    swept = [name for name in ("lam_W", "lam_H", "lam_b") if name in record.values.dims]
    if len(swept) != 1:
        has = " and ".join(swept) or "no weight"
        raise UfmError(f"a picture along a weight needs one that is swept; this record is swept along {has}.")
    return swept[0]


def along_weight(record: Record, observable: str, *, ax: "Axes | None" = None) -> "Axes":
    """An observable along the weight that is swept: one line, or one an entry, dark to light; classes by their size.

    `plot.along_weight(optima.record(), "class_mean_norm")`. Infinity (no bias) is drawn at the right edge, and 0 (a
    free bias) at the left one, as arrows; the label says so. UfmError where the record is swept along no weight or
    several, lacks the observable, or has one with several entries in two ways.
    """
    along, values = swept_weight(record), record[observable]
    others = [dim for dim in values.dims if dim != along]
    if len(others) > 1:
        raise UfmError(f"{observable} has the dimensions {', '.join(map(str, values.dims))}; give one with fewer.")
    weights = record.values[along].values.astype(float)
    columns = values.transpose(along, *others).values.reshape(weights.size, -1)
    inner = np.isfinite(weights) & (weights > 0)
    if not inner.any():
        raise UfmError(f"{along} has no value between 0 and infinity to draw a line through.")
    entries, names = _entries(record, values, others)
    with panel(ax) as drawn:
        for entry, name, colour in zip(entries, names, ladder_colours(len(entries)), strict=True):
            drawn.plot(weights[inner], columns[inner, entry], color=colour, linewidth=1.2, label=name)
            _ends(drawn, weights, columns[:, entry], colour)
        drawn.set_xscale("log")
        drawn.set_xlim(weights[inner].min(), weights[inner].max())
        ends = [arrow for arrow, there in (("◂ 0", weights == 0), ("▸ ∞", np.isinf(weights))) if there.any()]
        drawn.set_xlabel(words(along) + (f"  ({', '.join(ends)})" if ends else ""))
        drawn.set_ylabel(words(observable))
        _room(drawn, columns[:, entries])
        if ax is None and any(names):
            drawn.legend(title="samples", title_fontsize=7)
    return drawn


def _room(ax: "Axes", values: np.ndarray) -> None:
    """Around a constant, a range of its own size: else the axis would magnify its round-off."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return
    size, span = float(np.abs(known).max()), float(np.ptp(known))
    if span <= _CONSTANT * max(size, 1.0):
        middle, half = (0.0, 1.0) if size <= _CONSTANT else (float(known.mean()), size / 2)
        ax.set_ylim(middle - half, middle + half)


def _ends(ax: "Axes", weights: np.ndarray, values: np.ndarray, colour: Any) -> None:
    """Where the weight is 0 or infinite: arrows at the edges of the line, pointing there."""
    inner = weights[np.isfinite(weights) & (weights > 0)]
    for there, edge, marker in ((weights == 0, inner.min(), "<"), (np.isinf(weights), inner.max(), ">")):
        if there.any():
            ax.plot(edge, values[there][0], marker=marker, color=colour, markersize=4, linestyle="none", clip_on=False)


def _entries(record: Record, values: xr.DataArray, others: list[Any]) -> tuple[list[int], list[str | None]]:
    """Which entries get a line, and what they are called: a class by its size, once for classes of one size."""
    if not others:
        return [0], [None]
    size = values.sizes[others[0]]
    targets = record.problem.targets if record.problem is not None else None
    if others[0] == "class" and isinstance(targets, ClassTargets):
        counts = [int(count) for count in targets.counts]
        first = sorted({count: counts.index(count) for count in reversed(counts)}.items(), reverse=True)
        chosen = np.unique(np.linspace(0, len(first) - 1, min(_MOST, len(first))).round().astype(int))
        return [first[i][1] for i in chosen], [str(first[i][0]) for i in chosen]
    chosen = np.unique(np.linspace(0, size - 1, min(_MOST, size)).round().astype(int)).tolist()
    return chosen, [None] * len(chosen)
