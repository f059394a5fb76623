"""A flow against time: loss and gradient, variability collapse, mode strengths, and angles between class means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import UfmError
from ufm.plot.style import TWO_COLUMNS, Panels, panel, panels
from ufm.plot.words import words
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's palette
_MOST = 12  # modes with a line of their own; of more, every so-manieth
_PANELS = {
    "loss and gradient": ("value", "gradient_norm"),
    "variability within classes": ("nc1", "nc1_ratio"),
    "mode strengths": ("modes",),
    "angles between class means": ("cosine",),
}


def course(record: Record, *, axes: "Sequence[Axes] | None" = None) -> Panels:
    """Four panels of a flow's path: `plot.course(flow.path.record())`.

    Returns an array of 4 Axes; UfmError where the record has no times, or `axes` are more or fewer.
    """
    _times(record)
    with panels(axes, 4, TWO_COLUMNS, 4.4, nrows=2, sharex=True) as drawn:
        for ax, letter, (title, names) in zip(drawn, "abcd", _PANELS.items(), strict=True):
            shown = [name for name in names if name in record]
            if names == ("modes",) and shown:
                modes(record, ax=ax)
            elif shown:
                against_time(record, shown, log=len(names) > 1, ax=ax)
            ax.set_title(f"{letter}   {title}", loc="left")
        for ax in drawn[:2]:
            ax.set_xlabel("")
    return drawn


def against_time(
    record: Record, observables: Sequence[str] | str, *, log: bool = False, ax: "Axes | None" = None
) -> "Axes":
    """Scalar observables against t, which is logarithmic where it spans more than three decades.

    `plot.against_time(flow.path.record(), "nc1", log=True)`; log: of the observables. UfmError where the record has no
    times, lacks an observable, or has one with more dimensions than t.
    """
    t = _times(record)
    shown = [observables] if isinstance(observables, str) else list(observables)
    columns = {name: record[name] for name in shown}
    for name, column in columns.items():
        if column.dims != ("t",):
            dims = ", ".join(map(str, column.dims))
            raise UfmError(f"{name} has the dimensions {dims}; against time goes one number a time.")
    with panel(ax) as drawn:
        for (name, column), color in zip(columns.items(), COLORS, strict=False):
            values = np.asarray(column)
            drawn.plot(t, np.where(values > 0, values, np.nan) if log else values, color=color, label=words(name))
        if log:
            drawn.set_yscale("log")
        if len(shown) > 1:
            drawn.legend()
        else:
            drawn.set_ylabel(words(shown[0]))
        _time_axis(drawn, t)
    return drawn


def modes(record: Record, *, ax: "Axes | None" = None) -> "Axes":
    """The strength of every mode against t, strongest target first in the darkest colour.

    `plot.modes(flow.path.record())`; of more than twelve, some. UfmError where the record has no times or no modes.
    """
    t, strengths = _times(record), np.asarray(record["modes"])
    chosen = np.unique(np.linspace(0, strengths.shape[1] - 1, min(_MOST, strengths.shape[1])).round().astype(int))
    with panel(ax) as drawn:
        for place, i in enumerate(chosen):
            drawn.plot(t, strengths[:, i], color=shade(place, chosen.size), linewidth=1.1)
        _time_axis(drawn, t)
        drawn.set_ylabel(words("modes"))
    return drawn


def shade(place: int, count: int) -> Any:
    """The colour of one of several modes, dark to light, apart in grey too."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](0.85 * place / max(1, count - 1))


def _times(record: Record) -> np.ndarray:
    if "t" not in record.values.dims or record.values.sizes["t"] < 2:
        raise UfmError("a course needs a record along t, the one of flow.path; save more times of the flow.")
    return np.asarray(record.values.t)


def _time_axis(ax: "Axes", t: np.ndarray) -> None:
    """Logarithmic where the positive times span more than three decades."""
    positive = t[t > 0]
    if positive.size > 1 and positive[-1] > 1e3 * positive[0]:
        ax.set_xscale("log")
        ax.set_xlim(positive[0], positive[-1])
    ax.set_xlabel(words("t"))
