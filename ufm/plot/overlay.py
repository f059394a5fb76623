"""A user's own network laid over the theory: spectrum, lengths and angles, optimum as lines, network as points."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import UfmError
from ufm.plot.frames import beyond, cosines, reach
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, Panels, panel, panels
from ufm.plot.words import words
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NETWORK: dict[str, Any] = {"color": "#D55E00", "marker": "s", "markersize": 4, "linestyle": "none"}
_OPTIMUM: dict[str, Any] = {**WITNESS_STYLE["theorem"], "color": "#0072B2"}


def overlay(theory: Record, network: Record, *, axes: "Sequence[Axes] | None" = None) -> Panels:
    """All that the two records of `ufm.predict` compare, in panels: `plot.overlay(*found.records)`.

    a: singular values of W H. b: norms of class means. c, d: cosines between class means, of the optimum and of the
    network, in colours of one scale. Of a regression: the singular values, the norms of W's rows, and the bias if
    there. Returns an array of 4 Axes (2 or 3 of a regression); UfmError where `axes` are more or fewer.
    """
    if "cosines" not in network:
        return _regression(theory, network, axes)
    with panels(axes, 4, TWO_COLUMNS, 2.5, width_ratios=[1.15, 1.15, 1, 1]) as drawn:
        steps(theory, network, ax=drawn[0])
        drawn[0].set_title("a   singular values of $W H$", loc="left")
        steps(theory, network, "class_mean_norm", ax=drawn[1])
        drawn[1].set_title("b   norms of class means", loc="left")
        limit = max(reach(theory), reach(network))
        titles = ("c   cosines, optimum", "d   cosines, network")
        for ax, record, title in zip(drawn[2:], (theory, network), titles, strict=True):
            cosines(record, limit=limit, ax=ax)
            ax.set_title(title, loc="left")
        image = drawn[3].get_images()[0]
        drawn[3].figure.colorbar(image, ax=drawn[3], fraction=0.05, pad=0.03, extend=beyond(limit))
        _legend(drawn, fresh=axes is None)
    return drawn


def _regression(theory: Record, network: Record, axes: "Sequence[Axes] | None") -> Panels:
    """The panels of a regression; that of the bias where there is one."""
    titles = {"singular_values": "a   singular values of $W H$", "classifier_norm": "b   norms of the rows of $W$"}
    if np.any(theory["bias"]) or np.any(network["bias"]):
        titles["bias"] = "c   bias"
    with panels(axes, len(titles), TWO_COLUMNS, 2.5) as drawn:
        for ax, (observable, title) in zip(drawn, titles.items(), strict=True):
            steps(theory, network, observable, ax=ax)
            ax.set_title(title, loc="left")
        _legend(drawn, fresh=axes is None)
    return drawn


def _legend(drawn: Panels, *, fresh: bool) -> None:
    """Above all panels of a sheet of their own; inside the first one of somebody else's."""
    if fresh:
        handles = drawn[0].get_legend_handles_labels()[0]
        drawn[0].figure.legend(handles=handles, loc="outside upper center", ncols=2)
    else:
        drawn[0].legend()


def steps(theory: Record, network: Record, observable: str = "", *, ax: "Axes | None" = None) -> "Axes":
    """An observable with one entry a direction or class: dashes of the optimum, squares of the network on them.

    `plot.steps(theory, network)` shows the singular values, `plot.steps(theory, network, "class_mean_norm")` lengths.
    Entries are counted from 0, as in the table of the comparison. UfmError where a record lacks the observable, or has
    other entries than the other one.
    """
    name = observable or ("singular_values" if "singular_values" in network else "singular_values_centred")
    expected, found = (record[name] for record in (theory, network))
    for record, values in ((theory, expected), (network, found)):
        if values.ndim > 1:
            dims = ", ".join(map(str, values.dims))
            raise UfmError(f"{name} of the {record.witness} record has the dimensions {dims}; select one line of it.")
    if expected.size != found.size:
        raise UfmError(f"{name} has {expected.size} entries in theory and {found.size} in the network.")
    with panel(ax) as drawn:
        _steps(drawn, np.ravel(expected.values), np.ravel(found.values))
        drawn.set_xlabel(words(str(found.dims[0])) if found.dims else "")
        if ax is None:
            drawn.set_ylabel(words(name))
            drawn.legend()
    return drawn


def _steps(ax: "Axes", expected: np.ndarray, found: np.ndarray) -> None:
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
