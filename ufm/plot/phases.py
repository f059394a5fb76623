"""Phase diagrams of balanced one-hot labels: which directions survive, in (lam_b, t) and in (K, regularisation).

t is the regularisation relative to the labels, t = K n^(1/p) Lam; a centred direction survives for t below t_c(p), the
mean direction for t below rho t_c(p) (theory: sections 3 and 4). Cells are certified optima, lines the formulae.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import UfmError
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_NAMES = (
    (0.5, 0.945, "nothing survives", "black"),
    (0.2, 0.72, "simplex\nETF", "white"),
    (0.72, 0.3, "towards an\northogonal\nframe", "black"),
)

_CELLS: Any = {"cmap": "cividis", "vmin": 0, "vmax": 1, "shading": "nearest", "rasterized": True}


def critical_regularisation(p: int) -> float:
    """t_c(p) = ((p-2)/(p-1))^(1-2/p)/(p-1): 1 for p = 2; above it zero is the global minimum of a direction."""
    return ((p - 2) / (p - 1)) ** (1 - 2 / p) / (p - 1)


def last_regularisation(p: int) -> float:
    """t where the local minimum of a direction ends, x^{(p-2)/p} (1 - x) at x = (p-2)/(2(p-1)); t_c(2) for p = 2."""
    x = (p - 2) / (2 * (p - 1))
    return x ** ((p - 2) / p) * (1 - x)


def order_parameter(record: Record) -> np.ndarray:
    """s_0/s, from 0 (simplex ETF) to 1 (orthogonal frame), NaN where the features vanish; by lam_H, then lam_b."""
    swept = [name for name in ("lam_H", "lam_b") if name in record.values.dims]
    s = record["singular_values_centred"].max("centred_direction").transpose(*swept).values
    s_0 = record["singular_value_mean"].transpose(*swept).values
    return np.divide(s_0, s, out=np.full(s.shape, np.nan), where=s > 1e-6 * np.max(s))


def phase_diagram(ax: "Axes", record: Record) -> Any:
    """Order parameter over (lam_b, t) from a record along lam_H and lam_b, with the analytic boundaries; the image."""
    from matplotlib.ticker import NullFormatter

    problem = record.problem
    if problem is None:
        raise UfmError("a phase diagram needs records with their problem.")
    p, weights = problem.p, np.asarray(record.values.lam_H)
    layers = float(np.prod([float(w) for w in problem.lam_W]))
    t = problem.K * problem.classes.counts[0] ** (1 / p) * (weights * layers) ** (1 / p)
    lam_b = np.asarray(record.values.lam_b)
    cells = order_parameter(record)
    image = ax.pcolormesh(lam_b, t, np.ma.masked_invalid(cells), **_CELLS)
    t_c = critical_regularisation(p)
    ax.axhline(t_c, color="black", linewidth=1.2)
    fine = np.geomspace(lam_b[0], lam_b[-1], 400)
    ax.plot(fine, t_c * fine / (1 + fine), color="#D55E00", linewidth=1.5)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(t[0], t[-1])
    ax.set_xlim(lam_b[0], lam_b[-1])
    ax.set_xlabel(r"weight of the bias, $\lambda_b$")
    ax.set_ylabel(r"regularisation, $t$")
    return image


def class_diagram(ax: "Axes", p: int, K: np.ndarray, strength: np.ndarray, cells: np.ndarray, rho: float) -> Any:
    """Order parameter over (K, t/K) at one lam_b and depth, with the boundaries t_c/K and rho t_c/K; the image."""
    image = ax.pcolormesh(K, strength, np.ma.masked_invalid(cells), **_CELLS)
    fine, t_c = np.geomspace(K[0], K[-1], 200), critical_regularisation(p)
    ax.plot(fine, t_c / fine, color="black", linewidth=1.2)
    ax.plot(fine, rho * t_c / fine, color="#D55E00", linewidth=1.5)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(K[0], K[-1])
    ax.set_ylim(strength[0], strength[-1])
    ax.set_xticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.set_xlabel("classes, $K$")
    return image


def phases(records: list[Record], K: np.ndarray, strengths: list[np.ndarray], cells: list[np.ndarray]) -> "Figure":
    """The whole figure, one depth a column: (lam_b, t) of the records above, (K, t/K) at lam_b = 1 below.

    strengths, cells: for each record's depth, t/K along the lower panel and the order parameter there (rows by K).
    """
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.9), layout="constrained")
        axes = figure.subplots(2, 3)
        image = None
        for column, (record, letter) in enumerate(zip(records, "abc", strict=True)):
            p = record.problem.p if record.problem is not None else 0
            depth = "one linear layer" if p == 2 else f"{p - 1} linear layers"
            phase_diagram(axes[0, column], record)
            axes[0, column].set_title(f"{letter}   $p = {p}$: {depth}", loc="left")
            image = class_diagram(axes[1, column], p, K, strengths[column], cells[column], rho=0.5)
            axes[1, column].set_title(f"{'def'[column]}   $p = {p}$, $\\lambda_b = 1$", loc="left")
        axes[1, 0].set_ylabel("regularisation, $t/K$")
        for ax in axes[0, 1:]:
            ax.set_ylabel("")
        for ax in axes.flat:
            ax.set_facecolor("0.88")
        for x, y, name, color in _NAMES:
            axes[0, 0].text(
                x, y, name, transform=axes[0, 0].transAxes, fontsize=7, color=color, ha="center", va="center"
            )
        if image is not None:
            bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30)
            bar.set_label("$s_0/s$: mean over centred singular value, certified optima")
        handles = [("black", "features vanish"), ("#D55E00", "mean direction vanishes")]
        lines = [axes[0, 0].plot([], [], color=color, label=label)[0] for color, label in handles]
        figure.legend(handles=lines, loc="outside upper center", ncols=2)
    return figure


def depth_diagram(ax: "Axes", p: np.ndarray, t: np.ndarray, cells: np.ndarray, rho: float) -> Any:
    """Order parameter over (p, t) at one lam_b (cells: t x p), with t_c, rho t_c and the end of the local minimum.

    p: consecutive numbers of factors, a column each; boundaries are steps, since p is an integer. Returns the image.
    """
    image = ax.pcolormesh(p, t, np.ma.masked_invalid(cells), **_CELLS)
    edges = np.repeat(np.arange(p[0], p[-1] + 2) - 0.5, 2)[1:-1]
    laws = critical_regularisation, last_regularisation
    t_c, t_end = (np.repeat([law(int(factors)) for factors in p], 2) for law in laws)
    ax.plot(edges, t_end, color="black", linewidth=1.0, linestyle=(0, (4, 2)))
    ax.plot(edges, t_c, color="black", linewidth=1.2)
    ax.plot(edges, rho * t_c, color="#D55E00", linewidth=1.5)
    ax.set_yscale("log")
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(t[0], t[-1])
    ax.set_xticks(p)
    ax.set_xlabel("factors, $p$ (linear layers $+ 1$)")
    ax.set_facecolor("0.88")
    return image
