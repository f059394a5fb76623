"""Imbalance: classes of unequal sizes fall to the origin one after the other, the smallest first."""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.catalogue import catalogue
from ufm.flow import simulate
from ufm.optimum import solve
from ufm.plot.against import ladder_colours, line, points, witness_legend
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem, classes
from ufm.record import Record, stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

SIZES = (320, 160, 80, 40, 20, 10)
LAM_W = 0.01


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Theorem of dang2023 as lines, certified optima and flows as points, solved as it is drawn."""
    problem = Problem(classes(encodings.one_hot(len(SIZES)), SIZES), lam_W=LAM_W, lam_H=1e-5)
    theorem = catalogue()["dang2023_gof:thm4_1"]
    fine, coarse = np.geomspace(1e-5, 0.3, 241), np.geomspace(2e-5, 0.15, 14)
    curve = stack([theorem.predict(problem.replace(lam_H=v)) for v in fine], lam_H=fine)
    optima = solve(problem, over={"lam_H": coarse}).record()
    flows = simulate(problem, over={"lam_H": coarse[1::3]}, gtol=1e-7).record()
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.7), layout="constrained")
        left, right = figure.subplots(1, 2)
        for k, (n, colour) in enumerate(zip(SIZES, ladder_colours(len(SIZES)), strict=True)):
            for ax, of in ((left, _norm), (right, _logit)):
                line(ax, fine, of(curve, k), colour, label=f"{n}")
                points(ax, "optimum", coarse, of(optima, k), colour)
                points(ax, "flow", coarse[1::3], of(flows, k), colour)
                ax.axvline(n / (sum(SIZES) ** 2 * LAM_W), color=colour, linewidth=0.6, linestyle=":")
        for ax, name, letter in ((left, "norm of the class mean", "a"), (right, "logit of the own class", "b")):
            ax.set(
                xscale="log",
                xlabel=r"weight of the features, $\lambda_H$",
                ylim=(-0.03, None),
                xlim=(fine[0], fine[-1]),
            )
            ax.set_title(f"{letter}   {name}", loc="left")
        witness_legend(left, ("theorem", "optimum", "flow"), loc="upper right", frameon=True, framealpha=1)
        right.legend(title="samples in the class", loc="lower left", title_fontsize=7)
    return figure


def _norm(record: Record, k: int) -> np.ndarray:
    if "class_mean_norm" in record:
        return record["class_mean_norm"].isel({"class": k}).values
    return np.sqrt(np.maximum(0, record["gram"].isel({"class": k, "other_class": k}).values))


def _logit(record: Record, k: int) -> np.ndarray:
    return record["logits"].isel({"class": k, "target": k}).values
