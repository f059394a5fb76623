"""Phase diagram over depth and regularisation, for a light and a heavy bias."""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.derivation.engine.roots import coexistence, spinodal
from ufm.gallery.phases import ORDER, order
from ufm.optimum import solve
from ufm.plot.phases import phase_diagram
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem, classes
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

K = 4
FACTORS = np.arange(2, 11)
DIES, MEAN_DIES, LAST = (
    "features vanish from the optimum",
    "mean direction vanishes",
    "last local minimum with features",
)


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Certified optima in the cells, solved as it is drawn; the boundaries of the formulae over them."""
    t = np.geomspace(0.02, 1.4, 90)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 3.0), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for ax, lam_b, letter in zip(axes, (0.5, 4.0), "ab", strict=True):
            phase_diagram(over_depths(FACTORS, t, lam_b), ORDER, theory=boundaries(FACTORS, lam_b), ax=ax)
            ax.set_title(rf"{letter}   $\lambda_b = {lam_b:g}$", loc="left")
            ax.set(xlabel="factors, $p$ (linear layers $+ 1$)", ylabel="")
        axes[0].set_ylabel("regularisation, $t$")
        figure.colorbar(axes[0].collections[0], ax=axes, shrink=0.9, label="$s_0/s$, certified optima")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def over_depths(factors: np.ndarray, t: np.ndarray, lam_b: float) -> Record:
    """The order parameter over (t, p), one sample a class; NaN where features vanish."""
    columns = []
    for p in factors:
        targets = classes(encodings.one_hot(K), 1)
        problem = Problem(targets, lam_W=(1.0,) * (int(p) - 1), lam_H=1.0, lam_b=lam_b)
        columns.append(order(solve(problem, over={"lam_H": (t / K) ** int(p)}).record()))
    return Record.of("optimum", {ORDER: (("t", "p"), np.stack(columns, axis=1))}, coords={"t": t, "p": factors})


def boundaries(factors: np.ndarray, lam_b: float) -> Record:
    """t above which all features vanish, above which the mean direction does, and where local minima end, along p."""
    t_c, t_end = (np.array([float(law(int(p))) for p in factors]) for law in (coexistence, spinodal))
    heights = {DIES: t_c, MEAN_DIES: lam_b / (1 + lam_b) * t_c, LAST: t_end}
    return Record.of("theorem", {name: (("p",), y) for name, y in heights.items()}, coords={"p": factors})
