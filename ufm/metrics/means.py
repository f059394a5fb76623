"""What class means say, alone and beside a classifier: NC2, NC3 and balance, under the names of records."""

from typing import Any

import numpy as np

from ufm.metrics import bias, duality, geometry
from ufm.metrics.factors import energy_ratio
from ufm.metrics.isotropic_shift import isotropic_shift
from ufm.metrics.state import geometry_of
from ufm.metrics.uniformity import hyperspherical_uniformity, uniform_duality


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


def of_means_and_classifier(
    means: np.ndarray, centred: np.ndarray, counts: np.ndarray, W: np.ndarray, b: np.ndarray, codes: np.ndarray
) -> dict[str, Any]:
    """What a classifier W (m x d), b (m) adds to class means and the same less hbar (d x K); codes are m x K."""
    return geometry_of(W, means, b) | {
        "bias_gap": np.linalg.norm(b - codes @ (counts / np.sum(counts))),
        "bias_spread": bias.bias_spread(b),
        "role_spread": geometry.role_spread(means, codes),
        "energy_ratio": energy_ratio(W, means, counts),
        "isotropic_shift": isotropic_shift(W, codes, counts),
        "nc3_balance": duality.balance(W, means, counts),
    }


def of_duality(means: np.ndarray, centred: np.ndarray, W: np.ndarray) -> dict[str, Any]:
    """What a classifier with one row a class (K x d) adds: each row against its own class mean."""
    etf = geometry.simplex_gram(means.shape[1])
    return {
        **uniform_duality(W, centred),
        "nc3": duality.self_duality(W, centred),
        "nc3_uncentred": duality.self_duality(W, means),
        "nc3_etf": geometry.frame_distance(W @ centred, etf),
        "nc2_etf_classifier": geometry.frame_distance(geometry.gram(W.T), etf),
    }
