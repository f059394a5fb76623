"""Cross-entropy with imbalance: as the weights vanish its geometry becomes that of the simplex-encoded labels."""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.constraints import HardMargin
from ufm.optimum import Optimum, solve
from ufm.plot.against import ladder_colours, line, points
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, sheet, style
from ufm.problem import Problem, classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

K = 4  # half majority, half minority
PAIRS = {"two majority classes": (0, 1), "majority and minority": (0, 2), "two minority classes": (2, 3)}


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Singular vectors of the encoded labels as lines; the max-margin program and cross-entropy as points."""
    from matplotlib.lines import Line2D

    fine, coarse = np.geomspace(1, 100, 60), np.array([1, 3, 10, 30, 100])
    weights = 10.0 ** -np.arange(2, 9)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        curves = np.stack([_encoded(ratio) for ratio in fine])
        margins = np.stack([_margin(int(ratio)).cosines for ratio in coarse])
        entropy = np.stack([_entropy(10, weight).cosines for weight in weights])
        limit = _encoded(10.0)
        for (name, (i, j)), colour in zip(PAIRS.items(), ladder_colours(3), strict=True):
            line(left, fine, curves[:, i, j], colour, name)
            points(left, "optimum", coarse, margins[:, i, j], colour)
            right.axhline(limit[i, j], color=colour, linewidth=1.2)
            points(right, "optimum", weights, entropy[:, i, j], colour)
        left.set(xscale="log", ylabel="cosine between class means")
        left.set_xlabel("imbalance, $R = n_1/n_2$")
        left.set_title("a   unit margins", loc="left")
        right.set(xscale="log", xlim=(3e-2, 3e-9))
        right.set_xlabel(r"weights of cross-entropy, $\lambda_W = \lambda_H$")
        right.set_title("b   cross-entropy, $R = 10$, towards the limit", loc="left")
        marks = Line2D([], [], **{**WITNESS_STYLE["optimum"], "linestyle": "none", "color": "0.3"})
        left.legend(handles=[*left.get_legend_handles_labels()[0], marks], loc="lower left")
    return figure


def _problem(ratio: int, weight: float, constraint: HardMargin | None) -> Problem:
    counts = [ratio] * (K // 2) + [1] * (K // 2)
    targets = classes(encodings.one_hot(K), counts)
    return Problem(targets, loss="cross_entropy", lam_W=weight, lam_H=weight, constraint=constraint)


def _margin(ratio: int) -> Optimum:
    return solve(_problem(ratio, 1.0, HardMargin()))


def _entropy(ratio: int, weight: float) -> Optimum:
    return solve(_problem(ratio, weight, None))


def _encoded(ratio: float) -> np.ndarray:
    """Cosines of U L U' at the class means, (I - 11'/K) diag(sqrt n) = V L U' (thrampoulidis2022)."""
    root = np.sqrt([ratio] * (K // 2) + [1.0] * (K // 2))
    _, L, Ut = np.linalg.svd((np.eye(K) - 1 / K) * root)
    gram = (Ut.T * L) @ Ut / np.outer(root, root)
    norms = np.sqrt(np.diag(gram))
    return gram / np.outer(norms, norms)
