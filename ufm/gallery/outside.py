"""Images that a network was not trained on: where their mean feature lies beside the class means."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.record import Record, load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "marker": "o"},
    {"color": "#D55E00", "marker": "s"},
    {"color": "#009E73", "marker": "^"},
    {"color": "#CC79A7", "marker": "D"},
    {"color": "#000000", "marker": "v"},
)
_SHOWN = 12  # epochs of a network in a panel, evenly spread on a logarithmic scale


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """NC5, collapse and the part outside the span in time; NC5 in the end beside what mixtures of class means have."""
    read = [load(locate("numerics", "records") / name) for name in spec.records]
    records = dict(zip(spec.titles, read, strict=True))
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.6), layout="constrained")
        a, b, c, d = np.ravel(figure.subplots(2, 2))
        in_time(a, records, "nc5")
        a.set_ylim(0, 1)
        a.axhline(0.1, color="0.6", linewidth=0.8, linestyle=(0, (4, 2)))
        a.set_ylabel(r"$|\cos|$ to the class means")
        in_time(b, records, "nc1_ratio")
        b.set_yscale("log")
        b.set_ylabel(r"NC1, $\mathrm{tr}\,\Sigma_W/\mathrm{tr}\,\Sigma_B$")
        in_time(c, {name: _complement(record) for name, record in records.items()}, "rest")
        c.set_yscale("log")
        c.set_ylabel(r"part of $\mu_{OOD}$ outside the span")
        in_the_end(d, records)
        titles = ("NC5 (dashed: what is read as 0)", "collapse of the training features", "the span of the class means")
        for ax, letter, title in zip((a, b, c, d), "abcd", (*titles, "in the end"), strict=True):
            ax.set_title(f"{letter}   {title}", loc="left")
        handles, labels = a.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(records))
    return figure


def in_time(ax: "Axes", records: Mapping[str, Record], name: str) -> None:
    """A field of every network against the epoch."""
    for (title, record), look in zip(records.items(), _LOOKS, strict=True):
        epochs = record.values["epoch"].values
        some = np.unique(np.round(np.geomspace(1, epochs.size, _SHOWN)).astype(int)) - 1
        for s, seed in enumerate(record[name].transpose("seed", "epoch").values):
            ax.plot(
                epochs[some], seed[some], linestyle="none", markersize=3.2, markerfacecolor="none",
                label=title if s == 0 else None, **look,
            )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlabel("epoch")


def mixture_range(K: int) -> tuple[float, float]:
    """NC5 of any mixture of orthogonal class means of one norm: |c|_1/(K |c|_2), least for one class, most for all."""
    return 1 / K, 1 / np.sqrt(K)


def in_the_end(ax: "Axes", records: Mapping[str, Record]) -> None:
    """NC5 of every network after training, over the range of mixtures of orthogonal class means."""
    for row, ((_, record), look) in enumerate(zip(records.items(), _LOOKS, strict=True)):
        low, high = mixture_range(int(record["class_count"]))
        ax.barh([row], [high - low], left=[low], height=0.62, color="0.86", linewidth=0)
        found = record["nc5"].isel(epoch=-1).values
        ax.plot(found, [row] * found.size, linestyle="none", markersize=4.5, markerfacecolor="none", **look)
    ax.set_yticks(range(len(records)), list(records))
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel("NC5; grey: mixtures of orthogonal class means")


def _complement(record: Record) -> Record:
    """With `rest`, sqrt(1 - outside_share^2)."""
    share = record.values["outside_share"]
    return Record(record.witness, record.values.assign(rest=np.sqrt(np.clip(1 - share**2, 0, None))))
