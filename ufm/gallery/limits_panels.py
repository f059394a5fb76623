"""Where networks leave the theory: errors on logarithmic scales beside what is allowed, singular values by category."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SERIES: tuple[dict[str, Any], ...] = (
    {"color": "#D55E00", "marker": "s", "markersize": 3.6, "markerfacecolor": "none"},
    {"color": "#0072B2", "marker": "o", "markersize": 3.8, "markerfacecolor": "none"},
)
_POINT: dict[str, Any] = {"linestyle": "none", "markeredgewidth": 0.7}


def error_against(
    ax: "Axes", series: Mapping[str, tuple[np.ndarray, np.ndarray]], allowed: float, label: str
) -> "Axes":
    """{name: (values, errors (value x seed))}, every network a point; the ground is white where they agree."""
    for (name, (values, wrong)), look in zip(series.items(), _SERIES, strict=False):
        x = np.repeat(values, wrong.shape[1])
        ax.plot(x, wrong.ravel(), label=name or None, **look, **_POINT)
        ax.plot(values, np.median(wrong, axis=1), color=look["color"], linewidth=0.7, alpha=0.6)
    ax.set_xscale("log")
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.axhspan(allowed, high, color="0.93", linewidth=0, zorder=0)
    ax.text(0.98, 0.95, f"off by more than {allowed:.0%}", ha="right", va="top", fontsize=7, transform=ax.transAxes)
    ax.set_ylim(low, high)
    ticks = np.unique(np.concatenate([values for values, _ in series.values()]))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel(label)
    ax.set_ylabel("worst singular value,\nrelative error")
    if len(series) > 1:
        ax.legend(loc="lower left")
    return ax


def strengths_by_width(ax: "Axes", values: np.ndarray, theory: np.ndarray, networks: np.ndarray) -> "Axes":
    """Singular values (descending) for every width: theory as bars, networks (value x seed x direction) as points."""
    for i, (expected, found) in enumerate(zip(theory, networks, strict=True)):
        places = i + np.linspace(-0.36, 0.36, expected.size)
        half = 0.36 / expected.size
        ax.hlines(expected, places - half, places + half, color="black", linewidth=1.3, zorder=3)
        for seed in found:
            ax.plot(places, seed, **_SERIES[0], **_POINT)
    ax.hlines([], 0, 0, color="black", linewidth=1.3, label="optimum of that width")
    ax.plot([], [], label="networks, every seed", **_SERIES[0], **_POINT)
    ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    ax.set_xlabel("width of the features, $d$")
    ax.set_ylabel(r"singular values$\,/\sqrt{n}$")
    ax.set_ylim(-0.05, 1.02)
    ax.legend(loc="center left", bbox_to_anchor=(0.0, 0.4))
    return ax


def by_kind(ax: "Axes", kinds: Mapping[str, Sequence[tuple[float, np.ndarray, np.ndarray]]]) -> "Axes":
    """{kind: [(lam_b, theory, networks (seed x direction))]}: singular values, one column for every lam_b."""
    for i, columns in enumerate(kinds.values()):
        for j, (_, expected, found) in enumerate(columns):
            x = i + 0.36 * (j - (len(columns) - 1) / 2)
            ax.hlines(expected, x - 0.14, x + 0.14, color="black", linewidth=1.2, zorder=3)
            spots = x + 0.1 * np.linspace(-1, 1, expected.size)
            for seed in found:
                ax.plot(spots, seed, **_SERIES[j], **_POINT, zorder=2)
    ax.hlines([], 0, 0, color="black", linewidth=1.2, label="optimum")
    for j, (lam_b, _, _) in enumerate(next(iter(kinds.values()))):
        ax.plot([], [], label=rf"networks, $\lambda_b = {lam_b:g}$", **_SERIES[j], **_POINT)
    ax.set_xticks(range(len(kinds)), list(kinds))
    ax.set_xlabel("batch norm of")
    ax.set_ylabel(r"singular values$\,/\sqrt{n}$")
    ax.set_ylim(-0.05, None)
    ax.legend(loc="center left", bbox_to_anchor=(0.0, 0.35))
    return ax
