"""Class means as what they are: a matrix of cosines, and arrows in the space that they span."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def matrix(ax: "Axes", cosines: np.ndarray, *, numbers: bool = False) -> Any:
    """Cosines (K x K) in colours from -1 to 1, with their values in the cells if asked; returns the image."""
    image = ax.imshow(cosines, vmin=-1, vmax=1, cmap="RdBu_r")
    ax.set(xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set_visible(False)
    if numbers:
        for (i, j), value in np.ndenumerate(cosines):
            text = (
                "0" if abs(value) < 5e-3 else f"{value:.2f}".replace("0.", ".").replace("-", "−").replace("1.00", "1")
            )
            ax.text(j, i, text, ha="center", va="center", fontsize=5.5, color="white" if abs(value) > 0.7 else "black")
    return image


def frame(ax: Any, means: np.ndarray) -> Any:
    """Class means (d x K) as arrows from the origin, in their three leading directions, all at one scale.

    ax has projection="3d". A rotation of the feature space changes nothing: the first class points up and the second
    lies in the plane of the page, as nearly as the frame allows. Means of more than three dimensions are projected.
    """
    _, s, Vt = np.linalg.svd(means, full_matrices=False)
    space = s[:3, None] * Vt[:3]
    space = np.vstack([space, np.zeros((3 - space.shape[0], means.shape[1]))])
    space = _upright(space) / max(1e-12, np.linalg.norm(space, axis=0).max())
    for i, j in zip(*np.triu_indices(means.shape[1], 1), strict=True):
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
    return ax


def _upright(space: np.ndarray) -> np.ndarray:
    """The columns (3 x K) turned: the first along z, the next independent one in the plane of x and z."""
    axes: list[np.ndarray] = []
    for column in (*space.T, *np.eye(3)):
        rest = column - sum((axis * (axis @ column) for axis in axes), np.zeros(3))
        if len(axes) < 3 and np.linalg.norm(rest) > 1e-6 * max(1e-12, np.linalg.norm(column)):
            axes.append(rest / np.linalg.norm(rest))
    z, x, y = axes
    return np.stack([x, y, z]) @ space
