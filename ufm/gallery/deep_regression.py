"""Deep neural regression collapse: the four measures of every layer, with weight decay and without; ranks; a bound."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.plot.against import ladder_colours
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.record import Record, load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses


_RANK_COLOURS = ("#000000", "#D55E00", "#56B4E9", "#CC79A7")  # none of the colours of weight decays


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """NRC1 to NRC4 over the layers for full-rank targets; ranks, alignment and norms beside what theory asks."""
    records = [load(locate("numerics", "records") / name) for name in spec.records]
    full = _by_decay(records, 5)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.3), layout="constrained")
        axes = np.ravel(figure.subplots(2, 4))
        colours = dict(zip((decay_of(r) for r in full), ladder_colours(len(full)), strict=True))
        names = ("deep_nrc1", "deep_nrc2", "deep_nrc3")
        words = ("variance outside $t$ directions", "CKA with the targets", "cosine with the next layer")
        for i, (ax, name, word) in enumerate(zip(axes, names, words, strict=False)):
            for record in full:
                layers(ax, record, name, colours[decay_of(record)])
            ax.set_ylim(0, None if name == "deep_nrc1" else 1.03)
            ax.set_ylabel(word)
            ax.set_title(f"{'abc'[i]}   NRC{i + 1}", loc="left")
        _readout(axes[3], full, colours)
        _rank_by_decay(axes[4], _by_decay(records, 2), colours)
        _rank_by_target(axes[5], records)
        _balance(axes[6], full, colours)
        _bound(axes[7], records, colours)
        for ax in axes[:7]:
            ax.set_xlabel("layer")
            ax.set_xticks(range(1, full[0].values.sizes["layer"] + 1))
        _legend(figure, colours)
    return figure


def decay_of(record: Record) -> float:
    """The weight decay that a record's networks were trained with."""
    return float(record.provenance["regimen"]["weight_decay"])


def last(record: Record, name: str) -> np.ndarray:
    """A field at the last look (seed x layer, or seed)."""
    return record[name].isel(epoch=-1).values


def layers(
    ax: "Axes", record: Record, name: str, colour: Any, values: np.ndarray | None = None, marker: str = "s"
) -> None:
    """One field over the layers: the mean of the seeds with their spread."""
    found = last(record, name) if values is None else values
    mean = found.mean(axis=0)
    spread = [mean - found.min(axis=0), found.max(axis=0) - mean]
    where = record.values["layer"].values
    look: dict[str, Any] = {"markersize": 3.2, "capsize": 1.8, "markeredgecolor": "black", "markeredgewidth": 0.4}
    ax.errorbar(where, mean, yerr=spread, marker=marker, linestyle=":", linewidth=0.6, color=colour, **look)


def table(records: Sequence[Record]) -> str:
    """Markdown: what the inner layers (2 to the last but one) of each run have in the mean over layers and seeds."""
    head = "| data | rank | decay | NRC1 | NRC1 (rank) | NRC2 | NRC3 (rank) | NRC4/error | stable rank | of targets |"
    rows = [head, "|" + " --- |" * (head.count("|") - 1)]
    for record in sorted(records, key=lambda r: (r.provenance["data"], int(r["target_rank"]), decay_of(r))):
        names = ("deep_nrc1", "deep_nrc1_rank", "deep_nrc2", "deep_nrc3_rank")
        found = [f"{last(record, name)[:, 1:-1].mean():.2f}" for name in names]
        found.append(f"{(last(record, 'deep_nrc4')[:, 1:-1] / last(record, 'train_error')[:, None]).mean():.3g}")
        found += [
            f"{last(record, 'stable_rank_features')[:, 1:-1].mean():.2f}",
            f"{float(record['target_stable_rank']):.2f}",
        ]
        what = f"| {record.provenance['data']} | {int(record['target_rank'])} | {decay_of(record):g} | "
        rows.append(what + " | ".join(found) + " |")
    return "\n".join(rows) + "\n"


def _by_decay(records: Sequence[Record], rank: int) -> list[Record]:
    """Records of targets of one rank, by rising decay."""
    return sorted((r for r in records if int(r["target_rank"]) == rank), key=decay_of)


def _readout(ax: "Axes", full: Sequence[Record], colours: dict[float, Any]) -> None:
    """NRC4 beside the error of the network itself, both as shares of the targets' variance."""
    for record in full:
        unit, colour = float(record["target_variance"]), colours[decay_of(record)]
        layers(ax, record, "deep_nrc4", colour, last(record, "deep_nrc4") / unit)
        ax.axhline(float(last(record, "train_error").mean()) / unit, color=colour, linewidth=1.1)
    ax.set_yscale("log")
    ax.set_ylabel("error of a linear read-out")
    ax.set_title("d   NRC4", loc="left")


