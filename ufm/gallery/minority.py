"""Minority collapse in the layer-peeled model: classifiers of small classes turn into one vector at a size ratio."""

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm import encodings
from ufm.constraints import NormBudget
from ufm.optimum import Optimum, minority_collapse_threshold, solve
from ufm.plot.against import ladder_colours, line, points
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, sheet, style
from ufm.problem import Problem, classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

# The setting of fang2021's own figure, and its numbers of majority classes.
K, E_W, E_H = 10, 1.0, 5.0
MAJORITIES = (7, 5, 3)
SMALL = 1000  # samples of a minority class; only the ratio matters, and this makes it as good as real


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Certified optima as crosses, joined; the threshold, a root of one equation of its own, as dotted lines."""
    from matplotlib.lines import Line2D

    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        for majority, colour in zip(MAJORITIES, ladder_colours(len(MAJORITIES)), strict=True):
            threshold = minority_collapse_threshold(majority, K - majority, E_W, E_H)
            ratios = ratios_about(threshold)
            optima = [solve(_problem(ratio, majority)) for ratio in ratios]
            cosines = np.array([minority_cosine(optimum, majority) for optimum in optima])
            line(left, ratios, cosines, colour, f"{majority} large, {K - majority} small: $R^* = {threshold:.2f}$")
            points(left, "optimum", ratios, cosines, colour)
            for which, norms in zip(("large", "small"), _norms(optima, majority), strict=True):
                line(right, ratios, norms, colour, dashed=which == "small")
                points(right, "optimum", ratios, norms, colour)
            for ax in (left, right):
                ax.axvline(threshold, color=colour, linewidth=0.8, linestyle=":")
        for ax, title in ((left, "a   cosine between minority classifiers"), (right, "b   norm of a classifier")):
            ax.set(xscale="log", xlim=(0.9, 1.1e3))
            ax.set_xlabel("imbalance, $R = n_A/n_B$")
            ax.set_title(title, loc="left")
        right.set_ylim(0, None)
        left.set_ylim(None, 1.08)
        looks: Any = ("majority", "-"), ("minority", (0, (4, 2))), ("threshold", ":")
        marks = [Line2D([], [], color="0.3", linewidth=1.2, linestyle=dash, label=name) for name, dash in looks]
        marks.append(Line2D([], [], **{**WITNESS_STYLE["optimum"], "linestyle": "none", "color": "0.3"}))
        curves = left.get_legend_handles_labels()[0]
        pairs = [handle for pair in zip_longest(curves, marks[:3]) for handle in pair]
        figure.legend(handles=[*pairs, marks[3]], loc="outside upper center", ncols=4)
    return figure


def ratios_about(threshold: float) -> np.ndarray:
    """Ratios from 1 to 1000, denser about the threshold: below it the cosine rises, above it norms still fall."""
    below = threshold ** np.array([0, 0.2, 0.4, 0.6, 0.75, 0.87, 0.95, 0.985, 0.998])
    beyond = threshold * np.array([1.01, 1.2, 1.5, 2, 3, 6, 12])
    return np.concatenate([below, beyond[beyond < 900], [1e3]])


def minority_cosine(optimum: Optimum, majority: int) -> float:
    """The mean cosine between different classifiers of minority classes; NaN where they are zero."""
    rows = optimum.W[0][majority:]
    norms, count = np.linalg.norm(rows, axis=1, keepdims=True), len(rows)
    if norms.min() < 1e-6 * np.linalg.norm(optimum.W[0]):
        return float("nan")
    unit = rows / norms
    return float((np.sum(unit @ unit.T) - count) / (count * (count - 1)))


def _norms(optima: list[Optimum], majority: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean norms of majority and of minority classifiers, one of each per optimum."""
    norms = np.stack([np.linalg.norm(optimum.W[0], axis=1) for optimum in optima])
    return norms[:, :majority].mean(axis=1), norms[:, majority:].mean(axis=1)


def _problem(ratio: float, majority: int) -> Problem:
    counts = [round(ratio * SMALL)] * majority + [SMALL] * (K - majority)
    budget = NormBudget(E_W, E_H)
    targets = classes(encodings.one_hot(K), counts)
    return Problem(targets, loss="cross_entropy", lam_W=0.0, lam_H=0.0, constraint=budget)
