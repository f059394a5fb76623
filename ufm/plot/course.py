"""A flow against time: loss and gradient, variability collapse, mode strengths, and angles between class means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import UfmError
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's palette
_LABELS = {
    "value": "loss $L$",
    "gradient_norm": r"gradient $\|\nabla L\|$",
    "nc1": r"$\mathrm{tr}(\Sigma_W \Sigma_B^+)/K$",
    "nc1_ratio": r"$\mathrm{tr}\,\Sigma_W/\mathrm{tr}\,\Sigma_B$",
    "singular_value_mean": "mean direction",
    "cosine": "mean cosine of class means",
}
_MOST = 12  # modes with a line of their own; of more, every so-manieth


def course(record: Record) -> "Figure":
    """Four panels of a flow's path record (dimension t); UfmError where it has no times."""
    if "t" not in record.values.dims or record.values.sizes["t"] < 2:
        raise UfmError("a course needs a record along t; save more times of the flow.")
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.4), layout="constrained")
        axes = list(np.ravel(figure.subplots(2, 2, sharex=True)))
        against_time(axes[0], record, ["value", "gradient_norm"], log=True)
        against_time(axes[1], record, ["nc1", "nc1_ratio"], log=True)
        mode_lines(axes[2], record)
        against_time(axes[3], record, ["cosine"])
        titles = ("loss and gradient", "variability within classes", "mode strengths", "angles between class means")
        for ax, letter, title in zip(axes, "abcd", titles, strict=True):
            ax.set_title(f"{letter}   {title}", loc="left")
        for ax in axes[2:]:
            ax.set_xlabel("time, $t$")
    return figure


def against_time(ax: "Axes", record: Record, names: Sequence[str], *, log: bool = False) -> "Axes":
    """Scalar observables against t: logarithmic time where the times span more than three decades."""
    t = np.asarray(record.values.t)
    shown = [name for name in names if name in record]
    for name, color in zip(shown, COLORS, strict=False):
        values = np.asarray(record[name])
        ax.plot(t, np.where(values > 0, values, np.nan) if log else values, color=color, label=_LABELS.get(name, name))
    if log and shown:
        ax.set_yscale("log")
    if len(shown) > 1:
        ax.legend()
    elif shown:
        ax.set_ylabel(_LABELS.get(shown[0], shown[0]))
    time_axis(ax, t)
    return ax


def mode_lines(ax: "Axes", record: Record, **look: Any) -> "Axes":
    """The strength of every mode against t, strongest target first in the darkest colour."""
    t, modes = np.asarray(record.values.t), np.asarray(record["modes"])
    chosen = np.unique(np.linspace(0, modes.shape[1] - 1, min(_MOST, modes.shape[1])).round().astype(int))
    for place, i in enumerate(chosen):
        ax.plot(t, modes[:, i], **{"color": shade(place, chosen.size), "linewidth": 1.1, **look})
    time_axis(ax, t)
    ax.set_ylabel(r"$u_i' W H v_i$ (dark: $\sigma_1$)")
    return ax


def shade(place: int, count: int) -> Any:
    """The colour of one of several modes, dark to light, apart in grey too."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](0.85 * place / max(1, count - 1))


def time_axis(ax: "Axes", t: np.ndarray) -> None:
    """Logarithmic where the positive times span more than three decades."""
    positive = t[t > 0]
    if positive.size > 1 and positive[-1] > 1e3 * positive[0]:
        ax.set_xscale("log")
        ax.set_xlim(positive[0], positive[-1])
