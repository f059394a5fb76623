"""Regression networks by weight decay: collapse, intrinsic dimension beside that of the targets, errors held out."""

from collections.abc import Mapping, Sequence
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
)
COLLAPSED = 0.1  # NRC1
_POINT: dict[str, Any] = {"linestyle": "none", "markersize": 4.2, "markeredgewidth": 0.9}


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """NRC1, dimension and errors against weight decay, and the error against the dimension."""
    records = [load(locate("numerics", "records") / name) for name in spec.records]
    groups = by_targets(records)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.8), layout="constrained")
        a, b, c, d = np.ravel(figure.subplots(2, 2))
        against_decay(a, groups, "nrc1")
        a.axhline(COLLAPSED, color="0.6", linewidth=0.8, linestyle=(0, (4, 2)))
        a.set_yscale("symlog", linthresh=0.003)
        a.set_ylim(0, 1)
        a.set_ylabel("NRC1")
        against_decay(b, groups, "intrinsic_dimension")
        for found, look in zip(groups.values(), _LOOKS, strict=True):
            b.axhline(float(found[0]["target_intrinsic_dimension"]), color=look["color"], linewidth=1.1)
        b.set_ylim(0, None)
        b.set_ylabel(r"intrinsic dimension, $\mathrm{ID}_H$")
        against_decay(c, groups, "test_error")
        c.set_yscale("log")
        c.set_ylabel("error held out, over the variance")
        error_by_dimension(d, groups)
        titles = ("collapse (below the dashed line)", r"features; lines: targets, $\mathrm{ID}_Y$", "accuracy")
        for ax, letter, title in zip((a, b, c, d), "abcd", (*titles, "filled: collapsed"), strict=True):
            ax.set_title(f"{letter}   {title}", loc="left")
        handles, labels = a.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(groups))
    return figure


def by_targets(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records of the same data and rank of the targets, by rising weight decay."""
    words = {"mnist5k": "moments of digits", "meats": "spectra of meat"}
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=decay_of):
        name = f"{words[record.provenance['data']]}, rank {int(record['target_rank'])}"
        groups.setdefault(name, []).append(record)
    return dict(sorted(groups.items(), reverse=True))


def decay_of(record: Record) -> float:
    """The weight decay of its networks."""
    return float(record.provenance["regimen"]["weight_decay"])


def last(record: Record, name: str) -> np.ndarray:
    """A field after training, seed by seed."""
    return record[name].isel(epoch=-1).values


def against_decay(ax: "Axes", groups: Mapping[str, Sequence[Record]], name: str) -> None:
    """A field of every network against its weight decay; no decay stands apart on the left."""
    decays = sorted({decay_of(record) for found in groups.values() for record in found})
    apart = min(decay for decay in decays if decay) / 5
    for (title, found), look in zip(groups.items(), _LOOKS, strict=True):
        for i, record in enumerate(found):
            values = last(record, name)
            label = title if i == 0 else None
            ax.plot(
                [decay_of(record) or apart] * values.size, values, label=label, markerfacecolor="none", **look, **_POINT
            )
    ax.set_xscale("log")
    ax.axvspan(apart / 1.8, apart * 1.8, color="0.94", linewidth=0)
    ax.set_xlim(apart / 1.8, max(decays) * 1.8)
    ticks = [apart, *(10.0**k for k in range(-3, 0))]
    ax.set_xticks(ticks, ["0", *(rf"$10^{{{k}}}$" for k in range(-3, 0))])
    ax.set_xlabel("weight decay")


def error_by_dimension(ax: "Axes", groups: Mapping[str, Sequence[Record]]) -> None:
    """Error held out over the least of any setting, against ID_H/ID_Y; filled where the setting collapses."""
    for found, look in zip(groups.values(), _LOOKS, strict=True):
        best = min(float(last(record, "test_error").mean()) for record in found)
        for record in found:
            x = last(record, "intrinsic_dimension") / float(record["target_intrinsic_dimension"])
            face = look["color"] if last(record, "nrc1").mean() <= COLLAPSED else "none"
            ax.plot(x, last(record, "test_error") / best, markerfacecolor=face, **look, **_POINT)
    ax.axvline(1, color="black", linewidth=1.1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    ax.set_yticks([1, 2, 3], ["1", "2", "3"])
    ax.minorticks_off()
    ax.set_xlabel(r"$\mathrm{ID}_H/\mathrm{ID}_Y$")
    ax.set_ylabel("error held out, over the least")


def table(records: Sequence[Record]) -> str:
    """Markdown: every setting, means over the seeds."""
    head = "| targets | decay | NRC1 | dimension of features | of outputs | of targets | error, trained on | held out |"
    rows = [head, "|" + " --- |" * (head.count("|") - 1)]
    for name, found in by_targets(records).items():
        for record in found:
            names = ("nrc1", "intrinsic_dimension", "output_dimension")
            shown = [f"{last(record, field).mean():.3g}" for field in names]
            shown.append(f"{float(record['target_intrinsic_dimension']):.3g}")
            shown += [f"{last(record, field).mean():.2g}" for field in ("train_error", "test_error")]
            rows.append(f"| {name} | {decay_of(record):g} | " + " | ".join(shown) + " |")
    return "\n".join(rows) + "\n"
