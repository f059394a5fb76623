"""The class-encoding transition: all four witnesses of one campaign."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.campaign import load_campaign
from ufm.catalogue import Formula
from ufm.errors import UfmError
from ufm.plot.frames import cosines
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, network_style, sheet, style
from ufm.plot.transition import against_weight, distance_to_theorem
from ufm.record import Record, stack
from ufm.referee.witnesses import summon, theorem_of
from ufm.theorems.class_encoding import lam_b_star

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses


def draw(spec: "FigureSpec", witnesses: "Witnesses | None") -> "Figure":
    """Recorded witnesses, or those handed over, with the theorem as a line between them."""
    campaign = load_campaign(spec.campaign)
    witnesses = witnesses or summon(campaign, recorded_flows=True)
    theorem = theorem_of(campaign)
    finite = [v for v in campaign.values if np.isfinite(v)]
    grid = [*np.geomspace(min(finite), max(finite), 201), np.inf]
    curve = stack([theorem.predict(campaign.problem.replace(lam_b=float(v))) for v in grid], lam_b=grid)
    unit = Formula(lam_b_star)(campaign.problem)
    shown = next(iter(witnesses.measured.values()))
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.1), layout="constrained")
        left, right = np.ravel(figure.subfigures(1, 2, width_ratios=[1.65, 1]))  # pyright: ignore
        axes = list(np.ravel(left.subplots(3, 1, sharex=True, height_ratios=[1.3, 1.1, 1])))
        _witnesses(axes, curve, witnesses, unit)
        _dress(axes, shown.values.sizes["class"])
        left.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, handlelength=1.6)
        _matrices(right, shown, unit)
    return figure


def _witnesses(axes: "Sequence[Axes]", curve: Record, witnesses: "Witnesses", unit: float) -> None:
    """The cosine, the singular value of the mean direction, and how far the cosine is from the theorem."""
    names = list(witnesses.measured)
    networks = [(record, network_style(names.index(name), name)) for name, record in witnesses.measured.items()]
    live = [(record, network_style(names.index(name), name, now=True)) for name, record in witnesses.live.items()]
    flow, others = witnesses.flow, [(witnesses.optimum, WITNESS_STYLE["optimum"]), *networks, *live]
    looks: Any = [WITNESS_STYLE["flow"], *(look for _, look in others)]
    records = [flow, *(record for record, _ in others)]
    against_weight(curve, *records, looks=looks, unit=unit, ax=axes[0])
    name = "singular_value_mean"
    scaled = [_over_root_n(record, name) for record in records]
    against_weight(_over_root_n(curve, name), *scaled, observable=name, looks=looks, unit=unit, ax=axes[1])
    distance_to_theorem(witnesses.flow_theorem, flow, looks=looks[:1], unit=unit, ax=axes[2])
    distance_to_theorem(witnesses.theorem, *records[1:], looks=looks[1:], unit=unit, ax=axes[2])


def _dress(axes: "Sequence[Axes]", K: int) -> None:
    """Letters, the transition, and the two frames between which the cosine moves."""
    titles = (
        "a   cosine between class means",
        "b   singular value of the mean direction",
        "c   cosine, |witness $-$ theorem|",
    )
    for ax, title, label in zip(axes, titles, ("cosine", r"$s_0/\sqrt{n}$", "difference"), strict=True):
        ax.set_title(title, loc="left")
        ax.set_ylabel(label)
        ax.axvline(1, color="0.75", linewidth=0.7, zorder=0)
        ax.margins(y=0.12)
    for ax in axes[:2]:
        ax.tick_params(labelbottom=False)
        ax.set_xlabel("")
    frames = ((-1 / (K - 1), f"simplex ETF, $-1/{K - 1}$", 3.2), (0, "orthogonal frame, 0", 0.205))
    for level, name, x in frames:
        axes[0].axhline(level, color="0.75", linewidth=0.7, linestyle=":", zorder=0)
        axes[0].annotate(name, (x, level), (0, 2), textcoords="offset points", color="0.35", fontsize=6.5)
    axes[0].set_ylim(-1.16 / (K - 1), 0.22 / (K - 1))
    axes[2].set_ylim(3e-19, 1e-1)
    axes[2].set_yticks([1e-17, 1e-12, 1e-7, 1e-2])


def _matrices(right: Any, measured: Record, unit: float) -> None:
    """The networks' cosines before, at and after the transition, and without a bias."""
    ratios = np.asarray(measured.values.lam_b) / unit
    K, at = measured.values.sizes["class"], int(np.argmin(abs(ratios - 1)))
    shown = (0, at, int(np.argmin(abs(ratios - 2))), len(ratios) - 1)
    axes = list(np.ravel(right.subplots(2, 2)))
    for ax, i in zip(axes, shown, strict=True):
        here = replace(measured, values=measured.values[["cosines"]].mean("seed").isel(lam_b=i))
        cosines(here, limit=1 / (K - 1), ax=ax)
        ax.set_title(_name_of(ratios[i]))
        ax.set(xticks=[0, K - 1], xticklabels=["1", str(K)], yticks=[0, K - 1], yticklabels=["1", str(K)], xlabel="")
        for spine in ax.spines.values():
            spine.set_visible(True)
    right.suptitle("d   class means of trained networks", fontsize=8)
    bar = right.colorbar(
        axes[0].get_images()[0], ax=axes, orientation="horizontal", aspect=22, shrink=0.9, extend="max"
    )
    bar.set_label("cosine")
    bar.set_ticks([-0.1, -0.05, 0, 0.05, 0.1])


def _over_root_n(record: Record, name: str) -> Record:
    """A record with one observable over sqrt(n), n the size of its classes."""
    if record.problem is None:
        raise UfmError("the figure needs records with their problem, for the class sizes.")
    unit = float(np.sqrt(record.problem.classes.counts[0]))
    return replace(record, values=record.values.assign({name: record[name] / unit}))


def _name_of(ratio: float) -> str:
    if np.isinf(ratio):
        return "no bias"
    return r"$\lambda_b = \lambda_b^*$" if abs(ratio - 1) < 1e-9 else rf"$\lambda_b = {ratio:g}\,\lambda_b^*$"
