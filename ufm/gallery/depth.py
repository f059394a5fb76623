"""Depth: from three factors on the features do not fade away, they jump; and a local optimum lives on beyond."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm import encodings
from ufm.derivation.engine.roots import coexistence, coexisting_share, spinodal, turning_share
from ufm.flow import State, simulate
from ufm.optimum import Optimum, solve
from ufm.plot.against import ladder_colours, line, points
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, sheet, style
from ufm.problem import Problem, classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

K, n = 4, 10


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """The scalar equation as lines; global and local optima, and flows from the collapsed side, as points."""
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.8), layout="constrained")
        axes = figure.subplots(1, 3, sharey=True)
        names = ("one linear layer", "two linear layers", "three linear layers")
        for ax, p, letter, name in zip(axes, (2, 3, 4), "abc", names, strict=True):
            _panel(ax, p, ladder_colours(4)[p - 2])
            ax.set_title(f"{letter}   {name}", loc="left")
            ax.set_xlabel(r"regularisation, $t$")
        axes[0].set_ylabel(r"singular value, $s/\sqrt{n}$")
        _legend(figure)
    return figure


def _panel(ax: "Axes", p: int, colour: Any) -> None:
    """s/sqrt(n) = x against t, where t = x^{(p-2)/p} (1 - x) at every critical point but zero."""
    t_c, t_end = float(coexistence(p)), float(spinodal(p))
    turn, jump = turning_share(p), coexisting_share(p)  # x where the branch ends, and where it stops being global
    stays, lingers, saddle = np.linspace(jump, 1, 200), np.linspace(turn, jump, 100), np.linspace(1e-9, turn, 100)
    line(ax, _regularisation(stays, p), stays, colour)
    line(ax, np.array([t_c, 1.22 * t_end]), np.zeros(2), colour)
    if p > 2:
        line(ax, np.array([t_c, t_c]), np.array([0, jump]), colour)
        line(ax, _regularisation(lingers, p), lingers, colour, dashed=True)
        ax.plot(_regularisation(saddle, p), saddle, color="0.6", linewidth=0.8, linestyle=":")
        ax.axvspan(t_c, t_end, color="0.92", linewidth=0)
        ax.text((t_c + t_end) / 2, 1.0, "metastable", ha="center", va="top", rotation=90, fontsize=7, color="0.3")
    grid = np.concatenate([np.linspace(0.15, 0.97, 7) * t_c, np.linspace(1.04, 1.2, 3) * t_c])
    optima = [solve(_problem(t, p)) for t in grid]
    points(ax, "optimum", grid, _strength(optima), colour)
    held = grid[(grid > 0.5 * t_c) & (grid < t_end)]
    local = [solve(_problem(t, p), method="metastable") if p > 2 else solve(_problem(t, p)) for t in held]
    points(ax, "optimum", held, _strength(local), colour)
    flows = [simulate(_problem(t, p), _collapsed(p)).record() for t in held[::2]]
    points(ax, "flow", held[::2], np.array([_centred(flow) for flow in flows]), colour)
    ax.set(xlim=(0, 1.22 * t_end), ylim=(-0.03, 1.03))


def _legend(figure: "Figure") -> None:
    """Lines and markers in grey: panels have their own colours."""
    from matplotlib.lines import Line2D

    looks = {
        "global minimum": {"linestyle": "-"},
        "local minimum": {"linestyle": (0, (4, 2))},
        "saddle": {"linestyle": ":", "linewidth": 0.8},
        "computed optimum, global or local": {**WITNESS_STYLE["optimum"], "linestyle": "none"},
        "gradient flow": {**WITNESS_STYLE["flow"], "linestyle": "none"},
    }
    common = {"linewidth": 1.2}
    lines = [Line2D([], [], **{**common, **look, "color": "0.3", "label": name}) for name, look in looks.items()]
    figure.legend(handles=lines, loc="outside upper center", ncols=5, columnspacing=1.2, handletextpad=0.5)


def _regularisation(x: np.ndarray, p: int) -> np.ndarray:
    return x ** ((p - 2) / p) * (1 - x)


def _problem(t: float, p: int) -> Problem:
    """Free bias, equal weights per layer up to the sizes: t = K n^(1/p) (lam_H prod lam_W)^(1/p)."""
    each = t / (K * n ** (1 / p))
    return Problem(classes(encodings.one_hot(K), n), lam_W=(each,) * (p - 1), lam_H=each, lam_b=0.0)


def _collapsed(p: int) -> State:
    """The optimum of weak regularisation: classes apart, layers balanced."""
    weak = solve(_problem(0.1 * float(coexistence(p)), p))
    return State(weak.W, weak.H, weak.b)


def _strength(optima: list[Optimum]) -> np.ndarray:
    return np.array([_centred(optimum.record()) for optimum in optima])


def _centred(record: Any) -> float:
    return float(record["singular_values_centred"].max()) / np.sqrt(n)
