"""Networks of one trial against the optimum of their own problem: all singular values along what is swept."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.plot.against import ladder_colours
from ufm.plot.style import network_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def strengths(
    ax: "Axes",
    fine: np.ndarray,
    theory: np.ndarray,
    swept: np.ndarray,
    networks: np.ndarray,
    *,
    local: np.ndarray | None = None,
    unit: float = 1.0,
) -> "Axes":
    """Singular values: theory (fine x r) as lines, networks (seeds x swept x r) as their mean with the spread of seeds.

    local: another optimum (fine x r), dashed, NaN where there is none. unit: what all are divided by. An infinite value
    of what is swept stands at the right edge, apart.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    colours = ladder_colours(theory.shape[1])
    apart = swept[-1] * 4 if np.isfinite(swept[-1]) else swept[np.isfinite(swept)][-1] * 6
    places = np.where(np.isfinite(swept), swept, apart)
    finite = np.isfinite(fine)
    for i, colour in enumerate(colours):
        ax.plot(fine[finite], theory[finite, i] / unit, color=colour, linewidth=1.1)
        if not finite.all():
            ax.plot([apart / 1.5, apart * 1.5], [theory[~finite, i][0] / unit] * 2, color=colour, linewidth=1.1)
        if local is not None:
            ax.plot(fine, local[:, i] / unit, color=colour, linewidth=1.1, linestyle=(0, (4, 2)))
        mean, spread = networks[..., i].mean(axis=0) / unit, np.ptp(networks[..., i], axis=0) / 2 / unit
        look: dict[str, Any] = {**network_style(0, "mnist5k"), "color": colour, "markersize": 3.4, "label": None}
        ax.errorbar(places, mean, yerr=spread, linestyle="none", markeredgecolor="black", markeredgewidth=0.4, **look)
    ax.set_xscale("log")
    wide = places.max() / places.min() > 30
    decade = (1.0,) if wide else (1.0, 2.0, 5.0)
    low, high = fine[finite][0] / 1.3, fine[finite][-1] * 1.3
    ticks = [tick for tick in LogLocator(subs=decade).tick_values(low, high) if low <= tick <= high]
    minor = [tick for tick in LogLocator(subs=tuple(range(1, 10))).tick_values(low, high) if low <= tick <= high]
    if finite.all():
        ax.set_xlim(low, high)
    else:
        ticks.append(apart)
        ax.axvspan(apart / 2.2, apart * 2.2, color="0.94", linewidth=0)
        ax.set_xlim(low, apart * 2.2)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "∞" if x == ticks[-1] and x > high else f"{x:g}"))
    ax.xaxis.set_minor_locator(FixedLocator(minor))
    ax.xaxis.set_minor_formatter(NullFormatter())
    top = max(theory.max(), networks.max()) / unit
    ax.set_ylim(-0.04 * top, 1.06 * top)
    return ax
