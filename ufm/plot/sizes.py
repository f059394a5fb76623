"""Phase diagram over the ratio of class sizes and the regularisation."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def size_diagram(
    ax: "Axes", ratios: np.ndarray, strength: np.ndarray, ranks: np.ndarray, K: int, *, free_bias: bool
) -> Any:
    """Rank of the class means over n_1/n_2 and N c/sqrt(n_1), K/2 classes of each size, with its boundaries; the image.

    ranks: strength x ratios. Directions within a size have the singular value sqrt(n_k), and live below it. A free bias
    leaves of the two group means one direction, whose singular value is sqrt(K n_1 n_2/N).
    """
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, ListedColormap

    norm = BoundaryNorm(np.arange(K + 2) - 0.5, K + 1)
    colours = colormaps["Blues"].resampled(2 * K + 1)(np.arange(K + 1))
    image = ax.pcolormesh(
        ratios, strength, ranks, cmap=ListedColormap(colours), norm=norm, shading="nearest", rasterized=True
    )
    fine = np.geomspace(ratios[0], ratios[-1], 200)
    ax.plot(fine, np.ones_like(fine), color="black", linewidth=1.3, label="within the large classes")
    if free_bias:
        ax.plot(
            fine, np.sqrt(2 / (1 + fine)), color="#009E73", linewidth=1.5, linestyle="--", label="between the sizes"
        )
    ax.plot(fine, 1 / np.sqrt(fine), color="#D55E00", linewidth=1.5, label="within the small classes")
    ax.set(xscale="log", yscale="log", xlim=(ratios[0], ratios[-1]), ylim=(strength[0], strength[-1]))
    ax.set_xlabel(r"ratio of the class sizes, $n_1/n_2$")
    ax.legend(title="directions that vanish above the line", loc="lower left", alignment="left", title_fontsize=7)
    return image
