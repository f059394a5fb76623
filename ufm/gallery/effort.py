"""Steps taken against time, one line an integrator: where stability binds, and which method it binds."""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.flow import Progress, random_start, simulate
from ufm.flow.integrators import available, descents
from ufm.plot.course import COLORS
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem, classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def draw(_: "FigureSpec", __: "Witnesses | None") -> "Figure":
    """The same flow to rest by every integrator: without a bias, and with the stiff mode that a bias is."""
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 3.0), layout="constrained")
        axes = list(np.ravel(figure.subplots(1, 2, sharey=True)))
        for ax, lam_b, title in zip(axes, (np.inf, 0.05), ("a   without a bias", "b   with a bias"), strict=True):
            steps_against_time(ax, _problem(lam_b))
            ax.set_title(title, loc="left")
            ax.set_xlabel(r"time, $\lambda t$")
        axes[0].set_ylabel("steps taken")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def steps_against_time(ax: "Axes", problem: Problem, *, rtol: float = 1e-6) -> "Axes":
    """Accepted steps so far against lam_H t, to rest, for every integrator of the flow."""
    unit, start = float(problem.lam_H), random_start(problem, 0, collapsed=True)
    names = [name for name in available() if name not in descents()]
    for name, color, dashes in zip(names, COLORS, _DASHES, strict=False):
        seen: list[Progress] = []
        flow = simulate(problem, start, t1=12 / unit, rtol=rtol, integrator=name, progress=seen.append)
        t = np.array([p.t for p in seen if p.t > 0] + [flow.t])
        steps = np.array([p.steps for p in seen if p.t > 0] + [flow.steps])
        ax.plot(unit * t, steps, color=color, linestyle=dashes, linewidth=1.3, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    return ax


def _problem(lam_b: float) -> Problem:
    """Ten classes of a hundred samples, as wide as they need; a tenth of the regularisation that kills all features."""
    K, n = 10, 100
    weight = 0.1 / (K * np.sqrt(n))
    return Problem(classes(encodings.one_hot(K), n), lam_W=weight, lam_H=weight, lam_b=lam_b, width=2 * K)
