"""Random codes."""

import numpy as np

from ufm.encodings.encoding import Encoding, positive_integer


def random(K: int, m: int, seed: int) -> Encoding:
    """Independent Gaussian codes of variance 1/m, so of norm about 1 (m x K)."""
    K, m = positive_integer(K, "K"), positive_integer(m, "m")
    codes = np.random.default_rng(seed).standard_normal((m, K)) / np.sqrt(m)
    return Encoding("random", codes, {"K": K, "m": m, "seed": int(seed)})
