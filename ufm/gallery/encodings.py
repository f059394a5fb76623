"""Encodings side by side: the geometry of the class means that each asks for, with a free bias and without one."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm import encodings
from ufm.optimum import solve
from ufm.plot.frames import cosines, frame
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem, classes
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

K, n = 4, 25
NAMES = ("one_hot", "simplex", "one_vs_rest", "hadamard", "ordinal", "binary")


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Certified optima: cosines of the class means without a bias and with a free one, and the latter in space."""
    known = encodings.available()
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 3.5))
        edges = {"left": 0.035, "right": 0.92, "top": 0.94, "bottom": 0.0, "wspace": 0.08, "hspace": 0.1}
        sizes: Any = {"width_ratios": [*[1] * len(NAMES), 0.08], "height_ratios": [1, 1, 1.15]}
        grid = figure.add_gridspec(3, len(NAMES) + 1, **sizes, **edges)
        for column, name in enumerate(NAMES):
            for row, (lam_b, words) in enumerate(((np.inf, "no bias"), (0.0, "free bias"))):
                ax = figure.add_subplot(grid[row, column])
                cosines(_optimum(known[name](K), lam_b), limit=1, numbers=True, ax=ax)
                ax.set(xticks=[], yticks=[], xlabel="", frame_on=False)
                if row == 0:
                    ax.set_title(name.replace("_", "-"))
                if column == 0:
                    ax.set_ylabel(words)
            frame(_optimum(known[name](K), 0.0), ax=figure.add_subplot(grid[2, column], projection="3d"))
        image = figure.axes[0].get_images()[0]
        figure.colorbar(image, cax=figure.add_subplot(grid[:2, -1]), label="cosine between class means")
    return figure


def _optimum(codes: Any, lam_b: float) -> Record:
    return solve(Problem(classes(codes, n), lam_W=0.01, lam_H=1e-4, lam_b=lam_b)).record()
