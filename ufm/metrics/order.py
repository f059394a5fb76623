"""How much of the mean direction a spectrum keeps."""

import numpy as np


def order_parameter(mean: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """s_0/s, from 0 (simplex ETF) to 1 (orthogonal frame): the mean's singular value over the largest centred one.

    mean, centred: arrays of one shape; NaN where the centred ones vanish beside the largest of the array.
    """
    alive = centred > 1e-6 * np.max(centred)
    return np.divide(mean, centred, out=np.full(centred.shape, np.nan), where=alive)
