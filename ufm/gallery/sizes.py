"""Two sizes of classes: which of them live, over their ratio and the regularisation."""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.optimum import solve
from ufm.plot.phases import phase_diagram
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.plot.words import words
from ufm.problem import Problem, classes
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

K = 4  # half of them large, half small
SMALL = 1000
RATIOS = np.geomspace(1, 100, 60)
STRENGTHS = np.geomspace(0.05, 1.2, 90)  # N c/sqrt(n_large)


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Certified ranks in the cells, the formula n_k = (N c)^2 as lines; without a bias and with a free one."""
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.7), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for ax, lam_b, name in zip(axes, (np.inf, 0.0), ("a   no bias", "b   free bias"), strict=True):
            phase_diagram(over_sizes(lam_b), "rank", theory=boundaries(free_bias=lam_b == 0), ax=ax)
            ax.set_title(name, loc="left")
            ax.set(xlabel=r"ratio of the class sizes, $n_1/n_2$", ylabel="")
            ax.legend(
                title="directions that vanish above the line", loc="lower left", alignment="left", title_fontsize=7
            )
        axes[0].set_ylabel(r"regularisation, $N c/\sqrt{n_1}$")
        figure.colorbar(axes[0].collections[0], ax=axes, ticks=range(K + 1), label=words("rank"))
    return figure


def over_sizes(lam_b: float) -> Record:
    """The certified rank of the class means over (N c/sqrt(n_1), n_1/n_2), K/2 classes of each size."""
    ranks = np.stack([_ranks(float(ratio), STRENGTHS, lam_b) for ratio in RATIOS], axis=1)
    coords = {"strength": STRENGTHS, "ratio": RATIOS}
    return Record.of("optimum", {"rank": (tuple(coords), ranks)}, coords=coords)


def boundaries(*, free_bias: bool) -> Record:
    """Directions within a size have the singular value sqrt(n_k), and live below it.

    A free bias leaves of the two group means one direction, whose singular value is sqrt(K n_1 n_2/N).
    """
    fine = np.geomspace(RATIOS[0], RATIOS[-1], 200)
    heights = {"within the large classes": np.ones_like(fine), "within the small classes": 1 / np.sqrt(fine)}
    if free_bias:
        heights["between the sizes"] = np.sqrt(2 / (1 + fine))
    return Record.of("theorem", {name: (("ratio",), y) for name, y in heights.items()}, coords={"ratio": fine})


def _ranks(ratio: float, strength: np.ndarray, lam_b: float) -> np.ndarray:
    counts = [round(ratio * SMALL)] * (K // 2) + [SMALL] * (K // 2)
    c = strength * np.sqrt(counts[0]) / sum(counts)
    problem = Problem(classes(encodings.one_hot(K), counts), lam_W=1.0, lam_H=1.0, lam_b=lam_b)
    return solve(problem, over={"lam_H": c**2}).rank
