"""Class means as what they are: a matrix of cosines, and arrows in the space that they span."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ufm.errors import UfmError
from ufm.plot.style import ONE_COLUMN, panel
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def cosines(record: Record, *, limit: float | None = None, numbers: bool = False, ax: "Axes | None" = None) -> "Axes":
    """The cosines between class means (K x K) in colours: `plot.cosines(record)`.

    limit: the colours reach from -limit to limit, by default the largest cosine of two different classes. numbers:
    values stand in the cells. The image, for a colour bar beside several panels, is `ax.get_images()[0]`; fresh axes
    have their own. UfmError where the record has no cosines, or those of several points.
    """
    matrix = _square(record, "cosines")
    K, most = len(matrix), reach(record) if limit is None else limit
    with panel(ax, 0.8 * ONE_COLUMN, 0.66 * ONE_COLUMN) as drawn:
        image = drawn.imshow(matrix, vmin=-most, vmax=most, cmap="RdBu_r")
        drawn.set_xticks([0, K - 1] if K > 1 else [0])
        drawn.set_yticks([0, K - 1] if K > 1 else [0])
        drawn.tick_params(length=0)
        drawn.set_xlabel("class")
        if numbers:
            _values(drawn, matrix, most)
        if ax is None:
            drawn.figure.colorbar(image, ax=drawn, extend=beyond(most), label="cosine between class means")
    return drawn


def reach(record: Record) -> float:
    """The largest size of a cosine between two different classes; 1 where there is one class."""
    matrix = _square(record, "cosines")
    apart = ~np.eye(len(matrix), dtype=bool)
    return max(float(np.abs(matrix[apart]).max()), 1e-3) if len(matrix) > 1 else 1.0


def beyond(limit: float) -> Literal["max", "neither"]:
    """How the colour bar ends: the cosine of a class with itself, 1, lies above the colours."""
    return "max" if limit < 1 else "neither"


def _values(ax: "Axes", matrix: np.ndarray, limit: float) -> None:
    for (i, j), value in np.ndenumerate(matrix):
        text = "0" if abs(value) < 5e-3 else f"{value:.2f}".replace("0.", ".").replace("-", "−").replace("1.00", "1")
        colour = "white" if abs(value) > 0.7 * limit else "black"
        ax.text(j, i, text, ha="center", va="center", fontsize=5.5, color=colour)


def _square(record: Record, name: str) -> np.ndarray:
    """K x K numbers of one point; UfmError where the record holds several points."""
    values = record[name]
    more = [str(dim) for dim in values.dims if dim not in ("class", "other_class")]
    if more:
        chosen = ", ".join(f"{dim}=..." for dim in more)
        raise UfmError(f"{name} of this record stretches along {', '.join(more)}; draw one: record.select({chosen}).")
    return np.asarray(values.transpose("class", "other_class"), dtype=float)


def frame(record: Record, *, ax: Any = None) -> "Axes":
    """Class means as arrows from the origin, in their three leading directions, all at one scale: `plot.frame(record)`.

    A rotation of the feature space changes nothing: the first class points up and the second lies in the plane of the
    page, as nearly as the frame allows. Means of more than three dimensions are projected. ax: of three dimensions,
    made with projection="3d". UfmError where ax is flat, or the record has no Gram matrix of class means.
    """
    if ax is not None and not hasattr(ax, "set_zlim"):
        raise UfmError('ax is flat: a frame stands in space; make it with projection="3d", or leave ax out.')
    space = _in_space(_gram(record))
    with panel(ax, 0.8 * ONE_COLUMN, 0.8 * ONE_COLUMN, space=True) as drawn:
        _arrows(drawn, space)
    return drawn


def _gram(record: Record) -> np.ndarray:
    if "gram" in record or "class_mean_norm" not in record:
        return _square(record, "gram")
    norms = np.asarray(record["class_mean_norm"], dtype=float)
    return _square(record, "cosines") * np.outer(norms, norms)


def _in_space(gram: np.ndarray) -> np.ndarray:
    """Three coordinates a class (3 x K), the longest of length 1, from the Gram matrix (K x K)."""
    strengths, vectors = np.linalg.eigh(gram)
    leading = np.argsort(strengths)[::-1][:3]
    space = np.sqrt(np.maximum(strengths[leading], 0))[:, None] * vectors[:, leading].T
    space = np.vstack([space, np.zeros((3 - len(space), len(gram)))])
    return _upright(space) / max(1e-12, np.linalg.norm(space, axis=0).max())


def _arrows(ax: Any, space: np.ndarray) -> None:
    for i, j in zip(*np.triu_indices(space.shape[1], 1), strict=True):
        ax.plot(*space[:, [i, j]], color="0.75", linewidth=0.5)
    for k, point in enumerate(space.T):
        colour = CLASS_COLOURS[k % len(CLASS_COLOURS)]
        ax.plot(*np.stack([np.zeros(3), point], axis=1), color=colour, linewidth=1.6)
        ax.plot(*point[:, None], marker="o", color=colour, markersize=4, clip_on=False)
    ax.plot([0], [0], [0], marker=".", color="0.4", markersize=3)
    ax.set(xlim=(-0.7, 0.7), ylim=(-0.7, 0.7), zlim=(-0.7, 0.7))
    ax.set_box_aspect((1, 1, 1))
    ax.view_init(elev=14, azim=-68)
    ax.set_axis_off()


def _upright(space: np.ndarray) -> np.ndarray:
    """The columns (3 x K) turned: the first along z, the next independent one in the plane of x and z."""
    axes: list[np.ndarray] = []
    for column in (*space.T, *np.eye(3)):
        rest = column - sum((axis * (axis @ column) for axis in axes), np.zeros(3))
        if len(axes) < 3 and np.linalg.norm(rest) > 1e-6 * max(1e-12, np.linalg.norm(column)):
            axes.append(rest / np.linalg.norm(rest))
    z, x, y = axes
    return np.stack([x, y, z]) @ space
