"""A user's own network laid over the theory: spectrum, lengths and angles, optimum as lines, network as points."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import UfmError
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, sheet, style
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NETWORK: dict[str, Any] = {"color": "#D55E00", "marker": "s", "markersize": 4, "linestyle": "none"}
_OPTIMUM: dict[str, Any] = {**WITNESS_STYLE["theorem"], "color": "#0072B2"}


def overlay(theory: Record, network: Record) -> "Figure":
    """Four panels of the two records that `ufm.predict(...)` compares: `overlay(*found.records)`.

    a: singular values of W H. b: norms of class means and, if there, of the classifier. c, d: cosines between class
    means, of the optimum and of the network, in colours of one scale. Of a regression: the singular values, the norms
    of W's rows, and the bias if there.
    """
    if "cosines" not in network:
        return _regression(theory, network)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.5), layout="constrained")
        axes = np.ravel(figure.subplots(1, 4, width_ratios=[1.15, 1.15, 1, 1]))
        steps(
            axes[0], theory, network, "singular_values" if "singular_values" in network else "singular_values_centred"
        )
        axes[0].set_title("a   singular values of $W H$", loc="left")
        axes[0].set_xlabel("direction")
        steps(axes[1], theory, network, "class_mean_norm")
        axes[1].set_title("b   norms of class means", loc="left")
        axes[1].set_xlabel("class")
        image = angles(axes[2:], theory, network)
        axes[2].set_title("c   cosines, optimum", loc="left")
        axes[3].set_title("d   cosines, network", loc="left")
        figure.colorbar(image, ax=axes[3], fraction=0.05, pad=0.03)
        handles = axes[0].get_legend_handles_labels()[0]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _regression(theory: Record, network: Record) -> "Figure":
    """The panels of a regression; that of the bias where there is one."""
    titles = {"singular_values": "a   singular values of $W H$", "classifier_norm": "b   norms of the rows of $W$"}
    if np.any(theory["bias"]) or np.any(network["bias"]):
        titles["bias"] = "c   bias"
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.5), layout="constrained")
        axes = np.ravel(figure.subplots(1, len(titles)))
        for ax, (observable, title) in zip(axes, titles.items(), strict=True):
            steps(ax, theory, network, observable)
            ax.set_title(title, loc="left")
            ax.set_xlabel("direction" if observable == "singular_values" else "target")
        figure.legend(handles=axes[0].get_legend_handles_labels()[0], loc="outside upper center", ncols=2)
    return figure


def steps(ax: "Axes", theory: Record, network: Record, observable: str) -> "Axes":
    """An observable with one entry a direction or class: dashes of the optimum, squares of the network on them.

    Entries are counted from 0, as in the table of the comparison.
    """
    expected, found = (np.ravel(record[observable].values) for record in (theory, network))
    if expected.size != found.size:
        raise UfmError(f"{observable} has {expected.size} entries in theory and {found.size} in the network.")
    places = np.arange(found.size)
    width = 0.8 if found.size > 1 else 0.3
    for place, value in zip(places, expected, strict=True):
        label = "certified optimum" if place == 0 else None
        ax.plot(
            [place - width / 2, place + width / 2], [value, value], **{**_OPTIMUM, "linewidth": 1.8, "label": label}
        )
    ax.plot(places, found, **_NETWORK, label="this network")
    low, high = (1.08 * end for end in (min(expected.min(), found.min(), 0.0), max(expected.max(), found.max(), 1e-12)))
    ax.set_ylim(low, high)
    ax.set_xlim(-0.6, found.size - 0.4)
    if found.size <= 12:
        ax.set_xticks(places)
    return ax


def angles(axes: Any, theory: Record, network: Record) -> Any:
    """Cosines between class means (K x K each) of both, in colours of one scale that fits them; returns the image."""
    pair = [record["cosines"].values for record in (theory, network)]
    K = pair[0].shape[0]
    apart = ~np.eye(K, dtype=bool)
    reach = max([float(np.abs(matrix[apart]).max()) for matrix in pair] + [1e-3]) if K > 1 else 1.0
    image = None
    for ax, matrix in zip(axes, pair, strict=True):
        image = ax.imshow(matrix, vmin=-reach, vmax=reach, cmap="RdBu_r")
        ax.set_xticks([0, K - 1])
        ax.set_yticks([0, K - 1])
        ax.set_xlabel("class")
    return image
