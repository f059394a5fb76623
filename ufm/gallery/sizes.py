"""Two sizes of classes: which of them live, over their ratio and the regularisation."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm import encodings
from ufm.optimum import solve
from ufm.plot.sizes import size_diagram
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem, classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

K = 4  # half of them large, half small
SMALL = 1000


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Certified ranks in the cells, the formula n_k = (N c)^2 as lines; without a bias and with a free one."""
    ratios = np.geomspace(1, 100, 60)
    strength = np.geomspace(0.05, 1.2, 90)  # N c/sqrt(n_large)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.7), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        image: Any = None
        for ax, lam_b, name in zip(axes, (np.inf, 0.0), ("a   no bias", "b   free bias"), strict=True):
            cells = np.stack([_ranks(float(ratio), strength, lam_b) for ratio in ratios], axis=1)
            image = size_diagram(ax, ratios, strength, cells, K, free_bias=lam_b == 0)
            ax.set_title(name, loc="left")
        axes[0].set_ylabel(r"regularisation, $N c/\sqrt{n_1}$")
        bar = figure.colorbar(image, ax=axes, ticks=range(K + 1))
        bar.set_label("dimensions of the class means")
    return figure


def _ranks(ratio: float, strength: np.ndarray, lam_b: float) -> np.ndarray:
    counts = [round(ratio * SMALL)] * (K // 2) + [SMALL] * (K // 2)
    c = strength * np.sqrt(counts[0]) / sum(counts)
    problem = Problem(classes(encodings.one_hot(K), counts), lam_W=1.0, lam_H=1.0, lam_b=lam_b)
    return solve(problem, over={"lam_H": c**2}).rank