def _rank_by_decay(ax: "Axes", records: Sequence[Record], colours: dict[float, Any]) -> None:
    for record in records:
        layers(ax, record, "stable_rank_features", colours[decay_of(record)])
    wanted = float(records[0]["target_stable_rank"])
    ax.axhline(wanted, color="black", linewidth=1.1)
    ax.set_ylim(0, None)
    ax.set_ylabel("stable rank of features")
    ax.set_title("e   targets of rank 2", loc="left")


def _rank_by_target(ax: "Axes", records: Sequence[Record]) -> None:
    """Stable rank of the features for targets of several ranks at one decay, with that of the targets as lines."""
    decays = sorted({decay_of(r) for r in records if decay_of(r) > 0})
    shared = max(decays, key=lambda decay: len({int(r["target_rank"]) for r in records if decay_of(r) == decay}))
    chosen = sorted((r for r in records if decay_of(r) == shared), key=lambda r: int(r["target_rank"]))
    for record, colour, marker in zip(chosen, _RANK_COLOURS, "oD^v", strict=False):
        layers(ax, record, "stable_rank_features", colour, marker=marker)
        wanted = float(record["target_stable_rank"])
        ax.axhline(wanted, color=colour, linewidth=1.1)
        ax.text(7.6, wanted, f" r = {int(record['target_rank'])}", color=colour, fontsize=6.5, va="center")
    ax.set_xlim(None, 7.6)
    ax.set_ylim(0, None)
    ax.set_ylabel("stable rank of features")
    ax.set_title(f"f   decay {shared:g}", loc="left")


def _balance(ax: "Axes", full: Sequence[Record], colours: dict[float, Any]) -> None:
    """Norms of the layers on top; at a critical point of homogeneous layers under one decay all are equal."""
    for record in full:
        layers(ax, record, "layer_norm", colours[decay_of(record)])
    ax.set_yscale("log")
    ax.set_ylim(1, 30)
    ax.set_ylabel(r"norm of the next layer")
    ax.set_title("g   balance", loc="left")


def corrected_bound(record: Record) -> np.ndarray:
    """sqrt(e1 + sqrt(t e2 (2 - e2))) of every layer at the last look, e1 = NRC1, e2 = 1 - NRC2 (seed x layer)."""
    e1, e2 = last(record, "deep_nrc1"), np.clip(1 - last(record, "deep_nrc2"), 0, None)
    return np.sqrt(e1 + np.sqrt(int(record["target_dimension"]) * e2 * (2 - e2)))


def printed_bound(record: Record) -> np.ndarray:
    """sqrt(e1) + sqrt(e2), as printed (seed x layer)."""
    e1, e2 = last(record, "deep_nrc1"), np.clip(1 - last(record, "deep_nrc2"), 0, None)
    return np.sqrt(np.clip(e1, 0, None)) + np.sqrt(e2)


def _bound(ax: "Axes", records: Sequence[Record], colours: dict[float, Any]) -> None:
    """The share of the features outside the targets' rows against the printed bound; below the line it holds."""
    top = 0.0
    for record in records:
        x, y = printed_bound(record).ravel(), last(record, "outside_targets").ravel()
        ax.plot(x, y, "s", markersize=2, color=colours.get(decay_of(record), "0.5"), markeredgewidth=0)
        top = max(top, float(x.max()), float(y.max()))
    ax.plot([0, 1.05 * top], [0, 1.05 * top], color="black", linewidth=1.1)
    ax.set_xlim(0, 1.05 * top)
    ax.set_ylim(0, 1.05 * top)
    ax.set_xlabel(r"$\sqrt{\mathrm{NRC1}}+\sqrt{1-\mathrm{NRC2}}$")
    ax.set_ylabel("features outside the targets")
    ax.set_title("h   Proposition 1", loc="left")


def _legend(figure: "Figure", colours: dict[float, Any]) -> None:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"marker": "s", "markersize": 3.4, "linestyle": "none", "markeredgecolor": "black"}
    handles = [
        Line2D([], [], color=colour, markeredgewidth=0.4, label=f"decay {decay:g}" if decay else "no decay", **look)
        for decay, colour in colours.items()
    ]
    line = Line2D([], [], color="0.3", linewidth=1.1, label="network's own error (d), targets (e, f), bound (h)")
    figure.legend(handles=[*handles, line], loc="outside upper center", ncols=len(handles) + 1)
