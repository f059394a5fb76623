"""Networks with plain weight decay: observables against the bias's weight, and effective weights by direction."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.plot.style import network_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES: dict[str, dict[str, Any]] = {
    "one_weight": {"color": "0.45", "linestyle": (0, (1, 1.5)), "label": "one weight on all features"},
    "two_weights": {"color": "#0072B2", "linestyle": "-", "label": "two weights"},
    "layer_below": {"color": "#009E73", "linestyle": (0, (5, 2)), "label": "metric of the last hidden layer"},
}
_LONGER: dict[str, Any] = {"color": "#CC79A7", "marker": "^", "markersize": 4.6, "label": "three times the steps"}
_LONGER |= {"markeredgecolor": "black", "markeredgewidth": 0.5}
_DIRECTIONS: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "marker": "o", "markerfacecolor": "none", "label": "centred directions"},
    {"color": "#D55E00", "marker": "s", "label": "direction of the mean"},
)
_AXES = {"mean": r"$s_0\,/\sqrt{n}$", "cosine": "cosine of class means"}


def by_bias(
    ax: "Axes",
    *,
    fine: np.ndarray,
    curves: Mapping[str, np.ndarray],
    networks: tuple[np.ndarray, np.ndarray],
    star: float,
    name: str,
    longer: tuple[np.ndarray, np.ndarray] | None = None,
) -> "Axes":
    """Theories as lines over `fine`, networks (values, value x seed) as points with their spread; inf, the last, apart.

    The networks at inf are open: all theories are calibrated on them. longer: networks of more steps. Left of `star`,
    where theory loses the mean direction, the ground is shaded.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    swept, found = networks
    apart = swept[np.isfinite(swept)].max() * 6
    for theory, y in curves.items():
        ax.plot(fine[:-1], y[:-1], linewidth=1.2, **_LINES[theory])
        ax.plot([apart / 1.6, apart * 1.6], [y[-1]] * 2, linewidth=1.2, **{**_LINES[theory], "label": None})
    look = {**network_style(0, "mnist5k"), "linestyle": "none", "markeredgecolor": "black", "markeredgewidth": 0.5}
    look |= {"label": "networks on MNIST, bars: seeds", "zorder": 3, "markersize": 3.8}
    middle, spread = found.mean(axis=1), np.ptp(found, axis=1) / 2
    ax.errorbar(swept[:-1], middle[:-1], yerr=spread[:-1], **look)
    ax.errorbar([apart], middle[-1:], yerr=spread[-1:], **{**look, "markerfacecolor": "white", "label": None})
    if longer is not None:
        values, reached = longer
        places = np.repeat(np.where(np.isfinite(values), values, apart), reached.shape[1])
        ax.plot(places, reached.ravel(), linestyle="none", zorder=4, **_LONGER)
    ax.set_xscale("log")
    ax.axvspan(fine[0] / 1.2, star, color="0.93", linewidth=0, zorder=0)
    ax.set_xlim(fine[0] / 1.2, apart * 2.4)
    ticks = LogLocator(subs=(1.0,) if fine[-2] > 30 * fine[0] else (1.0, 2.0, 5.0)).tick_values(fine[0] / 1.2, fine[-2])
    named = [float(x) for x in ticks if fine[0] / 1.2 <= x <= fine[-2]]
    ax.set_xticks([*named, apart], [*(f"{x:g}" for x in named), "∞"])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(r"weight of the bias, $\lambda_b$")
    ax.set_ylabel(_AXES[name])
    return ax


def by_direction(ax: "Axes", rows: Sequence[tuple[float, np.ndarray, np.ndarray]]) -> "Axes":
    """Effective weights over the decay (seed x direction) per decay: centred directions, and the one of the mean."""
    for i, (_, weights, shares) in enumerate(rows):
        known = np.isfinite(weights)
        mean = known & (shares == np.nanmax(shares, axis=1, keepdims=True))
        for chosen, look in zip((known & ~mean, mean), _DIRECTIONS, strict=True):
            seeds, _ = np.nonzero(chosen)
            x = i + 0.12 * (seeds - (len(weights) - 1) / 2)
            ax.plot(
                x,
                weights[chosen],
                linestyle="none",
                markersize=3.4,
                **{**look, "label": look["label"] if i == 0 else None},
            )
    ax.set_yscale("log")
    ax.set_xticks(range(len(rows)), [f"{decay:g}" for decay, _, _ in rows])
    ax.set_xlabel("weight decay")
    ax.set_ylabel(r"$\lambda_H^{\mathrm{eff}}\,/\,$weight decay")
    ax.set_ylim(ax.get_ylim()[0] / 2.5, None)
    ax.legend(loc="lower left")
    return ax
