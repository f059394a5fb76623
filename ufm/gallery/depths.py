"""Phase diagram over depth and regularisation, for a light and a heavy bias."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm import encodings
from ufm.optimum import solve
from ufm.plot.phases import critical_regularisation, depth_diagram, order_parameter
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem, classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

K = 4
FACTORS = np.arange(2, 11)


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Certified optima in the cells, solved as it is drawn; the boundaries of the formulae over them."""
    t = np.geomspace(0.02, 1.4, 90)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 3.0), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        image: Any = None
        for ax, lam_b, letter in zip(axes, (0.5, 4.0), "ab", strict=True):
            cells = over_depths(FACTORS, t, lam_b)
            image = depth_diagram(ax, FACTORS, t, cells, lam_b / (1 + lam_b))
            ax.set_title(rf"{letter}   $\lambda_b = {lam_b:g}$", loc="left")
        axes[0].set_ylabel("regularisation, $t$")
        bar = figure.colorbar(image, ax=axes, shrink=0.9)
        bar.set_label("$s_0/s$, certified optima")
        looks = [
            ("black", "-", "features vanish from the optimum"),
            ("black", (0, (4, 2)), "last local minimum with features"),
        ]
        looks.append(("#D55E00", "-", "mean direction vanishes"))
        lines = [axes[0].plot([], [], color=c, linestyle=dash, label=label)[0] for c, dash, label in looks]
        figure.legend(handles=lines, loc="outside upper center", ncols=3)
    return figure


def over_depths(factors: np.ndarray, t: np.ndarray, lam_b: float) -> np.ndarray:
    """The order parameter for every t (rows) and number of factors, one sample a class; NaN where features vanish."""
    columns = []
    for p in factors:
        targets = classes(encodings.one_hot(K), 1)
        problem = Problem(targets, lam_W=(1.0,) * (int(p) - 1), lam_H=1.0, lam_b=lam_b)
        columns.append(order_parameter(solve(problem, over={"lam_H": (t / K) ** int(p)}).record()))
    return np.stack(columns, axis=1)


def boundaries(factors: np.ndarray, lam_b: float) -> tuple[np.ndarray, np.ndarray]:
    """t above which all features vanish, and above which the mean direction does, one of each per number of factors."""
    t_c = np.array([critical_regularisation(int(p)) for p in factors])
    return t_c, lam_b / (1 + lam_b) * t_c
