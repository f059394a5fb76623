"""What the class means alone say: the geometry of NC2, centred and uncentred, under the names of records."""

import numpy as np

from ufm.metrics import geometry
from ufm.metrics.uniformity import hyperspherical_uniformity


def of_means(means: np.ndarray, centred: np.ndarray) -> dict[str, np.ndarray | float]:
    """Gram matrix, cosines, norms, NC2 and uniformity of class means (d x K) and of the same less hbar (d x K)."""
    K = means.shape[1]
    angles, G, G_centred = geometry.cosines(means), geometry.gram(means), geometry.gram(centred)
    etf = geometry.simplex_gram(K)
    return {
        "gram": G,
        "cosines": angles,
        "cosine": geometry.mean_cosine(angles),
        "cosine_centred": geometry.mean_cosine(geometry.cosines(centred)),
        "class_mean_norm": np.linalg.norm(means, axis=0),
        "equinorm": geometry.equinorm(centred),
        "equiangle": geometry.equiangle(centred),
        "maxangle": geometry.maxangle(centred),
        "nc2_etf": geometry.frame_distance(G_centred, etf),
        "nc2_etf_uncentred": geometry.frame_distance(G, etf),
        "nc2_of": geometry.frame_distance(G, np.eye(K)),
        **hyperspherical_uniformity(centred),
    }
